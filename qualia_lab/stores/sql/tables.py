"""The tables and columns of MLflow that are read, of every schema from 1.x to today.

Which of them a database has is looked up when it is opened: old schemas lack some.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

Column = sa.ColumnElement[Any]


def table_with(name: str, columns: str) -> sa.TableClause:
    """A table of this name with these columns, given as words."""
    return sa.table(name, *(sa.column(column) for column in columns.split()))


experiments = table_with(
    "experiments", "experiment_id name artifact_location lifecycle_stage creation_time last_update_time workspace"
)
experiment_tags = table_with("experiment_tags", "key value experiment_id")
runs = table_with(
    "runs", "run_uuid name user_id status start_time end_time lifecycle_stage artifact_uri experiment_id deleted_time"
)
params = table_with("params", "key value run_uuid")
tags = table_with("tags", "key value run_uuid")
metrics = table_with("metrics", "key value timestamp run_uuid step is_nan")
latest_metrics = table_with("latest_metrics", "key value timestamp step is_nan run_uuid")
datasets = table_with(
    "datasets",
    "dataset_uuid experiment_id name digest dataset_source_type dataset_source dataset_schema dataset_profile",
)
inputs = table_with("inputs", "input_uuid source_type source_id destination_type destination_id step")
input_tags = table_with("input_tags", "input_uuid name value")
logged_models = table_with(
    "logged_models",
    "model_id experiment_id name artifact_location creation_timestamp_ms last_updated_timestamp_ms status "
    "lifecycle_stage model_type source_run_id status_message",
)
alembic_version = table_with("alembic_version", "version_num")

# All tables that are read.
NAMES = tuple(
    table.name
    for table in (
        experiments,
        experiment_tags,
        runs,
        params,
        tags,
        metrics,
        latest_metrics,
        datasets,
        inputs,
        input_tags,
        logged_models,
        alembic_version,
    )
)

# Columns that older schemas keep in another place or type.


_named, _parent = tags.alias("named"), tags.alias("parent")
_OF_NAME = sa.and_(_named.c.run_uuid == runs.c.run_uuid, _named.c.key == "mlflow.runName")
_OF_PARENT = sa.and_(_parent.c.run_uuid == runs.c.run_uuid, _parent.c.key == "mlflow.parentRunId")


def with_tags(rows: sa.FromClause) -> sa.Join:
    """Rows of `runs` joined with the tags that RUN_COLUMNS needs: names (before MLflow 1.30) and parents."""
    return rows.outerjoin(_named, _OF_NAME).outerjoin(_parent, _OF_PARENT)


def text_id(number: Column) -> Column:
    """An experiment's id, a number in the database, as text."""
    return sa.cast(number, sa.String(32))


# The columns of schema.RUNS.
RUN_COLUMNS = (
    runs.c.run_uuid,
    text_id(runs.c.experiment_id),
    sa.func.coalesce(sa.func.nullif(runs.c.name, ""), _named.c.value),
    runs.c.status,
    runs.c.start_time,
    runs.c.end_time,
    runs.c.user_id,
    runs.c.lifecycle_stage,
    runs.c.artifact_uri,
    _parent.c.value,
)


def experiment_columns(has: frozenset[str]) -> list[Column]:
    """The columns of schema.EXPERIMENTS, null where the database lacks them."""
    times = [
        experiments.c[name] if f"experiments.{name}" in has else sa.null()
        for name in ("creation_time", "last_update_time")
    ]
    experiment = experiments.c
    return [
        text_id(experiment.experiment_id),
        experiment.name,
        experiment.artifact_location,
        experiment.lifecycle_stage,
        *times,
    ]


def metric_value(table: sa.TableClause, has: frozenset[str]) -> Column:
    """A metric's value, null for NaN, which MLflow stores as 0 with `is_nan`."""
    if f"{table.name}.is_nan" not in has:
        return table.c.value
    return sa.case((table.c.is_nan == sa.true(), sa.null()), else_=table.c.value)


def existing_columns(connection: sa.Connection, of: tuple[str, ...] = NAMES) -> frozenset[str]:
    """Which of these tables of MLflow the database has, and their columns as `table.column`."""
    if connection.dialect.name == "sqlite":
        query = (
            "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c"
            " WHERE t.type = 'table' AND t.name IN :names"
        )
    elif connection.dialect.name == "postgresql":  # ten times faster than information_schema
        query = (
            "SELECT t.relname, c.attname FROM pg_catalog.pg_class t JOIN pg_catalog.pg_attribute c"
            " ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped"
            " WHERE t.relname IN :names AND t.relkind IN ('r', 'p', 'v', 'm', 'f')"
            " AND t.relnamespace = ANY (current_schemas(false)::regnamespace[])"
            " AND has_column_privilege(t.oid, c.attnum, 'SELECT')"
        )
    else:
        schema = {"mssql": "SCHEMA_NAME()"}
        query = (
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_name IN :names"  # noqa: S608 - constants
            f" AND table_schema = {schema.get(connection.dialect.name, 'DATABASE()')}"
        )
    names: sa.BindParameter[Any] = sa.bindparam("names", of, expanding=True)
    rows = connection.execute(sa.text(query).bindparams(names)).fetchall()
    return frozenset({table for table, _ in rows} | {f"{table}.{column}" for table, column in rows})


def schemas_with_tables(connection: sa.Connection) -> list[str]:
    """The schemas of a PostgreSQL database that have MLflow's main tables but are not in the search path."""
    if connection.dialect.name != "postgresql":
        return []
    query = (
        "SELECT n.nspname FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace"
        " WHERE t.relname IN ('experiments', 'runs') AND NOT n.oid = ANY (current_schemas(false)::regnamespace[])"
        " GROUP BY n.nspname HAVING count(*) = 2 ORDER BY n.nspname"
    )
    return [str(name) for (name,) in connection.execute(sa.text(query)).fetchall()]
