"""TrackingStore: the few methods every kind of store has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Query, View
    from qualia_lab.tables import RunTables

# The subject of the row in `problems` of runs whose histories could not be read.
UNREAD_HISTORIES = "metric histories"


@dataclass(frozen=True)
class ArtifactFile:
    """A file of a run: its path below the run's artifact root with `/`, and its size in bytes where that is known."""

    path: str
    size: int | None


class ArtifactPlace(Protocol):
    """Where the artifacts of one run are, found by what exists and not only by what was recorded."""

    recorded_uri: str
    note: str  # what a reader has to know ("found beside the store"), or ""

    def list_files(self) -> Iterator[ArtifactFile]:
        """Every file, recursively, sorted by path; never follows a link out of the run's own folder."""
        ...

    def read_bytes(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of one file. Raises StoreError when it may not or cannot be read."""
        ...


class TrackingStore(Protocol):
    """A tracking store, opened for reading only: nothing in it is created, migrated, locked or changed.

    Threads: every method but `close` may be called from several threads at once, on one store. An iterator that is
    returned belongs to the thread that takes from it. One exception: where ADBC is installed (the extra `fast`), read a
    SQLite file that another program is writing to from one thread at a time; SQLite's locks are of the whole process,
    and ADBC's own SQLite lets go of them when it closes the file.

    Closing: `close`, or the end of a `with` statement, gives back connections. Call it when no question is being
    answered. A store that is asked again afterwards connects anew.
    """

    uri: str  # the tracking URI without secrets: safe to show and to write

    def read_experiments(self, view: View = "active") -> pa.Table:
        """Experiments with run counts and last activity, latest activity first (schema.EXPERIMENT_LIST).

        run_count counts the runs of the same view; last_activity is the latest start or end of one of them, in ms.
        """
        ...

    def read_experiment_tags(self, experiment_ids: Sequence[str]) -> pa.Table:
        """The tags of these experiments, also of those without runs (schema.EXPERIMENT_TAGS)."""
        ...

    def read_runs(self, query: Query) -> pa.Table:
        """The runs that match, in the query's order, all of them unless it has a limit (schema.RUNS)."""
        ...

    def explain(self, query: Query) -> Explanation:
        """Which part of this the store answers and which part is evaluated here; it asks to say how many runs."""
        ...

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """Everything about these runs but histories and artifacts, runs in this order; missing ones are named."""
        ...

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Every recorded point of these metrics (None: of all), batch by batch (schema.METRIC_HISTORY).

        Points of one run and key stand together, ordered by step, timestamp, value.
        """
        ...

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """Where the artifacts of this run are; touches nothing until files are listed or read."""
        ...

    def close(self) -> None:
        """Give back connections; a second time nothing happens."""
        ...

    def __enter__(self) -> Self:
        """The store itself."""
        ...

    def __exit__(self, *raised: object) -> None:
        """Close the store."""
        ...


@runtime_checkable
class CountsByAsking(Protocol):
    """A store that has to be asked about each experiment to say how many runs it has."""

    def find_experiments(self, view: View = "active") -> pa.Table:
        """The experiments as `read_experiments` gives them, with null in place of both numbers."""
        ...


def find_experiments(store: TrackingStore, view: View = "active") -> pa.Table:
    """The experiments of a store, counted only where that costs next to nothing (schema.EXPERIMENT_LIST)."""
    return store.find_experiments(view) if isinstance(store, CountsByAsking) else store.read_experiments(view)
