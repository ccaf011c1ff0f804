"""Evaluation datasets of a database (EvaluationTables)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.genai_tables import EvaluationTables, evaluation_tables
from qualia_lab.stores.sql.entity_rows import EntityRows, Wanted
from qualia_lab.stores.sql.genai_tables import associations, evaluation_datasets, evaluation_records
from qualia_lab.stores.trace_files import parsed
from qualia_lab.stores.values import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from qualia_lab.stores.sql.connection import SqlConnection

    Column = sa.ColumnElement[Any]

_WRAPPED = "mlflow_wrapped"  # the key below which MLflow stores the outputs of a record
_IS_USE = sa.and_(
    associations.c.source_type == "evaluation_dataset",
    associations.c.destination_type == "experiment",
)


def read_evaluation_datasets(database: SqlConnection, experiment_ids: Sequence[str]) -> EvaluationTables:
    """See ReadsGenAI.read_evaluation_datasets."""
    if not {"evaluation_datasets", "evaluation_dataset_records", "entity_associations"} <= database.has_genai:
        return evaluation_tables()
    rows = EntityRows(database)
    dataset = evaluation_datasets.c
    select = sa.select(
        dataset.dataset_id,
        dataset.name,
        dataset.digest,
        dataset.schema,
        dataset.profile,
        dataset.created_time,
        dataset.last_update_time,
    ).order_by(dataset.name, dataset.dataset_id)
    if experiment_ids:
        used = sa.select(associations.c.source_id).where(
            _IS_USE, associations.c.destination_id.in_(list(dict.fromkeys(experiment_ids)))
        )
        select = select.where(dataset.dataset_id.in_(used))
    datasets = rows.all_of(schema.EVALUATION_DATASETS, select, 0)
    wanted = Wanted(datasets.column("dataset_id").to_pylist(), are_most=not experiment_ids)
    if not wanted.ids:
        return evaluation_tables(datasets=datasets, problems=rows.problem_table())
    uses = sa.select(associations.c.source_id, associations.c.destination_id).where(_IS_USE)
    return EvaluationTables(
        datasets=datasets,
        records=_records(rows, wanted),
        uses=rows.of(schema.EVALUATION_DATASET_USES, uses, associations.c.source_id, wanted, ("experiment_id",)),
        problems=rows.problem_table(),
    )


def _records(rows: EntityRows, wanted: Wanted) -> pa.Table:
    record = evaluation_records.c
    select = sa.select(
        record.dataset_id,
        record.dataset_record_id,
        _json(record.inputs),
        _json(record.outputs),
        _json(record.expectations),
        _json(record.tags),
        _json(record.source),
        record.source_type,
        record.created_time,
        record.last_update_time,
    )
    then = ("creation_time", "record_id")
    table = rows.of(schema.EVALUATION_RECORDS, select, record.dataset_id, wanted, then)
    outputs = [_unwrapped(value) for value in table.column("outputs").to_pylist()]
    place = table.schema.get_field_index("outputs")
    return table.set_column(place, "outputs", column(outputs, schema.STRING))


def _json(value: Column) -> Column:
    """A column of type JSON as its text; null also for the JSON null, which MLflow stores for nothing."""
    return sa.func.nullif(sa.cast(value, sa.Text), "null")


def _unwrapped(outputs: str | None) -> str | None:
    value = parsed(outputs)
    if not isinstance(value, dict) or _WRAPPED not in value:
        return None
    inner = value[_WRAPPED]
    return None if inner is None else text(json.dumps(inner, ensure_ascii=False))
