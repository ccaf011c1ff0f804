"""Relations between runs: parents and children, and trainings that were continued in another run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qualia_lab.columns import texts_of
from qualia_lab.study.continued import find_continued

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from qualia_lab.study.setting_columns import SettingColumn
    from qualia_lab.tables import RunTables


@dataclass(frozen=True)
class Families:
    """Relations between runs.

    Attributes:
        parents: runs that only contain others → their children.
        parts: children that only evaluate their parent → the parent.
        continued: runs that were continued in another run → that run.
    """

    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    continued: Mapping[str, str] = field(default_factory=dict)


def find_families(tables: RunTables, columns: Sequence[SettingColumn], with_objective: Collection[str]) -> Families:
    """Find the relations between runs.

    A parent whose children are among the runs contains them and does not compete, unless it has an objective and none
    of its descendants has: then it was trained itself, and its children are parts of it.

    Args:
        tables: the tables of the runs.
        columns: the params and tags.
        with_objective: the runs that have a metric with the role objective.
    """
    parents, parts = _parents_and_parts(tables, with_objective)
    return Families(parents, parts, find_continued(tables, columns))


def _parents_and_parts(
    tables: RunTables, with_objective: Collection[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    run_ids = tables.run_ids
    if tables.runs.column("parent_run_id").null_count == len(run_ids):
        return {}, {}
    known = set(run_ids)
    recorded = texts_of(tables.runs.column("parent_run_id"))
    parent_of = {
        run: parent for run, parent in zip(run_ids, recorded, strict=True) if parent in known and parent != run
    }
    _break_cycles(parent_of)
    children: dict[str, list[str]] = defaultdict(list)
    for run, parent in parent_of.items():
        children[parent].append(run)
    below: set[str] = set()  # parents with a descendant that has an objective
    for run in parent_of:
        if run in with_objective:
            above = parent_of.get(run)
            while above is not None and above not in below:
                below.add(above)
                above = parent_of.get(above)
    trained = {parent for parent in children if parent in with_objective and parent not in below}
    parts = {run: parent for run, parent in parent_of.items() if parent in trained}
    return {parent: tuple(runs) for parent, runs in children.items() if parent not in trained}, parts


def _break_cycles(parent_of: dict[str, str]) -> None:
    """Remove the parent of one run of each cycle; only damaged stores have cycles."""
    done: set[str] = set()
    for run in list(parent_of):
        passed: set[str] = set()
        while run in parent_of and run not in done:
            if parent_of[run] in passed:
                del parent_of[run]
                break
            passed.add(run)
            run = parent_of[run]  # noqa: PLW2901 - upwards
        done |= passed
