"""Everything in the tables about some runs: whole tables where that is faster than the rows of each run."""

from __future__ import annotations

from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.stores.sql.rows import IDS_PER_QUERY, arrow_table, batched, in_order
from qualia_lab.stores.sql.tables import (
    RUN_COLUMNS,
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
    with_tags,
)
from qualia_lab.tables import RunTables, table_of

if TYPE_CHECKING:
    from qualia_lab.stores.sql.connection import SqlConnection
    from qualia_lab.stores.sql.rows import Unread

    Column = sa.ColumnElement[Any]

# From this many runs on, opening ADBC connections costs less than it saves, at the latest at the second read.
MANY_RUNS = {"sqlite": 100, "postgresql": 500}

# Up to this many runs tables are read concurrently; with more, two at once would take too much memory.
_MOST_CONCURRENT = 20_000

# From this many on, a condition on their ids takes longer than reading rows that were not asked for.
MANY_IDS = 100

MODEL_STATUSES = {0: "UNSPECIFIED", 1: "PENDING", 2: "READY", 3: "FAILED"}


class Reading:
    """One `read`: the tables of the runs that exist, and the problems found while reading."""

    def __init__(self, database: SqlConnection, wanted: list[str]) -> None:
        self.database = database
        self.has = database.has
        self.wanted = wanted
        self.problems: list[dict[str, str | None]] = []

    def tables(self) -> RunTables:
        """The tables, with runs in the requested order."""
        self.run_ids = self.wanted
        self.prefetched = self.read_concurrently()
        found = self.of_runs(schema.RUNS, _of_runs(), runs.c.run_uuid, ())
        there = set(found.column("run_id").to_pylist())
        self.run_ids = [run_id for run_id in self.wanted if run_id in there]
        missing = [
            {"run_id": run_id, "reason": "it is not in the store"} for run_id in self.wanted if run_id not in there
        ]
        return RunTables(
            runs=found,
            **self.experiments(found.column("experiment_id")),
            params=self.of_runs(schema.PARAMS, _of_keys(params), params.c.run_uuid, ("key",)),
            tags=self.of_runs(schema.TAGS, _of_keys(tags), tags.c.run_uuid, ("key",)),
            metrics=self.metrics(),
            datasets=self.datasets(),
            logged_models=self.logged_models(),
            missing=table_of(schema.MISSING, missing),
            problems=table_of(schema.PROBLEMS, self.problems),
        )

    def read_concurrently(self) -> dict[Any, pa.Table | None]:
        """The large tables by their statement, whole and sorted; empty where reading concurrently is not faster."""
        if not (self.are_most and self.are_many) or len(self.wanted) > _MOST_CONCURRENT:
            return {}
        large = [
            (schema.PARAMS, _of_keys(params), ("key",)),
            (schema.RUNS, _of_runs(), ()),
            (schema.TAGS, _of_keys(tags), ("key",)),
        ]
        if "latest_metrics" in self.has:
            large.insert(0, (schema.METRICS, _of_latest_metrics(self.has), ("key",)))
        reads = {
            select: self.database.begin_arrow(
                select, columns, partial(in_order, by="run_id", ids=self.wanted, then=then)
            )
            for columns, select, then in large
        }
        return {select: one.result() for select, one in reads.items()}

    def of_runs(
        self, columns: pa.Schema, select: sa.Select[Any], run_column: Column, then: tuple[str, ...]
    ) -> pa.Table:
        """The rows of these runs, in the order of the runs and then by the columns `then`."""
        table = self.prefetched.pop(select, None)
        if table is not None and len(self.run_ids) == len(self.wanted):
            return table
        if table is None and self.are_most:
            table = self.database.fetch_arrow(select, columns) if self.are_many else self.table(columns, select)
        if table is None:
            parts = [
                self.table(columns, select.where(run_column.in_(some))) for some in batched(self.run_ids, IDS_PER_QUERY)
            ]
            table = pa.concat_tables([table_of(columns, []), *parts])
        return in_order(table, "run_id", self.run_ids, then)

    @cached_property
    def are_many(self) -> bool:
        """Whether this many runs are read faster through ADBC."""
        return are_many(self.database, len(self.wanted))

    @cached_property
    def are_most(self) -> bool:
        """Whether whole tables are read faster than the rows of each run, and fit into memory."""
        if not self.are_many and not MANY_IDS <= len(self.wanted) <= IDS_PER_QUERY:
            return False
        return len(self.wanted) * 2 >= run_count(self.database)

    def table(self, columns: pa.Schema, select: sa.Executable) -> pa.Table:
        """The rows of this statement; values that cannot be converted are added to the problems."""
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
        """The latest value of each metric; computed from all points where the schema has no table of latest values."""
        if "latest_metrics" in self.has:
            return self.of_runs(schema.METRICS, _of_latest_metrics(self.has), latest_metrics.c.run_uuid, ("key",))
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
        """The datasets logged as inputs, with their context."""
        if not {"datasets", "inputs", "input_tags"} <= self.has:
            return table_of(schema.DATASETS, [])
        return self.of_runs(schema.DATASETS, _of_datasets(), inputs.c.destination_id, ("name", "digest", "context"))

    def logged_models(self) -> pa.Table:
        """The models that a run created or lists as outputs; deleted ones are left out."""
        if not {"logged_models", "inputs"} <= self.has:
            return table_of(schema.LOGGED_MODELS, [])
        if self.are_most:  # includes models of other runs, which `in_order` drops
            parts = [self.table(schema.LOGGED_MODELS, _of_all_logged_models())]
        else:
            made, named = _of_logged_models()
            parts = []
            for some in batched(self.run_ids, IDS_PER_QUERY):
                of_some = made.where(logged_models.c.source_run_id.in_(some)), named.where(inputs.c.source_id.in_(some))
                parts.append(self.table(schema.LOGGED_MODELS, sa.union(*of_some)))
        table = pa.concat_tables([table_of(schema.LOGGED_MODELS, []), *parts])
        return in_order(table, "run_id", self.run_ids, ("name", "model_id"))


