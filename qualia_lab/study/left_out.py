"""The runs that take part in no comparison, each with why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.columns import texts_of
from qualia_lab.study.statuses import left_out
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.study.parents import Families
    from qualia_lab.tables import RunTables

_OPTUNA = {"PRUNED": "pruned", "FAIL": "failed"}  # its states of what did not come to an end


def names_of(tables: RunTables) -> dict[str, str]:
    """What to call each run: its name, else the start of its id."""
    names = texts_of(tables.runs.column("run_name"))
    return {run_id: name or run_id[:8] for run_id, name in zip(tables.run_ids, names, strict=True)}


def not_competing(families: Families, names: Mapping[str, str]) -> dict[str, str]:
    """The runs that are no competitors whatever their end: parents, parts of a run, and those continued in another."""
    return {
        **{run: f"continued in {names[later]}" for run, later in families.continued.items()},
        **{run: f"part of {names[parent]}" for run, parent in families.parts.items()},
        **dict.fromkeys(families.parents, "parent"),
    }


def not_counted(
    tables: RunTables, of_all: Mapping[str, str], aside: Mapping[str, str], statuses: Sequence[str] | None
) -> dict[str, str]:
    """Of the other runs those whose status does not count, in small letters, and those that Optuna gave up.

    of_all: the status of every run.  aside: the runs that are no competitors.  statuses: that count; None infers them.
    """
    status = {run: one for run, one in of_all.items() if run not in aside}
    found = {run: one.lower() for run, one in left_out(status, statuses).items()} if status else {}
    states = rows_with(tables.tags, "key", ["state"])
    for run, state in zip(*(texts_of(states.column(name)) for name in ("run_id", "value")), strict=True):
        ended = _OPTUNA.get((state or "").removeprefix("TrialState."))
        if ended is not None and run in status:
            found[run] = ended
    return found
