"""Configurations that were tried on several problems, such as data sets or tasks: compared over them, not across."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from qualia_lab.analysis.effects import known_mean
from qualia_lab.analysis.paired_factor import PairedComparison, compare_over_contexts
from qualia_lab.analysis.problem_factors import problem_factors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.groups import Group

_Values = tuple[str | None, ...]


@dataclass(frozen=True)
class OverProblems:
    """What is known over problems.

    problems: the factors that say what was tried on.  levels: how many problems.  is_clear: a factor has a clearly best
    level over them.  ways: the settings of the other factors, each by one of its configurations, with the mean over the
    problems that the two best of them share; the best first.  pairs: the first against the second over these problems.
    """

    problems: tuple[str, ...]
    levels: int
    is_clear: bool
    ways: tuple[tuple[Group, float], ...]
    pairs: PairedComparison | None


def over_problems(groups: Sequence[Group], *, is_clear: bool) -> OverProblems | None:
    """How the settings of a task compare over its problems; None where no factor says what was tried on.

    The best two are those of the ways that were tried on most problems; ways tried on fewer are left out.

    Args:
        groups: the configurations of the task that have the objective, of known direction.
        is_clear: whether a factor has a clearly best level, see `effects.clear_effects`.
    """
    tried_on = problem_factors(groups)
    problems = tuple(name for name, _ in groups[0].params if name in tried_on) if groups else ()
    if not problems:
        return None
    of_way: dict[_Values, dict[_Values, Group]] = defaultdict(dict)
    for group in groups:
        of_way[_values(group, problems, inside=False)][_values(group, problems, inside=True)] = group
    levels = {problem for tried in of_way.values() for problem in tried}
    if len(levels) < 2:
        return None
    most = max(map(len, of_way.values()))
    widest = [tried for tried in of_way.values() if len(tried) == most]
    shared = set.intersection(*(set(tried) for tried in widest))
    sign = 1.0 if groups[0].greater_is_better else -1.0
    ways = sorted(
        ((next(iter(tried.values())), fmean(known_mean(tried[one]) for one in shared)) for tried in widest if shared),
        key=lambda way: -sign * way[1],
    )
    pairs = None
    if len(ways) > 1:
        first, second = (of_way[_values(group, problems, inside=False)] for group, _ in ways[:2])
        pairs = compare_over_contexts(
            [(known_mean(first[one]), known_mean(second[one])) for one in sorted(shared, key=str)]
        )
    return OverProblems(problems, len(levels), is_clear, tuple(ways), pairs)


def _values(group: Group, problems: Sequence[str], *, inside: bool) -> _Values:
    return tuple(value for name, value in group.params if (name in problems) is inside)
