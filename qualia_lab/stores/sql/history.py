"""Metric histories from a database, in batches of bounded size whatever the length of a history."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.stores.sql.adbc import MAX_CONNECTIONS
from qualia_lab.stores.sql.rows import IDS_PER_QUERY, arrow_table, batched, ignore, in_order
from qualia_lab.stores.sql.tables import metric_value, metrics
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.stores.sql.background_read import BackgroundRead
    from qualia_lab.stores.sql.connection import SqlConnection

_POINTS_PER_BATCH = 65_536

# A point in Arrow takes a tenth of the memory of one in Python: larger parts fit, and need not be counted first.
_POINTS_PER_PART = 131_072  # aimed at
_MOST_PER_PART = 1_048_576
_MOST_WHOLE = 3_145_728  # when nearly all runs are read: some hundred megabytes, and a tenth of the time
_FIRST_RUNS = 16


@dataclass(frozen=True)
class Portion:
    """Points to read by one statement: all of these runs, or of some metrics of one run."""

    run_ids: tuple[str, ...]
    keys: tuple[str, ...] | None
    points: int


@dataclass(frozen=True)
class History:
    """Reads the histories of these metrics (None: of all), portion by portion.

    A portion that fits a batch is fetched whole, so that the database holds no cursor; only a single metric of a single
    run with more points than that is streamed. Through ADBC, the size of each part is adapted to the points per run of
    the part before it, and two parts are read concurrently.
    """

    database: SqlConnection
    keys: list[str] | None
    by_run: bool = False  # whether few of all points belong to these runs: a hint for SQLite's query planner

    def read(self, run_ids: Sequence[str], *, are_most: bool) -> Iterator[pa.RecordBatch]:
        """The points of these runs, in order.  are_most: whether the store has hardly any other runs."""
        if are_most and self.keys:
            whole = self._begin(run_ids, are_most=True).result()
            if whole is not None:
                yield from _in_batches(whole)
                return
            # Scanning all points of these metrics again for each portion would take hours.
            yield from replace(self, by_run=True).read(run_ids, are_most=False)
        elif self.database.reads_arrow:
            yield from self._as_arrow(run_ids, _FIRST_RUNS)
        else:
            for some in batched(run_ids, IDS_PER_QUERY):
                yield from self._by_portion(some)

    def _as_arrow(self, run_ids: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        """The points of these runs through ADBC, up to MAX_CONNECTIONS parts read concurrently.

        size: the number of runs in the first part; its points decide the size of the next. No read is running while
        batches are yielded, since the consumer may query the same SQLite file.
        """
        place, at_once = 0, 1
        while place < len(run_ids):
            parts = list(batched(run_ids[place : place + at_once * size], size))
            reads = [self._begin(some) for some in parts]
            tables = deque([one.result() for one in reads])
            for some in parts:
                place += len(some)
                table = tables.popleft()
                if table is not None:
                    fit = _POINTS_PER_PART * len(some) // max(table.num_rows, 1)
                    even = -(-(len(run_ids) - place) // MAX_CONNECTIONS)  # the last parts are read concurrently too
                    size, at_once = (
                        max(1, min(fit, 4 * len(some), max(even, _FIRST_RUNS), IDS_PER_QUERY)),
                        MAX_CONNECTIONS,
                    )
                    yield from _in_batches(table)
                    continue
                size, at_once = max(1, len(some) // 4), 1
                if not self.database.reads_arrow:
                    size = IDS_PER_QUERY
                elif len(some) > 1:
                    yield from self._as_arrow(some, size)
                    continue
                yield from self._by_portion(some)

    def _begin(self, run_ids: Sequence[str], *, are_most: bool = False) -> BackgroundRead:
        """Start reading all points of these runs, in order; the result is None if they are too many or not Arrow."""
        most = _MOST_WHOLE if are_most else _MOST_PER_PART
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
        """These runs in portions that fit a batch each, except single metrics with more points than a batch."""
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
                yield from _split_run(run_id, counts)
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
        return rows_with(table, "key", self.keys)  # not a copy of all points where all have these keys

    def _of_keys(self, select: sa.Select[Any], *, by_run: bool) -> sa.Select[Any]:
        """Restrict to these keys by the database's own equality; more keys than it takes are filtered afterwards.

        by_run: have SQLite use the index on runs. By default it scans the points of these metrics of all runs through
        its primary key and filters by run afterwards.
        """
        if self.keys is None or len(self.keys) > IDS_PER_QUERY:
            return select
        key: sa.ColumnElement[Any] = metrics.c.key
        if by_run and self.database.sql.dialect.name == "sqlite":
            key = key.concat("")  # no index covers the expression
        return select.where(key.in_(self.keys))


def _in_batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from table.combine_chunks().to_batches(max_chunksize=_POINTS_PER_BATCH)


def _split_run(run_id: str, counts: dict[str, int]) -> Iterator[Portion]:
    """Portions of one run with more points than a batch, by metrics."""
    keys: list[str] = []
    points = 0
    for key, count in counts.items():
        if keys and points + count > _POINTS_PER_BATCH:
            yield Portion((run_id,), tuple(keys), points)
            keys, points = [], 0
        keys.append(key)
        points += count
    yield Portion((run_id,), tuple(keys), points)
