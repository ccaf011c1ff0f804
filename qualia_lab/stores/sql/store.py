"""SqlStore: MLflow's own database, read by a few queries on its tables; never changed, never migrated."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.stores.sql.connection import SqlConnection, SqlDatabase
from qualia_lab.stores.sql.history import History
from qualia_lab.stores.sql.query import select_matching
from qualia_lab.stores.sql.rows import IDS_PER_QUERY, arrow_table, batched, ignore, in_order
from qualia_lab.stores.sql.sqlite import sqlite_path
from qualia_lab.stores.sql.tables import (
    RUN_COLUMNS,
    RUN_ROWS,
    alembic_version,
    datasets,
    experiment_columns,
    experiment_tags,
    experiments,
    input_tags,
    inputs,
    latest_metrics,
    logged_models,
    metric_value,
    metrics,
    params,
    runs,
    tags,
    text_id,
)
from qualia_lab.tables import RunTables, run_tables, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Query, View
    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.sql.rows import Unread
    from qualia_lab.stores.uri import TrackingUri

    Column = sa.ColumnElement[Any]

# From this many runs on, opening a second connection for Arrow costs less than it saves.
MANY_RUNS = {"sqlite": 100, "postgresql": 2_000}

# From this many on, a condition with their ids takes longer than rows that are not asked for.
_MANY = 100

_FEW_KEYS = 3

# With a limit a database keeps the order of a query that stands in another.
_ALL = 2**62

_MODEL_STATUSES = {0: "UNSPECIFIED", 1: "PENDING", 2: "READY", 3: "FAILED"}


class SqlStore:
    """A tracking store in a database: SQLite, PostgreSQL, MySQL, MariaDB, SQL Server. See protocol.TrackingStore."""

    def __init__(self, uri: TrackingUri) -> None:
        self.uri = uri.safe
        self._full_uri = uri.full
        self._database = SqlDatabase(uri)

    def read_experiments(self, view: View = "active") -> pa.Table:
        """Experiments with run counts and last activity, latest activity first (schema.EXPERIMENT_LIST)."""
        with self._database.connected() as database:
            rows = database.fetch(_experiments_select(view, database.has))
        columns = pa.schema([*schema.EXPERIMENT_LIST, pa.field("ended", schema.INT)])
        table = arrow_table(columns, rows, ignore)
        latest = pc.max_element_wise(table.column("last_activity"), table.column("ended"))
        table = table.set_column(table.schema.get_field_index("last_activity"), "last_activity", latest)
        newest_first = pc.sort_indices(table, sort_keys=[("last_activity", "descending")])  # null ones last
        return table.take(newest_first).select(schema.EXPERIMENT_LIST.names).cast(schema.EXPERIMENT_LIST)

    def read_runs(self, query: Query) -> pa.Table:
        """The runs that match, in the query's order, all of them unless it has a limit (schema.RUNS)."""
        with self._database.connected() as database:
            select = select_matching(query, dialect_name=database.sql.dialect.name, has=database.has)
            if query.limit is None and database.reads_arrow and _are_many(database, _run_count(database)):
                table = database.fetch_arrow(select.limit(_ALL), schema.RUNS)
                if table is not None:
                    return table
            return arrow_table(schema.RUNS, database.fetch(select), ignore)

    def explain(self, query: Query) -> Explanation:
        """See TrackingStore: the database answers all of it."""
        from qualia_lab.stores.sql.explain import explain_sql

        with self._database.connected() as database:
            return explain_sql(database, query)

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """Everything about these runs but histories and artifacts, runs in this order; missing ones are named."""
        wanted = list(dict.fromkeys(run_ids))
        if not wanted:
            return run_tables()
        with self._database.connected() as database:
            return _Reading(database, wanted).tables()

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Every recorded point of these metrics (None: of all), batch by batch (schema.METRIC_HISTORY)."""
        wanted = list(dict.fromkeys(run_ids))
        if not wanted or (keys is not None and not keys):
            return
        with self._database.connected() as database:
            in_all = _run_count(database)
            metric_keys = None if keys is None else list(dict.fromkeys(keys))
            # With a handful of metrics, all their points are read sooner than all points of more runs than that.
            by_run = metric_keys is not None and (len(metric_keys) > _FEW_KEYS or len(wanted) * 30 < in_all)
            are_most = database.reads_arrow and len(wanted) >= _MANY and len(wanted) * 2 >= in_all
            yield from History(database, metric_keys, by_run).read(wanted, are_most=are_most)

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """Where the artifacts of this run are; touches nothing until files are listed or read."""
        from qualia_lab.stores.places import artifact_place

        path = sqlite_path(self._full_uri) if self._full_uri.startswith("sqlite") else None
        return artifact_place(run_id, artifact_uri, beside=path.parent if path else None)

    def read_schema_revision(self) -> str | None:
        """The revision that MLflow keeps of the database's schema; None where it keeps none."""
        with self._database.connected() as database:
            if "alembic_version" not in database.has:
                return None
            rows = database.fetch(sa.select(alembic_version.c.version_num))
        return str(rows[0][0]) if rows else None

    def close(self) -> None:
        """Give back connections."""
        self._database.close()