def are_many(database: SqlConnection, count: int) -> bool:
    """Whether this many runs are read faster through ADBC."""
    if database.arrow is None or not database.reads_arrow:
        return False
    many = MANY_RUNS[database.sql.dialect.name]
    return count >= (min(MANY_IDS, many) if database.arrow.is_open else many)


def run_count(database: SqlConnection) -> int:
    """The number of runs in the database."""
    ((in_all,),) = database.fetch(sa.select(sa.func.count()).select_from(runs))
    return int(in_all)


def _plain(value: Any) -> str | None:
    return (
        value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else None if value is None else str(value)
    )


# Constant statements are built once: building one takes as long as running a small one.


@cache
def _of_runs() -> sa.Select[Any]:
    return sa.select(*RUN_COLUMNS).select_from(with_tags(runs))


@cache
def _of_keys(table: sa.TableClause) -> sa.Select[Any]:
    return sa.select(table.c.run_uuid, table.c.key, table.c.value)


@cache
def _of_latest_metrics(has: frozenset[str]) -> sa.Select[Any]:
    latest = latest_metrics.c
    return sa.select(latest.run_uuid, latest.key, metric_value(latest_metrics, has), latest.step, latest.timestamp)


@cache
def _of_datasets() -> sa.Select[Any]:
    context = sa.and_(input_tags.c.input_uuid == inputs.c.input_uuid, input_tags.c.name == "mlflow.data.context")
    rows = inputs.join(datasets, datasets.c.dataset_uuid == inputs.c.source_id).outerjoin(input_tags, context)
    return (
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
        .select_from(rows)
        .where(inputs.c.source_type == "DATASET", inputs.c.destination_type == "RUN")
    )


@cache
def _of_logged_models() -> tuple[sa.Select[Any], sa.Select[Any]]:
    """Models that a run created, and models that it lists as outputs."""
    model = logged_models.c
    columns = (
        model.model_id,
        text_id(model.experiment_id),
        model.name,
        model.model_type,
        sa.case(MODEL_STATUSES, value=model.status),
        model.artifact_location,
        model.creation_timestamp_ms,
        model.last_updated_timestamp_ms,
    )
    made = sa.select(model.source_run_id.label("run_id"), *columns)
    named = (
        sa.select(inputs.c.source_id.label("run_id"), *columns)
        .join_from(logged_models, inputs, inputs.c.destination_id == model.model_id)
        .where(inputs.c.source_type == "RUN_OUTPUT", inputs.c.destination_type == "MODEL_OUTPUT")
    )
    is_there = model.lifecycle_stage == "active"
    return made.where(is_there), named.where(is_there)


@cache
def _of_all_logged_models() -> sa.CompoundSelect[Any]:
    return sa.union(*_of_logged_models())
