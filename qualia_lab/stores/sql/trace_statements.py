"""The statements that read traces of a database, with parameters.

Constant statements are built once: building one takes as long as reading a few traces.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.stores.sql.entity_rows import is_among, truth
from qualia_lab.stores.sql.genai_tables import assessments, associations, trace_info, trace_metadata
from qualia_lab.stores.sql.tables import experiments

Truth = sa.ColumnElement[bool]

IS_LINK = sa.and_(associations.c.source_type == "trace", associations.c.destination_type == "run")
STORED_ASSESSMENTS = pa.schema(
    [pa.field(one.name, schema.INT) if one.name == "valid" else one for one in schema.ASSESSMENTS]
)


def _conditions(has: frozenset[str], dialect: str, given: frozenset[str], *, by_time: bool = False) -> list[Truth]:
    """Conditions on the table of traces.

    Args:
        has: the tables of the database.
        dialect: the name of its dialect.
        given: which of the parameters `experiments` and `runs` there are; all active experiments without the first.
        by_time: whether traces shall not be found by their experiment.
    """
    trace_id, made = trace_info.c.request_id, trace_metadata.c
    experiment: sa.ColumnElement[Any] = trace_info.c.experiment_id
    if by_time:
        experiment = experiment.op("+")(sa.literal_column("0"))
    active = sa.select(experiments.c.experiment_id).where(experiments.c.lifecycle_stage == "active")
    listed = sa.bindparam("experiments", type_=sa.BigInteger(), expanding=True)
    conditions: list[Truth] = [experiment.in_(listed if "experiments" in given else active)]
    if "runs" in given:
        of_run = is_among(made.value, "runs", dialect)
        in_run: list[Truth] = [trace_id.in_(sa.select(made.request_id).where(made.key == "mlflow.sourceRun", of_run))]
        if "entity_associations" in has:
            of_link = is_among(associations.c.destination_id, "runs", dialect)
            linked = sa.select(associations.c.source_id).where(IS_LINK, of_link)
            in_run.append(trace_id.in_(linked))
        conditions.append(sa.or_(*in_run))
    return conditions


@lru_cache(maxsize=32)
def matching(
    has: frozenset[str],
    dialect: str,
    given: frozenset[str],
    by_time: bool,
    limited: bool,
    *selected: sa.ColumnElement[Any],
) -> sa.Select[Any]:
    """These columns of the traces that match, the latest first; `limited`: with the parameter `limit`."""
    trace_id = trace_info.c.request_id
    by_id = sa.collate(trace_id, "C") if dialect == "postgresql" else trace_id
    select = sa.select(*selected).where(*_conditions(has, dialect, given, by_time=by_time))
    select = select.order_by(trace_info.c.timestamp_ms.desc(), by_id)
    return select.limit(sa.bindparam("limit", type_=sa.BigInteger())) if limited else select


@cache
def assessments_of_traces() -> sa.Select[Any]:
    """Everything that was said about traces, with the columns of STORED_ASSESSMENTS."""
    one = assessments.c
    return sa.select(
        one.trace_id,
        one.assessment_id,
        one.name,
        one.assessment_type,
        sa.func.nullif(one.value, "null"),
        one.error,
        one.rationale,
        one.source_type,
        one.source_id,
        one.run_id,
        one.span_id,
        one.overrides,
        truth(one.valid),
        one.assessment_metadata,
        one.created_timestamp,
        one.last_updated_timestamp,
    )


@cache
def keys_and_values(table: sa.TableClause, only: tuple[str, ...] | None, but: tuple[str, ...]) -> sa.Select[Any]:
    """Keys and values.  only: these keys; None for all but those in `but`."""
    select = sa.select(table.c.request_id, table.c.key, table.c.value)
    if only is not None:
        return select.where(table.c.key.in_(only))
    return select.where(table.c.key.not_in(but)) if but else select
