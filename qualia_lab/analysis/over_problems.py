"""Compare configurations that were tried on several problems, such as data sets or tasks, over these problems."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.contrasts import known_mean
from qualia_lab.analysis.paired_factor import PairedComparison, compare_over_contexts
from qualia_lab.analysis.problem_factors import problem_factors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.groups import Group

_Values = tuple[str | None, ...]


@dataclass(frozen=True)
class OverProblems:
    """The comparison of configurations over several problems.

    Attributes:
        problems: the factors that name the problem.
        levels: the number of problems.
        ways: the settings of the other factors that were tried on most problems, best first: one of their
            configurations, and the mean over the problems that all of them share.
        pairs: the first of `ways` against the second over these problems; None where there is only one.
    """

    problems: tuple[str, ...]
    levels: int
    ways: tuple[tuple[Group, float], ...]
    pairs: PairedComparison | None


def over_problems(groups: Sequence[Group]) -> OverProblems | None:
    """Compare the settings of a task over its problems.

    Only the settings that were tried on most problems are compared; those tried on fewer are left out.

    Args:
        groups: the configurations of the task that have the objective, with a known direction.

    Returns:
        The comparison; None where no factor names the problem, or where there is only one problem.
    """
    named = problem_factors(groups)
    problems = tuple(name for name, _ in groups[0].params if name in named) if groups else ()
    if not problems:
        return None
    by_setting: dict[_Values, dict[_Values, Group]] = defaultdict(dict)
    for group in groups:
        by_setting[_values(group, problems, inside=False)][_values(group, problems, inside=True)] = group
    levels = {problem for by_problem in by_setting.values() for problem in by_problem}
    if len(levels) < 2:
        return None
    most = max(map(len, by_setting.values()))
    most_tried = [by_problem for by_problem in by_setting.values() if len(by_problem) == most]
    shared = set.intersection(*(set(by_problem) for by_problem in most_tried))
    sign = 1.0 if groups[0].greater_is_better else -1.0
    ways = sorted(
        (
            (next(iter(by_problem.values())), fmean(known_mean(by_problem[problem]) for problem in shared))
            for by_problem in most_tried
            if shared
        ),
        key=lambda way: -sign * way[1],
    )
    pairs = None
    if len(ways) > 1:
        first, second = (by_setting[_values(group, problems, inside=False)] for group, _ in ways[:2])
        in_order = sorted(shared, key=str)
        a, b = ([known_mean(by_problem[problem]) for problem in in_order] for by_problem in (first, second))
        pairs = compare_over_contexts(np.array(a), np.array(b))
    return OverProblems(problems, len(levels), tuple(ways), pairs)


def _values(group: Group, problems: Sequence[str], *, inside: bool) -> _Values:
    """The values of the factors that name the problem (`inside`), or of all others."""
    return tuple(value for name, value in group.params if (name in problems) is inside)
