"""The factors that name the problem a configuration was tried on, and those that always change with it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qualia_lab.study.factor_names import names_a_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.groups import Group
    from qualia_lab.study import Study


def problem_factors(groups: Sequence[Group]) -> frozenset[str]:
    """The factors that say on which data set, task or similar problem each configuration was tried.

    They are recognised by name. Where problems recur, factors with a single value for each problem, such as its number
    of classes, are included: their levels are no more rivals than the problems are.

    Args:
        groups: the configurations of one task.

    Returns:
        The names of the factors.
    """
    named = [place for place, (name, _) in enumerate(groups[0].params) if names_a_problem(name)] if groups else []
    if not named:
        return frozenset()
    rows = [group.params for group in groups]
    problems = [tuple(row[place][1] for place in named) for row in rows]
    counts = Counter(problems)
    factors = {rows[0][place][0] for place in named}
    if len(counts) < 2 or 2 * sum(times > 1 for times in counts.values()) < len(counts):
        return frozenset(factors)
    for place, (name, _) in enumerate(rows[0]):
        values = {(problem, row[place][1]) for problem, row in zip(problems, rows, strict=True)}
        if len(values) == len(counts):
            factors.add(name)
    return frozenset(factors)


def problems_and_tied(groups: Sequence[Group], study: Study) -> frozenset[str]:
    """The factors of `problem_factors`, and those that the study found to be tied to them."""
    factors = problem_factors(groups)
    return factors | {factor.name for factor in study.factors if factor.tied_to in factors}
