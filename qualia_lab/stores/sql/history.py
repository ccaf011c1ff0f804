"""Metric histories out of a database, in batches that stay small however long a history is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.stores.sql.adbc import SIDE_BY_SIDE
from qualia_lab.stores.sql.rows import IDS_PER_QUERY, arrow_table, batched, ignore, in_order
from qualia_lab.stores.sql.tables import metric_value, metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.stores.sql.arriving import Arriving
    from qualia_lab.stores.sql.connection import SqlConnection

_POINTS_PER_BATCH = 65_536

# As Arrow a point is a tenth of what it is in Python: more fit into the same memory, and nothing has to be counted.
_POINTS_AT_ONCE = 131_072
_MOST_AT_ONCE = 1_048_576
_MOST_WHOLE = 3_145_728  # of some metrics of nearly all runs: a few hundred megabytes, for a tenth of the time
_FIRST_RUNS = 16


@dataclass(frozen=True)
class Portion:
    """Metrics to read at once: all of these runs, or some of one run."""

    run_ids: tuple[str, ...]
    keys: tuple[str, ...] | None
    points: int


@dataclass(frozen=True)
class History:
    """Reads the histories of these metrics (None: of all), portion by portion.

    What fits a batch is fetched whole, and then the database waits for nobody; only a single metric of a single run
    with more points than that is read through an open cursor. Where rows come as Arrow, so many runs are taken at a
    time as were right the last time, and two such parts come side by side.
    """

    database: SqlConnection
    keys: list[str] | None
    by_run: bool = False  # whether few of all points belong to these runs; SQLite has to be told

    def read(self, run_ids: Sequence[str], *, are_most: bool) -> Iterator[pa.RecordBatch]:
        """The points of these runs, in order.  are_most: whether there are hardly any other runs in the store."""
        if are_most and self.keys:
            whole = self._at_once(run_ids, are_most=True).table()
            if whole is not None:
                yield from _in_batches(whole)
                return
            # All points of these metrics again for every portion would take hours.
            yield from replace(self, by_run=True).read(run_ids, are_most=False)
        elif self.database.reads_arrow:
            yield from self._as_arrow(run_ids, _FIRST_RUNS)
        else:
            for some in batched(run_ids, IDS_PER_QUERY):
                yield from self._by_portion(some)

    def _as_arrow(self, run_ids: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        """The points of these runs as Arrow, as many parts at once as may be side by side.

        size: the first runs, by which is decided how many the next ones are. Nothing is under way while points are
        handed over, since whoever takes them may ask the same SQLite file something.
        """
        place, at_once = 0, 1
        while place < len(run_ids):
            parts = list(batched(run_ids[place : place + at_once * size], size))
            arriving = [self._at_once(some) for some in parts]
            tables = deque([one.table() for one in arriving])
            for some in parts:
                place += len(some)
                table = tables.popleft()
                if table is not None:
                    fit = _POINTS_AT_ONCE * len(some) // max(table.num_rows, 1)
                    even = -(-(len(run_ids) - place) // SIDE_BY_SIDE)  # the last ones come side by side too
                    size, at_once = max(1, min(fit, 4 * len(some), max(even, _FIRST_RUNS), IDS_PER_QUERY)), SIDE_BY_SIDE
                    yield from _in_batches(table)
                    continue
                size, at_once = max(1, len(some) // 4), 1
                if not self.database.reads_arrow:
                    size = IDS_PER_QUERY
                elif len(some) > 1:
                    yield from self._as_arrow(some, size)
                    continue
                yield from self._by_portion(some)

    def _at_once(self, run_ids: Sequence[str], *, are_most: bool = False) -> Arriving:
        """All points of these runs, in order; no table where they are too many, or cannot be had as Arrow."""
        most = _MOST_WHOLE if are_most else _MOST_AT_ONCE
        select = self._points(by_run=self.by_run and not are_most).limit(most)
        if not are_most:
            select = select.where(metrics.c.run_uuid.in_(run_ids))

        def ordered(table: pa.Table) -> pa.Table | None:
            return self._ordered(table, run_ids) if table.num_rows < most else None

        return self.database.begin_arrow(select, schema.METRIC_HISTORY, ordered)

    def _by_portion(self, run_ids: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for portion in self.portions(run_ids):
            yield from self.batches(portion)

    def portions(self, run_ids: Sequence[str]) -> Iterator[Portion]:
        """These runs in portions that fit a batch, but for single metrics that are larger than one."""
        point = metrics.c
        select = sa.select(point.run_uuid, point.key, sa.func.count()).where(point.run_uuid.in_(run_ids))
        rows = self.database.fetch(self._of_keys(select, by_run=self.by_run).group_by(point.run_uuid, point.key))
        rank = {run_id: place for place, run_id in enumerate(run_ids)}
        rows = sorted((row for row in rows if row[0] in rank), key=lambda row: (rank[row[0]], str(row[1])))
        together: list[str] = []
        points = 0
        for run_id, of_run in groupby(rows, key=lambda row: row[0]):
            counts = {key: count for _, key, count in of_run}
            total = sum(counts.values())
            if together and points + total > _POINTS_PER_BATCH:
                yield Portion(tuple(together), None, points)
                together, points = [], 0
            if total > _POINTS_PER_BATCH:
                yield from _parted(run_id, counts)
            else:
                together.append(run_id)
                points += total
        if together:
            yield Portion(tuple(together), None, points)

    def batches(self, portion: Portion) -> Iterator[pa.RecordBatch]:
        """The points of a portion, in order."""
        point = metrics.c
        select = self._points(by_run=self.by_run).where(point.run_uuid.in_(portion.run_ids))
        if portion.keys is not None:
            select = select.where(point.key.in_(portion.keys))
        if portion.points > _POINTS_PER_BATCH:
            for rows in self.database.stream(select.order_by(point.step, point.timestamp, point.value)):
                yield from self._only_keys(arrow_table(schema.METRIC_HISTORY, rows, ignore)).to_batches()
            return
        rows = self.database.fetch(select)
        yield from _in_batches(self._ordered(arrow_table(schema.METRIC_HISTORY, rows, ignore), portion.run_ids))

    def _points(self, *, by_run: bool) -> sa.Select[Any]:
        point = metrics.c
        value = metric_value(metrics, self.database.has)
        return self._of_keys(sa.select(point.run_uuid, point.key, point.step, point.timestamp, value), by_run=by_run)

    def _ordered(self, table: pa.Table, run_ids: Sequence[str]) -> pa.Table:
        return in_order(self._only_keys(table), "run_id", run_ids, ("key", "step", "timestamp", "value"))

    def _only_keys(self, table: pa.Table) -> pa.Table:
        if self.keys is None:
            return table
        return table.filter(pc.is_in(table.column("key"), value_set=column(self.keys, schema.STRING)))

    def _of_keys(self, select: sa.Select[Any], *, by_run: bool) -> sa.Select[Any]:
        """Only these keys, as the database understands equality; too many for it are sorted out afterwards.

        by_run: go by the runs. Left to itself SQLite reads the points that any run has of these metrics, by its
        primary key, and looks afterwards whose they are.
        """
        if self.keys is None or len(self.keys) > IDS_PER_QUERY:
            return select
        key: sa.ColumnElement[Any] = metrics.c.key
        if by_run and self.database.sql.dialect.name == "sqlite":
            key = key.concat("")  # which stands in no index
        return select.where(key.in_(self.keys))


def _in_batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from table.combine_chunks().to_batches(max_chunksize=_POINTS_PER_BATCH)


def _parted(run_id: str, counts: dict[str, int]) -> Iterator[Portion]:
    """One run that is too large for a batch, by metrics."""
    keys: list[str] = []
    points = 0
    for key, count in counts.items():
        if keys and points + count > _POINTS_PER_BATCH:
            yield Portion((run_id,), tuple(keys), points)
            keys, points = [], 0
        keys.append(key)
        points += count
    yield Portion((run_id,), tuple(keys), points)
