"""Runs whose experiment is not known belong to no task that can be told: they are missing, with the reason."""

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
    """The tables of the runs whose experiment is among `experiments`; the others stand in `missing`."""
    owners = whole(tables.runs.column("experiment_id"))
    known = whole(tables.experiments.column("experiment_id"))
    if pc.all(pc.is_in(owners, value_set=known.drop_null())).as_py() in (True, None):
        return tables
    there = set(known.drop_null().to_pylist())
    rows = zip(tables.run_ids, owners.to_pylist(), strict=True)
    reasons = {run_id: _why(experiment_id) for run_id, experiment_id in rows if experiment_id not in there}
    kept = [run_id for run_id in tables.run_ids if run_id not in reasons]
    parts = {
        field.name: rows_with(getattr(tables, field.name), "run_id", kept)
        for field in fields(tables)
        if field.name not in ("experiments", "experiment_tags", "missing", "problems")
    }
    missing = table_of(schema.MISSING, [{"run_id": run_id, "reason": reason} for run_id, reason in reasons.items()])
    others = pc.invert(pc.is_in(tables.problems.column("run_id"), value_set=column(list(reasons), schema.STRING)))
    return replace(
        tables,
        **parts,
        missing=pa.concat_tables([tables.missing, missing]),
        problems=tables.problems.filter(others),
    )


def _why(experiment_id: str | None) -> str:
    if experiment_id is None:
        return "the store does not say in which experiment it is"
    return f"the store has no experiment {one_line(experiment_id, 40)}, in which it is said to be"
