"""TrackingStore: the protocol that every kind of store implements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.genai_tables import EvaluationTables, ModelTables, TracePart, TraceQuery, TraceTables
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Query, View
    from qualia_lab.tables import RunTables

# The subject of the row in `problems` that reports metric histories which could not be read.
UNREAD_HISTORIES = "metric histories"


@dataclass(frozen=True)
class ArtifactFile:
    """A file of a run: its path below the run's artifact root, with `/`, and its size in bytes (None: unknown)."""

    path: str
    size: int | None


class ArtifactPlace(Protocol):
    """Where the artifacts of one run are: the recorded URI, or a folder in which they were found instead."""

    recorded_uri: str
    note: str  # a remark for the reader, such as "found beside the store"; "" for none

    def list_files(self) -> Iterator[ArtifactFile]:
        """Every file, recursively, sorted by path. Links out of the run's own folder are never followed."""
        ...

    def read_bytes(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of one file. Raises StoreError if it cannot or must not be read."""
        ...


class TrackingStore(Protocol):
    """A tracking store, opened for reading only: nothing in it is created, migrated, locked or changed.

    Threads: every method except `close` may be called from several threads at once on one store. A returned iterator
    must be consumed by one thread. One exception: where ADBC is installed (the extra `fast`), read a SQLite file that
    another program is writing to from one thread at a time, because SQLite's locks belong to the whole process and
    ADBC's own copy of SQLite releases them when it closes the file.

    Closing: `close`, or the end of a `with` statement, closes the connections. Call it when no read is in progress. A
    later read opens new connections.
    """

    uri: str  # the tracking URI without secrets: safe to show and to write

    def read_experiments(self, view: View = "active") -> pa.Table:
        """Experiments with run counts and last activity, latest activity first.

        Args:
            view: active, deleted or all; applies to the experiments and to the runs that are counted.

        Returns:
            schema.EXPERIMENT_LIST. `last_activity` is the latest start or end of any counted run, in ms since 1970.
        """
        ...

    def read_experiment_tags(self, experiment_ids: Sequence[str]) -> pa.Table:
        """The tags of these experiments, including experiments without runs (schema.EXPERIMENT_TAGS)."""
        ...

    def read_runs(self, query: Query) -> pa.Table:
        """The runs that match the query, in its order, up to its limit if it has one (schema.RUNS).

        Raises:
            FilterError: the filter or the order cannot be parsed.
            StoreError: the store cannot be read.
        """
        ...

    def explain(self, query: Query) -> Explanation:
        """Which conditions the store evaluates and which are evaluated locally. The store is read for run counts."""
        ...

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """Everything about these runs except histories and artifacts, in this order.

        Args:
            run_ids: the runs; duplicates are read once.

        Returns:
            The tables. Runs that the store does not have are listed in `missing`, each with a reason.

        Raises:
            StoreError: the store cannot be read.
        """
        ...

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Every recorded point of these metrics, in batches.

        Args:
            run_ids: the runs.
            keys: the metrics; None reads all of them.

        Returns:
            Batches of schema.METRIC_HISTORY. The points of one run and key are consecutive, ordered by step, timestamp
            and value.
        """
        ...

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """Where the artifacts of this run, or logged model, are; no I/O until files are listed or read.

        Args:
            run_id: the run, the logged model or the trace.
            artifact_uri: where they are, as it was recorded.
        """
        ...

    def change_token(self, experiment_ids: Sequence[str] = ()) -> str:
        """A text that differs after something in these experiments was written; asking costs little.

        It may differ although nothing was written to these experiments. PostgreSQL may tell of a write ten seconds
        late; a server shows only what happens to runs that have not ended at once, and the rest at the fourth question.
        Some writes do not show: in a folder of files, a new value of a metric, tag or assessment that a run or trace
        had when it ended; on a server, a change or deletion of a run that has ended or of a trace, unless it is one of
        the last few, and of models and the registry.

        Args:
            experiment_ids: the experiments; () for all. A database or a snapshot is asked as a whole.

        Returns:
            The token, to be compared with an earlier one of the same kind of store.

        Raises:
            StoreError: the store cannot be read.
        """
        ...

    def close(self) -> None:
        """Close the connections. Calling it twice is harmless."""
        ...

    def __enter__(self) -> Self:
        """The store itself."""
        ...

    def __exit__(self, *raised: object) -> None:
        """Close the store."""
        ...


@runtime_checkable
class ReadsGenAI(Protocol):
    """A store that can hold logged models, registered models, traces and evaluation datasets.

    As with runs: set-based, bounded by what is asked for, nothing is written, and what cannot be read is listed in
    `problems` while the rest is returned. A store whose schema has no such tables returns empty ones.
    """

    def read_models(self, *, experiment_ids: Sequence[str] = (), run_ids: Sequence[str] = ()) -> ModelTables:
        """Logged models with what was logged for them, and versions of registered models.

        Args:
            experiment_ids: the models of these experiments.
            run_ids: the models that these runs created or list as outputs. Models of either are returned; with neither
                argument, all of the store.

        Returns:
            The models that were not deleted, and the versions that were registered from one of these models or from a
            run of these experiments or of `run_ids`; all versions with neither argument. A registry elsewhere than in
            this store is not contacted.
        """
        ...

    def read_traces(self, query: TraceQuery, parts: Sequence[TracePart] | None = None) -> TraceTables:
        """The traces that match, without spans.

        Args:
            query: which traces.
            parts: the tables to read, None for all; the others are empty. `traces` is always read.

        Raises:
            FilterError: the filter or the order cannot be parsed.
            StoreError: the store cannot be read.
        """
        ...

    def read_spans(self, trace_ids: Sequence[str], *, content: bool = True) -> Iterator[pa.RecordBatch]:
        """The spans of these traces, in batches (schema.SPANS): by trace in this order, then by start and id.

        Spans of older traces are in the artifact `traces.json` of the trace, and are read from there.

        Args:
            trace_ids: the traces; those that do not exist or whose spans cannot be read yield nothing.
            content: False leaves inputs, outputs, attributes and events null, which is much faster for many traces.
        """
        ...

    def count_traces(self, experiment_ids: Sequence[str] = ()) -> dict[str, int]:
        """The number of traces of each of these experiments that has any, () for all experiments."""
        ...

    def read_evaluation_datasets(self, experiment_ids: Sequence[str] = ()) -> EvaluationTables:
        """The evaluation datasets that these experiments use, with their records; () for all of the store."""
        ...


@runtime_checkable
class ListsWithoutCounts(Protocol):
    """A store that can list its experiments much faster without run counts."""

    def find_experiments(self, view: View = "active") -> pa.Table:
        """The experiments as `read_experiments` returns them, but with null `run_count` and `last_activity`."""
        ...


def find_experiments(store: TrackingStore, view: View = "active") -> pa.Table:
    """The experiments of a store, with run counts only where counting is cheap (schema.EXPERIMENT_LIST)."""
    return store.find_experiments(view) if isinstance(store, ListsWithoutCounts) else store.read_experiments(view)


def read_models_of(store: TrackingStore, tables: RunTables) -> ModelTables:
    """The models that these runs created or list as outputs, and what was registered; empty if there can be none."""
    from qualia_lab.genai_tables import model_tables
    from qualia_lab.inventory import may_have_models

    if not isinstance(store, ReadsGenAI) or not may_have_models(tables):
        return model_tables()
    return store.read_models(run_ids=tables.run_ids)
