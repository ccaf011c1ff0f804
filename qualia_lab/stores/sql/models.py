"""Logged models and the registry of a database (ModelTables)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.genai_tables import ModelTables
from qualia_lab.stores.model_sources import model_id_of
from qualia_lab.stores.sql.entity_rows import EntityRows, Wanted, is_among, no_text, value_of_ids, whole_number
from qualia_lab.stores.sql.genai_tables import (
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    model_aliases,
    model_version_tags,
    model_versions,
)
from qualia_lab.stores.sql.reading import MODEL_STATUSES
from qualia_lab.stores.sql.rows import in_order
from qualia_lab.stores.sql.tables import inputs, logged_models, metrics, runs, text_id
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.stores.sql.connection import SqlConnection

    Truth = sa.ColumnElement[bool]

# MLflow keeps the row of a version that was deleted, in this stage.
_DELETED = "Deleted_Internal"
_IS_OUTPUT = sa.and_(inputs.c.source_type == "RUN_OUTPUT", inputs.c.destination_type == "MODEL_OUTPUT")


def read_models(database: SqlConnection, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> ModelTables:
    """See ReadsGenAI.read_models."""
    reading = _ModelReading(database, list(dict.fromkeys(experiment_ids)), list(dict.fromkeys(run_ids)))
    return reading.tables()


class _ModelReading:
    def __init__(self, database: SqlConnection, experiment_ids: list[str], run_ids: list[str]) -> None:
        self.has = database.has | database.has_genai
        self.experiments = [int(text) for text in experiment_ids if text.lstrip("-").isdigit()]
        self.dialect = database.sql.dialect.name
        self.runs = {"runs": value_of_ids(run_ids, self.dialect)}
        self.is_all = not experiment_ids and not run_ids
        self.rows = EntityRows(database)

    def tables(self) -> ModelTables:
        models = self.models()
        wanted = Wanted(models.column("model_id").to_pylist(), are_most=self.is_all)
        versions = self.versions(set(wanted.ids))
        tags, aliases = self.of_versions(versions)
        model = logged_model_params.c, logged_model_tags.c
        return ModelTables(
            models=models,
            outputs=self.outputs(wanted),
            params=self.of(
                schema.MODEL_PARAMS, (model[0].model_id, model[0].param_key, model[0].param_value), wanted, ("key",)
            ),
            tags=self.of(
                schema.MODEL_TAGS, (model[1].model_id, model[1].tag_key, model[1].tag_value), wanted, ("key",)
            ),
            metrics=self.metrics(wanted),
            versions=versions,
            version_tags=tags,
            aliases=aliases,
            problems=self.rows.problem_table(),
        )

    def models(self) -> pa.Table:
        if "logged_models" not in self.has:
            return table_of(schema.MODELS, [])
        model = logged_models.c
        select = sa.select(
            model.model_id,
            text_id(model.experiment_id),
            model.source_run_id,
            model.name,
            model.model_type,
            sa.case(MODEL_STATUSES, value=model.status),
            model.status_message if "logged_models.status_message" in self.has else no_text(),
            model.artifact_location,
            model.creation_timestamp_ms,
            model.last_updated_timestamp_ms,
        ).where(model.lifecycle_stage == "active")
        if not self.is_all:
            listed = sa.select(inputs.c.destination_id).where(_IS_OUTPUT, self.is_of_runs(inputs.c.source_id))
            select = select.where(
                sa.or_(
                    model.experiment_id.in_(self.experiments),
                    self.is_of_runs(model.source_run_id),
                    model.model_id.in_(listed),
                )
            )
        select = select.order_by(model.creation_timestamp_ms, model.model_id)
        return self.rows.all_of(schema.MODELS, select, 0, **({} if self.is_all else self.runs))

    def is_of_runs(self, run_id: sa.ColumnElement[Any]) -> Truth:
        """Whether a column has the id of one of the runs; needs the values `runs`."""
        return is_among(run_id, "runs", self.dialect)

    def outputs(self, wanted: Wanted) -> pa.Table:
        """The runs that list these models, by run and step."""
        if not wanted.ids or "inputs" not in self.has:
            return table_of(schema.MODEL_OUTPUTS, [])
        step = inputs.c.step if "inputs.step" in self.has else sa.cast(sa.null(), sa.BigInteger)
        select = sa.select(inputs.c.destination_id, inputs.c.source_id, step).where(_IS_OUTPUT)
        names = ["model_id", "run_id", "step"]
        by_model = pa.schema([schema.MODEL_OUTPUTS.field(name) for name in names])
        table = self.rows.of(by_model, select, inputs.c.destination_id, wanted, ("run_id",))
        runs_in_order = sorted(set(table.column("run_id").to_pylist()))
        return in_order(table.select(schema.MODEL_OUTPUTS.names), "run_id", runs_in_order, ("step", "model_id"))

    def metrics(self, wanted: Wanted) -> pa.Table:
        """Every point; NaN is stored as 0, and known only from the same point among the run's own metrics."""
        point = logged_model_metrics.c
        is_nan = (
            sa.select(sa.literal_column("1"))
            .where(
                metrics.c.key == point.metric_name,
                metrics.c.run_uuid == point.run_id,
                metrics.c.step == point.metric_step,
                metrics.c.timestamp == point.metric_timestamp_ms,
                metrics.c.is_nan == sa.true(),
            )
            .correlate(logged_model_metrics)
            .exists()
        )
        columns = (
            point.model_id,
            point.run_id,
            point.metric_name,
            sa.case((sa.and_(point.metric_value == 0, is_nan), sa.null()), else_=point.metric_value),
            point.metric_step,
            point.metric_timestamp_ms,
            point.dataset_name,
            point.dataset_digest,
        )
        then = ("key", "dataset_name", "dataset_digest", "step", "timestamp", "run_id")
        return self.of(schema.MODEL_METRICS, columns, wanted, then)

    def of(
        self, columns: pa.Schema, select: Sequence[sa.ColumnElement[Any]], wanted: Wanted, then: Sequence[str]
    ) -> pa.Table:
        """The rows of these models in one table; the first selected column is the model's id."""
        table = select[0].table
        if not wanted.ids or table.name not in self.has:
            return table_of(columns, [])
        return self.rows.of(columns, sa.select(*select), select[0], wanted, then)

    # The registry

    def versions(self, model_ids: set[str]) -> pa.Table:
        """The versions that were not deleted and belong to what was asked for, by name and version."""
        if "model_versions" not in self.has:
            return table_of(schema.MODEL_VERSIONS, [])
        version = model_versions.c
        of_run = self.is_of_runs(version.run_id)
        if self.experiments:
            in_experiments = sa.select(runs.c.run_uuid).where(runs.c.experiment_id.in_(self.experiments))
            of_run = sa.or_(of_run, version.run_id.in_(in_experiments))
        select = sa.select(
            version.name,
            whole_number(version.version),
            sa.func.nullif(version.run_id, ""),
            sa.case((of_run, "run"), else_=""),  # in the place of the model's id, which only `source` tells
            version.source,
            version.current_stage,
            version.status,
            sa.func.nullif(version.status_message, ""),
            sa.func.nullif(version.user_id, ""),
            sa.func.nullif(version.description, ""),
            version.creation_time,
            version.last_updated_time,
        ).where(sa.or_(version.current_stage.is_(None), version.current_stage != _DELETED))
        table = self.rows.all_of(schema.MODEL_VERSIONS, select, 0, **self.runs)
        rows = []
        for row in table.to_pylist():
            is_of_run, row["model_id"] = bool(row["model_id"]), model_id_of(row["source"])
            if self.is_all or is_of_run or row["model_id"] in model_ids:
                rows.append(row)
        return table_of(schema.MODEL_VERSIONS, sorted(rows, key=lambda row: (row["name"], row["version"])))

    def of_versions(self, versions: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The tags of these versions, and the aliases of their registered models."""
        names = sorted(set(versions.column("name").to_pylist()))
        there = set(zip(versions.column("name").to_pylist(), versions.column("version").to_pylist(), strict=True))
        tag, alias = model_version_tags.c, model_aliases.c
        wanted = Wanted(names, are_most=self.is_all)
        tags, aliases = table_of(schema.MODEL_VERSION_TAGS, []), table_of(schema.MODEL_ALIASES, [])
        if names and "model_version_tags" in self.has:
            select = sa.select(tag.name, whole_number(tag.version), tag.key, tag.value)
            tags = self.rows.of(schema.MODEL_VERSION_TAGS, select, tag.name, wanted, ("version", "key"))
            kept = [row for row in tags.to_pylist() if (row["name"], row["version"]) in there]
            tags = table_of(schema.MODEL_VERSION_TAGS, kept)
        if names and "registered_model_aliases" in self.has:
            of_alias: sa.Select[Any] = sa.select(alias.name, alias.alias, whole_number(alias.version))
            aliases = self.rows.of(schema.MODEL_ALIASES, of_alias, alias.name, wanted, ("alias",))
        return tags, aliases
