"""The metric histories that were read last, so that several charts of one metric ask the store once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.stores.protocol import TrackingStore

# What all kept histories may take together: those of a hundred runs with ten metrics of a thousand steps and more.
MOST_BYTES = 80_000_000
_MOST_RUNS = 10_000  # of a history that is kept while it streams by


class LastHistories:
    """Histories by metric; the one that was asked for longest ago goes first when they take too much.

    Like the tables they are as they were when they were read: `load_runs` reads anew.
    """

    def __init__(self, store: TrackingStore, most_bytes: int = MOST_BYTES) -> None:
        self._store = store
        self._most_bytes = most_bytes
        self._kept: dict[tuple[str, tuple[str, ...]], pa.Table] = {}

    def read(self, run_ids: Sequence[str], keys: Sequence[str] | None) -> pa.Table:
        """The histories of these metrics (None: of all, which are not kept); what is lacking is read in one go."""
        runs = tuple(run_ids)
        if keys is None:
            return self._read(runs, None)
        wanted = list(dict.fromkeys(keys))
        lacking = [key for key in wanted if (key, runs) not in self._kept]
        found = {key: self._kept.pop((key, runs)) for key in wanted if key not in lacking}
        if lacking:
            table = self._read(runs, lacking)
            alone = len(lacking) == 1
            found |= {key: table if alone else table.filter(pc.equal(table["key"], key)) for key in lacking}
        self._keep({(key, runs): found[key] for key in wanted})
        return found[wanted[0]] if len(wanted) == 1 else pa.concat_tables(found[key] for key in wanted)

    def stream(self, run_ids: Sequence[str], key: str) -> Iterator[pa.RecordBatch]:
        """The history of one metric, batch by batch; what is too much to be kept is never there as a whole.

        Of very many runs nothing is kept: that it is too much would be known only when it is there.
        """
        runs = tuple(run_ids)
        if (key, runs) in self._kept:
            yield from self.read(runs, [key]).to_batches()
            return
        seen: list[pa.RecordBatch] = []
        size = 0 if len(runs) <= _MOST_RUNS else self._most_bytes
        for batch in self._store.read_metric_history(runs, [key]):
            size += batch.nbytes
            if size <= self._most_bytes:
                seen.append(batch)
            else:
                seen.clear()
            yield batch
        if size <= self._most_bytes:
            self._keep({(key, runs): pa.Table.from_batches(seen, schema.METRIC_HISTORY)})

    def _read(self, run_ids: Sequence[str], keys: Sequence[str] | None) -> pa.Table:
        batches = self._store.read_metric_history(run_ids, keys)
        return pa.Table.from_batches(batches, schema.METRIC_HISTORY)

    def _keep(self, tables: dict[tuple[str, tuple[str, ...]], pa.Table]) -> None:
        self._kept |= {name: table for name, table in tables.items() if table.nbytes <= self._most_bytes}
        while sum(table.nbytes for table in self._kept.values()) > self._most_bytes:
            del self._kept[next(iter(self._kept))]
