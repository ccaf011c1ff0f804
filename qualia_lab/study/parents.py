"""Families of runs: parents and their children, and trainings that went on in another run."""

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
    """parents: runs that only hold others, with these.  parts: of children that only measure their parent, that one.

    continued: of runs whose training went on in another one, that one.
    """

    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    continued: Mapping[str, str] = field(default_factory=dict)


def find_families(tables: RunTables, columns: Sequence[SettingColumn], with_objective: Collection[str]) -> Families:
    """What runs are to each other.

    A parent whose children are there holds them and competes with none, unless it has an objective and none below it
    has one: then it was trained, and they are parts of it.
    with_objective: the runs that have a metric of this role.
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
    said = texts_of(tables.runs.column("parent_run_id"))
    parent_of = {run: one for run, one in zip(run_ids, said, strict=True) if one in known and one != run}
    _break_circles(parent_of)
    children: dict[str, list[str]] = defaultdict(list)
    for run, parent in parent_of.items():
        children[parent].append(run)
    below: set[str] = set()  # parents of which some descendant has an objective
    for run in parent_of:
        if run in with_objective:
            above = parent_of.get(run)
            while above is not None and above not in below:
                below.add(above)
                above = parent_of.get(above)
    trained = {one for one in children if one in with_objective and one not in below}
    parts = {run: parent for run, parent in parent_of.items() if parent in trained}
    return {one: tuple(runs) for one, runs in children.items() if one not in trained}, parts


def _break_circles(parent_of: dict[str, str]) -> None:
    """Take out the parent of one run of each circle of parents, which only a damaged store has."""
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
