"""The factors that say what configurations were tried on, and those that only go along with them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qualia_lab.study.factor_names import names_a_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qualia_lab.analysis.groups import Group
    from qualia_lab.study import Study


def problem_factors(groups: Iterable[Group]) -> frozenset[str]:
    """The factors of these configurations that say on which data set, task or the like each was tried.

    By name; and those of which each problem has one value, such as its number of classes, where problems recur: its
    levels are no more rivals than the problems are.

    Args:
        groups: of one task.
    """
    rows = [group.params for group in groups]
    named = [place for place, (name, _) in enumerate(rows[0]) if names_a_problem(name)] if rows else []
    if not named:
        return frozenset()
    problems = [tuple(row[place][1] for place in named) for row in rows]
    often = Counter(problems)
    found = {rows[0][place][0] for place in named}
    if len(often) < 2 or 2 * sum(times > 1 for times in often.values()) < len(often):
        return frozenset(found)
    for place, (name, _) in enumerate(rows[0]):
        values = {(problem, row[place][1]) for problem, row in zip(problems, rows, strict=True)}
        if len(values) == len(often):
            found.add(name)
    return frozenset(found)


def problems_and_tied(groups: Iterable[Group], study: Study) -> frozenset[str]:
    """The same with what the study has tied to them."""
    found = problem_factors(groups)
    return found | {one.name for one in study.factors if one.tied_to in found}
