"""EndedHistories: the metric histories of ended runs, for a command that reads the same store again and again.

They are kept in a temporary folder, as parts of a snapshot. Everything else about runs is small, and read every time.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from typing import TYPE_CHECKING

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.errors import QualiaLabError
from qualia_lab.masking.keys import NO_MASKING
from qualia_lab.masking.tables import Masker
from qualia_lab.stores.ended import has_settled
from qualia_lab.stores.masked import MaskedStore
from qualia_lab.stores.masked_genai import MaskedGenAIStore, mask_store
from qualia_lab.stores.snapshot.hand_over import temporary_folder
from qualia_lab.stores.snapshot.location import open_location
from qualia_lab.stores.snapshot.parts import PartWriter, read_points

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.stores.snapshot.manifest import Part
    from qualia_lab.tables import RunTables


@contextlib.contextmanager
def keep_ended_histories() -> Iterator[EndedHistories]:
    """Keep histories in a temporary folder, which is removed at the end of the `with` block."""
    with temporary_folder() as folder:
        yield EndedHistories(folder)


class EndedHistories:
    """Histories of runs that ended some time ago, each with a mark of its run: its row, and its last values.

    A mark does not show a point that was added to an ended run at a step before the last one; `forget` once in a while.
    """

    def __init__(self, folder: Path) -> None:
        """Keep histories in this folder, which is empty.

        Args:
            folder: the folder.
        """
        self._location = open_location(folder)
        self._kept: dict[str, tuple[str, Part]] = {}  # the mark of each run, and the part with its points
        self._lock = threading.Lock()

    def of(self, store: TrackingStore) -> TrackingStore:
        """Return the same store, which reads no history again that is kept here.

        Args:
            store: the store; all stores that are given have to be of the same tracking URI.
        """
        masked = store if isinstance(store, MaskedStore) else mask_store(store, Masker(NO_MASKING))
        return (_GenAIStore if isinstance(masked, MaskedGenAIStore) else _Store)(masked, self)

    def forget(self) -> None:
        """Remove everything, so that all of it is read again."""
        self._kept.clear()
        self._location.remove_all_but(set())

    def read(
        self, store: TrackingStore, run_ids: Sequence[str], keys: Sequence[str] | None, marks: Mapping[str, str]
    ) -> Iterator[pa.RecordBatch]:
        """Return points as `read_metric_history` does; of runs with a mark, each history is read once, and whole.

        Args:
            store: the store.
            run_ids: the runs.
            keys: the metrics; None for all.
            marks: the marks of those of the runs that ended some time ago.

        Raises:
            StoreError: the store, or what is kept, cannot be read.
        """
        wanted = dict.fromkeys(run_ids)
        ended = {run_id: marks[run_id] for run_id in wanted if run_id in marks}
        wanted_keys = None if keys is None else column(list(keys), schema.STRING)
        try:
            for part, runs in self._parts_of(store, ended):
                yield from read_points(self._location, part, column(runs, schema.STRING), wanted_keys)
        except QualiaLabError:
            self.forget()
            raise
        others = [run_id for run_id in wanted if run_id not in ended]
        if others:
            yield from store.read_metric_history(others, keys)

    def _parts_of(self, store: TrackingStore, marks: Mapping[str, str]) -> list[tuple[Part, list[str]]]:
        """Return each part with those of these runs that it has; what is not kept yet is read first."""
        with self._lock:
            new = [run_id for run_id, mark in marks.items() if self._kept.get(run_id, ("",))[0] != mark]
            if new:
                with self._location.writing():
                    writer = PartWriter(self._location, durable=False)
                    writer.add_history(store.read_metric_history(new))
                    part = writer.finish(tracking_uri=store.uri)
                self._kept |= {run_id: (marks[run_id], part) for run_id in new}
            parts: dict[str, tuple[Part, list[str]]] = {}
            for run_id in marks:
                part = self._kept[run_id][1]
                parts.setdefault(part.name, (part, []))[1].append(run_id)
        return list(parts.values())


class _Store(MaskedGenAIStore):
    """A store that takes the histories of ended runs from where they are kept."""

    def __init__(self, store: MaskedStore, histories: EndedHistories) -> None:
        super().__init__(store.stored, store.masker, redactor=store.redactor)
        self._histories = histories
        self._marks: dict[str, str] = {}

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """See TrackingStore."""
        tables = super().read(run_ids)
        self._marks = _marks(tables)
        return tables

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """See TrackingStore."""
        return self._histories.read(self.stored, run_ids, keys, self._marks)


class _GenAIStore(_Store, MaskedGenAIStore):
    """The same for a store that reads models and traces."""


def _marks(tables: RunTables) -> dict[str, str]:
    """Return a digest of what shows that a run was written to, of each run that ended some time ago."""
    facts = {
        row["run_id"]: [repr(row)] for row in tables.runs.to_pylist() if has_settled(row["status"], row["end_time"])
    }
    for point in zip(*(one.to_pylist() for one in tables.metrics.columns), strict=True):
        if point[0] in facts:
            facts[point[0]].append(repr(point))
    # A server may list metrics in any order.
    return {run_id: hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest() for run_id, lines in facts.items()}
