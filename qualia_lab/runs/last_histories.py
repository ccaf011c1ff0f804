"""A cache of the metric histories that were read last, so that several charts of one metric read them once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.stores.protocol import TrackingStore

# Size of the cache: enough for more than a hundred runs with ten metrics of a thousand steps.
MOST_BYTES = 80_000_000
_MOST_RUNS = 10_000  # a stream over more runs than this is not cached


class LastHistories:
    """A bounded cache of histories by metric; the least recently used ones are removed first.

    Like the tables, cached histories are not refreshed; `load_runs` reads everything again.
    """

    def __init__(self, store: TrackingStore, most_bytes: int = MOST_BYTES) -> None:
        self._store = store
        self._most_bytes = most_bytes
        self._cache: dict[tuple[str, tuple[str, ...]], pa.Table] = {}

    def read(self, run_ids: Sequence[str], keys: Sequence[str] | None) -> pa.Table:
        """The histories of these metrics (None: all, which are not cached); those not cached are read in one query."""
        runs = tuple(run_ids)
        if keys is None:
            return self._read(runs, None)
        wanted = list(dict.fromkeys(keys))
        missing = [key for key in wanted if (key, runs) not in self._cache]
        tables = {key: self._cache.pop((key, runs)) for key in wanted if key not in missing}
        if missing:
            table = self._read(runs, missing)
            single = len(missing) == 1
            tables |= {key: table if single else table.filter(pc.equal(table["key"], key)) for key in missing}
        self._put({(key, runs): tables[key] for key in wanted})
        return tables[wanted[0]] if len(wanted) == 1 else pa.concat_tables(tables[key] for key in wanted)

    def stream(self, run_ids: Sequence[str], key: str) -> Iterator[pa.RecordBatch]:
        """The history of one metric, batch by batch; if it is too large to cache, it is never in memory as a whole.

        With very many runs nothing is cached, since the size would be known only after everything is in memory.
        """
        runs = tuple(run_ids)
        if (key, runs) in self._cache:
            yield from self.read(runs, [key]).to_batches()
            return
        batches: list[pa.RecordBatch] = []
        size = 0 if len(runs) <= _MOST_RUNS else self._most_bytes
        for batch in self._store.read_metric_history(runs, [key]):
            size += batch.nbytes
            if size <= self._most_bytes:
                batches.append(batch)
            else:
                batches.clear()
            yield batch
        if size <= self._most_bytes:
            self._put({(key, runs): pa.Table.from_batches(batches, schema.METRIC_HISTORY)})

    def _read(self, run_ids: Sequence[str], keys: Sequence[str] | None) -> pa.Table:
        batches = self._store.read_metric_history(run_ids, keys)
        return pa.Table.from_batches(batches, schema.METRIC_HISTORY)

    def _put(self, tables: dict[tuple[str, tuple[str, ...]], pa.Table]) -> None:
        self._cache |= {name: table for name, table in tables.items() if table.nbytes <= self._most_bytes}
        while sum(table.nbytes for table in self._cache.values()) > self._most_bytes:
            del self._cache[next(iter(self._cache))]
