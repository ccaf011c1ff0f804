"""SqlStore: reads MLflow's database by a few queries on its tables; never changes or migrates it."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.closing import Closing
from qualia_lab.columns import column
from qualia_lab.stores.orphans import in_known_experiments
from qualia_lab.stores.rows import latest_first
from qualia_lab.stores.sql.changes import server_token
from qualia_lab.stores.sql.connection import SqlDatabase
from qualia_lab.stores.sql.history import History
from qualia_lab.stores.sql.query import select_matching
from qualia_lab.stores.sql.reading import MANY_IDS, Reading, are_many, run_count
from qualia_lab.stores.sql.rows import arrow_table, ignore
from qualia_lab.stores.sql.sqlite import sqlite_path, sqlite_token
from qualia_lab.stores.sql.tables import (
    alembic_version,
    experiment_columns,
    experiments,
    runs,
)
from qualia_lab.tables import RunTables, run_tables
from qualia_lab.times import FEW, LATEST_TIME, are_usual, possible_runs, with_possible_times

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.genai_tables import EvaluationTables, ModelTables, TracePart, TraceQuery, TraceTables
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Query, View
    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.uri import TrackingUri

    Column = sa.ColumnElement[Any]

_FEW_KEYS = 3
_TIMES_OF = itemgetter(*map(schema.RUNS.get_field_index, ("status", "start_time", "end_time")))

# With a LIMIT, databases keep the ORDER BY of a subquery.
_ALL = 2**62


class SqlStore(Closing):
    """A tracking store in a database: SQLite, PostgreSQL, MySQL, MariaDB, SQL Server. See protocol.TrackingStore."""

    def __init__(self, uri: TrackingUri) -> None:
        self.uri = uri.safe
        self._full_uri = uri.full
        self._database = SqlDatabase(uri)

    def read_experiments(self, view: View = "active") -> pa.Table:
        """Experiments with run counts and last activity, latest activity first (schema.EXPERIMENT_LIST)."""
        with self._database.connected() as database:
            rows = database.fetch(_experiments_select(view, database.has))
            listed = [(*row[:-2], _later(*row[-2:])) for row in rows]
            if not all(_is_in_range(row[-1]) for row in listed):
                rows = database.fetch(_experiments_select(view, database.has, in_range=True))
                listed = [(*row[:-2], _later(*row[-2:])) for row in rows]
        # Sorted in Python: there are few, and the first call of an Arrow function takes longer than this.
        listed.sort(key=lambda row: latest_first(row[-1]))
        return arrow_table(schema.EXPERIMENT_LIST, listed, ignore)

    def read_experiment_tags(self, experiment_ids: Sequence[str]) -> pa.Table:
        """The tags of these experiments (schema.EXPERIMENT_TAGS)."""
        with self._database.connected() as database:
            ids = pa.chunked_array([column(list(experiment_ids), schema.STRING)])
            return Reading(database, []).experiments(ids)["experiment_tags"]

    def read_runs(self, query: Query) -> pa.Table:
        """The runs that match, in the query's order, all of them unless it has a limit (schema.RUNS)."""
        with self._database.connected() as database:
            select = select_matching(query, dialect_name=database.sql.dialect.name, has=database.has)
            if query.limit is None and database.reads_arrow and are_many(database, run_count(database)):
                table = database.fetch_arrow(select.limit(_ALL), schema.RUNS)
                if table is not None:
                    return possible_runs(table)
            rows = database.fetch(select)
            table = arrow_table(schema.RUNS, rows, ignore)
            # The rows are checked in less time than the columns.
            return table if len(rows) <= FEW and are_usual(map(_TIMES_OF, rows)) else possible_runs(table)

    def explain(self, query: Query) -> Explanation:
        """See TrackingStore; the database evaluates the whole query."""
        from qualia_lab.stores.sql.explain import explain_sql

        with self._database.connected() as database:
            return explain_sql(database, query)

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """Everything about these runs except histories and artifacts, in this order; missing runs are listed."""
        wanted = list(dict.fromkeys(run_ids))
        if not wanted:
            return run_tables()
        with self._database.connected() as database:
            return in_known_experiments(with_possible_times(Reading(database, wanted).tables()))

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Every recorded point of these metrics (None: of all), batch by batch (schema.METRIC_HISTORY)."""
        wanted = list(dict.fromkeys(run_ids))
        if not wanted or (keys is not None and not keys):
            return
        with self._database.connected() as database:
            in_all = run_count(database)
            metric_keys = None if keys is None else list(dict.fromkeys(keys))
            # With few metrics, a scan of all their points is faster than the points of that many runs.
            by_run = metric_keys is not None and (len(metric_keys) > _FEW_KEYS or len(wanted) * 30 < in_all)
            are_most = database.reads_arrow and len(wanted) >= MANY_IDS and len(wanted) * 2 >= in_all
            yield from History(database, metric_keys, by_run).read(wanted, are_most=are_most)

    def read_models(self, *, experiment_ids: Sequence[str] = (), run_ids: Sequence[str] = ()) -> ModelTables:
        """See ReadsGenAI."""
        from qualia_lab.stores.sql.models import read_models

        with self._database.connected() as database:
            return read_models(database, experiment_ids, run_ids)

    def read_traces(self, query: TraceQuery, parts: Sequence[TracePart] | None = None) -> TraceTables:
        """See ReadsGenAI."""
        from qualia_lab.stores.sql.spans import read_spans
        from qualia_lab.stores.sql.traces import read_traces

        with self._database.connected() as database:
            spans_of = partial(read_spans, database, self.artifact_place)
            return read_traces(database, query, parts, spans_of)

    def read_spans(self, trace_ids: Sequence[str], *, content: bool = True) -> Iterator[pa.RecordBatch]:
        """See ReadsGenAI."""
        from qualia_lab.stores.sql.spans import read_spans

        with self._database.connected() as database:
            yield from read_spans(database, self.artifact_place, trace_ids, content=content)

    def count_traces(self, experiment_ids: Sequence[str] = ()) -> dict[str, int]:
        """See ReadsGenAI."""
        from qualia_lab.stores.sql.traces import count_traces

        with self._database.connected() as database:
            return count_traces(database, experiment_ids)

    def read_evaluation_datasets(self, experiment_ids: Sequence[str] = ()) -> EvaluationTables:
        """See ReadsGenAI."""
        from qualia_lab.stores.sql.evaluation import read_evaluation_datasets

        with self._database.connected() as database:
            return read_evaluation_datasets(database, experiment_ids)

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """Where the artifacts of this run are; no I/O until files are listed or read."""
        from qualia_lab.stores.artifact_places import artifact_place

        path = sqlite_path(self._full_uri) if self._full_uri.startswith("sqlite") else None
        return artifact_place(run_id, artifact_uri, beside=path.parent if path else None)

    def change_token(self, experiment_ids: Sequence[str] = ()) -> str:  # noqa: ARG002  a database is asked as a whole
        """See TrackingStore."""
        path = sqlite_path(self._full_uri) if self._full_uri.startswith("sqlite") else None
        if path is not None:
            return sqlite_token(path)
        with self._database.connected() as database:
            return server_token(database)

    def read_schema_revision(self) -> str | None:
        """The schema revision that MLflow recorded; None where there is none."""
        with self._database.connected() as database:
            if "alembic_version" not in database.has:
                return None
            rows = database.fetch(sa.select(alembic_version.c.version_num))
        return str(rows[0][0]) if rows else None

    def close(self) -> None:
        """Close the connections."""
        self._database.close()


def _later(started: object, ended: object) -> float | None:
    """The later one; None without any, and infinity if one is no number, as a text or bytes in SQLite."""
    if type(started) is int and type(ended) is int:
        return max(started, ended)
    times = [time for time in (started, ended) if time is not None]
    return max((time if isinstance(time, (int, float)) else math.inf for time in times), default=None)


def _is_in_range(time: float | None) -> bool:
    """Whether the latest of some times is null, or after 1970 and before the latest possible time."""
    return time is None or 0 < time < LATEST_TIME


@lru_cache(maxsize=16)
def _experiments_select(view: View, has: frozenset[str], *, in_range: bool = False) -> sa.Select[Any]:
    """Experiments with their number of runs and the latest start and end of any.

    `in_range`: disregard times outside the range of `_is_in_range`, which takes longer. In SQLite a text or bytes among
    the times counts as the latest.
    """
    activity = sa.select(
        runs.c.experiment_id,
        sa.func.count().label("run_count"),
        *(
            sa.func.max(sa.case((time.between(1, LATEST_TIME - 1), time)) if in_range else time).label(name)
            for name, time in (("started", runs.c.start_time), ("ended", runs.c.end_time))
        ),
    ).group_by(runs.c.experiment_id)
    if view != "all":
        activity = activity.where(runs.c.lifecycle_stage == view)
    counted = activity.subquery()
    select = (
        sa.select(
            *experiment_columns(has), sa.func.coalesce(counted.c.run_count, 0), counted.c.started, counted.c.ended
        )
        .select_from(experiments.outerjoin(counted, counted.c.experiment_id == experiments.c.experiment_id))
        .order_by(experiments.c.experiment_id)
    )
    return select if view == "all" else select.where(experiments.c.lifecycle_stage == view)
