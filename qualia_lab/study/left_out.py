"""The runs that take part in no comparison, with the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.columns import texts_of
from qualia_lab.study.statuses import left_out
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.study.parents import Families
    from qualia_lab.tables import RunTables

_OPTUNA = {"PRUNED": "pruned", "FAIL": "failed"}  # Optuna's states of trials that did not complete


def names_of(tables: RunTables) -> Mapping[str, str]:
    """The name of each run, else the start of its id."""

    def by_run() -> dict[str, str]:
        names = texts_of(tables.runs.column("run_name"))
        return {run_id: name or run_id[:8] for run_id, name in zip(tables.run_ids, names, strict=True)}

    return tables.once("names", by_run)


def not_competing(families: Families, names: Mapping[str, str]) -> dict[str, str]:
    """The runs that never compete, whatever their status: parents, parts of a run, and runs continued in another."""
    return {
        **{run: f"continued in {names[later]}" for run, later in families.continued.items()},
        **{run: f"part of {names[parent]}" for run, parent in families.parts.items()},
        **dict.fromkeys(families.parents, "parent"),
    }


def not_counted(
    tables: RunTables, all_statuses: Mapping[str, str], not_rivals: Mapping[str, str], statuses: Sequence[str] | None
) -> dict[str, str]:
    """Runs whose status does not count, in lower case, and runs that Optuna pruned or marked as failed.

    Args:
        tables: the tables of the runs.
        all_statuses: the status of every run.
        not_rivals: the runs that do not compete; they are ignored.
        statuses: the statuses to count; None to infer them.
    """
    status = {run: one for run, one in all_statuses.items() if run not in not_rivals} if not_rivals else all_statuses
    reasons = {run: one.lower() for run, one in left_out(status, statuses).items()} if status else {}
    states = rows_with(tables.tags, "key", ["state"])
    for run, state in zip(*(texts_of(states.column(name)) for name in ("run_id", "value")), strict=True):
        ended = _OPTUNA.get((state or "").removeprefix("TrialState."))
        if ended is not None and run in status:
            reasons[run] = ended
    return reasons
