"""Runs whose experiment does not exist: they cannot be assigned to a task, so they are reported as missing."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.columns import column, whole
from qualia_lab.escaping import one_line
from qualia_lab.tables import rows_with, table_of

if TYPE_CHECKING:
    from qualia_lab.tables import RunTables


def in_known_experiments(tables: RunTables) -> RunTables:
    """The tables without runs whose experiment is not in `experiments`; those runs are listed in `missing`."""
    experiment_ids = whole(tables.runs.column("experiment_id"))
    known_ids = whole(tables.experiments.column("experiment_id"))
    if pc.all(pc.is_in(experiment_ids, value_set=known_ids.drop_null())).as_py() in (True, None):
        return tables
    known_set = set(known_ids.drop_null().to_pylist())
    rows = zip(tables.run_ids, experiment_ids.to_pylist(), strict=True)
    reasons = {run_id: _reason(experiment_id) for run_id, experiment_id in rows if experiment_id not in known_set}
    remaining = [run_id for run_id in tables.run_ids if run_id not in reasons]
    filtered = {
        field.name: rows_with(getattr(tables, field.name), "run_id", remaining)
        for field in fields(tables)
        if field.name not in ("experiments", "experiment_tags", "missing", "problems")
    }
    missing = table_of(schema.MISSING, [{"run_id": run_id, "reason": reason} for run_id, reason in reasons.items()])
    is_other = pc.invert(pc.is_in(tables.problems.column("run_id"), value_set=column(list(reasons), schema.STRING)))
    return replace(
        tables,
        **filtered,
        missing=pa.concat_tables([tables.missing, missing]),
        problems=tables.problems.filter(is_other),
    )


def _reason(experiment_id: str | None) -> str:
    if experiment_id is None:
        return "the store does not say which experiment it belongs to"
    return f"the store has no experiment {one_line(experiment_id, 40)}, which the run says it belongs to"