@lru_cache(maxsize=16)
def _experiments_select(view: View, has: frozenset[str]) -> sa.Select[Any]:
    """Experiments with how many runs each has, and when the latest of them started and ended."""
    activity = sa.select(
        runs.c.experiment_id,
        sa.func.count().label("run_count"),
        sa.func.max(runs.c.start_time).label("started"),
        sa.func.max(runs.c.end_time).label("ended"),
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


class _Reading:
    """One `read`: tables of the runs that are there, and the problems met on the way."""

    def __init__(self, database: SqlConnection, wanted: list[str]) -> None:
        self.database = database
        self.has = database.has
        self.wanted = wanted
        self.problems: list[dict[str, str | None]] = []

    def tables(self) -> RunTables:
        self.run_ids = self.wanted
        found = self.of_runs(schema.RUNS, sa.select(*RUN_COLUMNS).select_from(RUN_ROWS), runs.c.run_uuid, ())
        there = set(found.column("run_id").to_pylist())
        self.run_ids = [run_id for run_id in self.wanted if run_id in there]
        missing = [
            {"run_id": run_id, "reason": "it is not in the store"} for run_id in self.wanted if run_id not in there
        ]
        return RunTables(
            runs=found,
            **self.experiments(found.column("experiment_id")),
            params=self.of_runs(
                schema.PARAMS, sa.select(params.c.run_uuid, params.c.key, params.c.value), params.c.run_uuid, ("key",)
            ),
            tags=self.of_runs(
                schema.TAGS, sa.select(tags.c.run_uuid, tags.c.key, tags.c.value), tags.c.run_uuid, ("key",)
            ),
            metrics=self.metrics(),
            datasets=self.datasets(),
            logged_models=self.logged_models(),
            missing=table_of(schema.MISSING, missing),
            problems=table_of(schema.PROBLEMS, self.problems),
        )

    def of_runs(
        self, columns: pa.Schema, select: sa.Select[Any], run_column: Column, then: tuple[str, ...]
    ) -> pa.Table:
        """Rows of these runs, in the order of the runs and then of other columns."""
        table = None
        if self.are_most:
            table = self.database.fetch_arrow(select, columns) if self.are_many else self.table(columns, select)
        if table is None:
            parts = [
                self.table(columns, select.where(run_column.in_(some))) for some in batched(self.run_ids, IDS_PER_QUERY)
            ]
            table = pa.concat_tables([table_of(columns, []), *parts])
        return in_order(table, "run_id", self.run_ids, then)

    @cached_property
    def are_many(self) -> bool:
        return _are_many(self.database, len(self.wanted))

    @cached_property
    def are_most(self) -> bool:
        """Whether whole tables are read sooner than the rows of each run, and fit into memory."""
        if not self.are_many and not _MANY <= len(self.wanted) <= IDS_PER_QUERY:
            return False
        return len(self.wanted) * 2 >= _run_count(self.database)

    def table(self, columns: pa.Schema, select: sa.Executable) -> pa.Table:
        table = self.database.fetch_arrow(select, columns) if self.are_many else None
        if table is not None:
            return table
        rows = self.database.fetch(select)
        return arrow_table(columns, rows, self.unread(columns, rows))

    def unread(self, columns: pa.Schema, rows: list[tuple[Any, ...]]) -> Unread:
        """What names a value of these rows that could not be taken as it stands."""
        kind = next((name for name, one in schema.TABLES.items() if one is columns), "").removesuffix("s")

        def name_it(place: int, name: str, reason: str) -> None:
            row = dict(zip(columns.names, map(_plain, rows[place]), strict=True))
            subject = name if kind == "run" else f"{name} of {kind} {row.get('key') or row.get('name') or ''}".strip()
            self.problems.append({"run_id": row.get("run_id"), "subject": subject, "reason": reason})

        return name_it

    def experiments(self, of_runs: pa.ChunkedArray) -> dict[str, pa.Table]:
        """The experiments that these runs are in, in their order, and their tags."""
        ids = of_runs.drop_null().unique().to_pylist()
        numbers = [int(text) for text in ids if text.lstrip("-").isdigit()]
        found, tagged = [table_of(schema.EXPERIMENTS, [])], [table_of(schema.EXPERIMENT_TAGS, [])]
        for some in batched(numbers, IDS_PER_QUERY):
            select = sa.select(*experiment_columns(self.has)).where(experiments.c.experiment_id.in_(some))
            found.append(self.table(schema.EXPERIMENTS, select))
            if "experiment_tags" in self.has:
                columns = text_id(experiment_tags.c.experiment_id), experiment_tags.c.key, experiment_tags.c.value
                select = sa.select(*columns).where(experiment_tags.c.experiment_id.in_(some))
                tagged.append(self.table(schema.EXPERIMENT_TAGS, select))
        return {
            "experiments": in_order(pa.concat_tables(found), "experiment_id", ids, ()),
            "experiment_tags": in_order(pa.concat_tables(tagged), "experiment_id", ids, ("key",)),
        }

    def metrics(self) -> pa.Table:
        """The latest value of each metric; found among all points where the schema has no table of them."""
        if "latest_metrics" in self.has:
            latest = latest_metrics.c
            value = metric_value(latest_metrics, self.has)
            select = sa.select(latest.run_uuid, latest.key, value, latest.step, latest.timestamp)
            return self.of_runs(schema.METRICS, select, latest.run_uuid, ("key",))
        point = metrics.c
        place = sa.func.row_number().over(
            partition_by=(point.run_uuid, point.key),
            order_by=(point.step.desc(), point.timestamp.desc(), point.value.desc()),
        )
        value = metric_value(metrics, self.has).label("value")
        ranked = sa.select(point.run_uuid, point.key, value, point.step, point.timestamp, place.label("place"))
        parts = []
        for some in batched(self.run_ids, IDS_PER_QUERY):
            of_some = ranked.where(point.run_uuid.in_(some)).subquery()
            select = sa.select(*(of_some.c[name] for name in ("run_uuid", "key", "value", "step", "timestamp")))
            parts.append(self.table(schema.METRICS, select.where(of_some.c.place == 1)))
        table = pa.concat_tables([table_of(schema.METRICS, []), *parts])
        return in_order(table, "run_id", self.run_ids, ("key",))

    def datasets(self) -> pa.Table:
        """The datasets that were logged as inputs, each with its context."""
        if not {"datasets", "inputs", "input_tags"} <= self.has:
            return table_of(schema.DATASETS, [])
        context = sa.and_(input_tags.c.input_uuid == inputs.c.input_uuid, input_tags.c.name == "mlflow.data.context")
        select = (
            sa.select(
                inputs.c.destination_id,
                datasets.c.name,
                datasets.c.digest,
                datasets.c.dataset_source_type,
                datasets.c.dataset_source,
                datasets.c.dataset_schema,
                datasets.c.dataset_profile,
                input_tags.c.value,
            )
            .select_from(
                inputs.join(datasets, datasets.c.dataset_uuid == inputs.c.source_id).outerjoin(input_tags, context)
            )
            .where(inputs.c.source_type == "DATASET", inputs.c.destination_type == "RUN")
        )
        return self.of_runs(schema.DATASETS, select, inputs.c.destination_id, ("name", "digest", "context"))

    def logged_models(self) -> pa.Table:
        """The models that a run made, or names among its outputs; deleted ones are left out."""
        if not {"logged_models", "inputs"} <= self.has:
            return table_of(schema.LOGGED_MODELS, [])
        model = logged_models.c
        columns = (
            model.model_id,
            text_id(model.experiment_id),
            model.name,
            model.model_type,
            sa.case(_MODEL_STATUSES, value=model.status),
            model.artifact_location,
            model.creation_timestamp_ms,
            model.last_updated_timestamp_ms,
        )
        parts = []
        # Without a condition, others' models come too, and are sorted out with the order.
        for some in [None] if self.are_most else batched(self.run_ids, IDS_PER_QUERY):
            made = sa.select(model.source_run_id.label("run_id"), *columns)
            named = (
                sa.select(inputs.c.source_id.label("run_id"), *columns)
                .join_from(logged_models, inputs, inputs.c.destination_id == model.model_id)
                .where(
                    inputs.c.source_type == "RUN_OUTPUT",
                    inputs.c.destination_type == "MODEL_OUTPUT",
                )
            )
            if some is not None:
                made, named = made.where(model.source_run_id.in_(some)), named.where(inputs.c.source_id.in_(some))
            is_there = model.lifecycle_stage == "active"
            parts.append(self.table(schema.LOGGED_MODELS, sa.union(made.where(is_there), named.where(is_there))))
        table = pa.concat_tables([table_of(schema.LOGGED_MODELS, []), *parts])
        return in_order(table, "run_id", self.run_ids, ("name", "model_id"))


def _are_many(database: SqlConnection, count: int) -> bool:
    """Whether so many runs are had sooner as Arrow."""
    if database.arrow is None or not database.reads_arrow:
        return False
    many = MANY_RUNS[database.sql.dialect.name]
    return count >= (min(_MANY, many) if database.arrow.is_open else many)


def _run_count(database: SqlConnection) -> int:
    """How many runs there are at all."""
    ((in_all,),) = database.fetch(sa.select(sa.func.count()).select_from(runs))
    return int(in_all)


def _plain(value: Any) -> str | None:
    return (
        value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else None if value is None else str(value)
    )
