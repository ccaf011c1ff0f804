"""The effect of one factor with all others held fixed, and whether it depends on the level of another factor."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.over_tasks import limit_over_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qualia_lab.analysis.contrast_tests import Decisions, Tests
    from qualia_lab.analysis.contrasts import Cells, Pair
    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.study.one_factor import Level, OneFactor

ALPHA = 0.01  # how often any effect in a store is called clear where nothing differs
_ONE_WAY = 0.8  # share of the contexts that have to agree, or the mean over them misleads


@dataclass(frozen=True)
class Effect:
    """One level of a factor against another, over contexts in which all other factors are the same.

    Attributes:
        factor: the factor.
        better, worse: the level with the better mean and the one with the worse mean.
        pairs: the configurations of `better` and `worse` in each context.
        gain: by how much `better` is better on average, in the unit of the metric.
        low, high: the 95 % interval of the gain; None where it cannot be estimated.
        wins: in how many contexts `better` is better.
        p: the p value of the deciding test, not corrected for multiple tests.
    """

    factor: OneFactor
    better: Level
    worse: Level
    pairs: Sequence[Pair]
    gain: float
    low: float | None
    high: float | None
    wins: int
    p: float

    @property
    def n(self) -> int:
        """The number of contexts that have both levels."""
        return len(self.pairs)


@dataclass(frozen=True)
class Crossing:
    """Two effects of a factor in opposite directions, depending on the level of another factor.

    Attributes:
        other: the other factor.
        first, second: a level of the other factor with the effect at that level.
    """

    other: str
    first: tuple[Level, Effect]
    second: tuple[Level, Effect]

    @property
    def p(self) -> float:
        """The larger of both p values, since both effects have to be significant (Berger 1982)."""
        return max(self.first[1].p, self.second[1].p)


def candidate_effects(cells: Sequence[Cells]) -> list[Effect]:
    """Test every two levels of each factor of a task that can be compared with the other factors held fixed.

    Each pair of levels is compared over the contexts that have both: by a test over contexts where there are enough
    (see `paired_factor`), otherwise by the spread of repeats, where the same level is better in every context. For
    factors that name the problem, such as a data set, no level is better than another, so they are skipped.

    Args:
        cells: the factors of the task, from `contrasts.cells_of`.

    Returns:
        All tested effects, significant or not.
    """
    effects = []
    for tests in (one.tests for one in cells if not one.is_problem):
        decisions = tests.decide(tests.is_tested)
        effects += [_effect(tests, decisions, 0, pair) for pair in np.flatnonzero(tests.is_tested[0]).tolist()]
    return effects


def clear_effects(of_tasks: Mapping[str, Sequence[Effect]], alpha: float) -> dict[str, list[Effect]]:
    """For each task, the best level of each factor against the levels that it is clearly better than.

    P values are corrected for all factors and pairs of levels tested in a task (Bonferroni), and for the number of
    tasks (see `limit_over_tasks`).

    Args:
        of_tasks: the result of `candidate_effects` for each task.
        alpha: how often anything is called clear where nothing differs.

    Returns:
        The clear effects of each task, smallest p first.
    """
    ps = [
        min((effect.p * len(effects) for effect in effects if _is_one_way(effect)), default=1.0)
        for effects in of_tasks.values()
        if effects
    ]
    limit = limit_over_tasks(ps, alpha)
    return {key: _clear(effects, limit) for key, effects in of_tasks.items()}


def _is_one_way(effect: Effect) -> bool:
    """Whether enough contexts agree with the mean gain."""
    return effect.wins >= _ONE_WAY * effect.n


def _clear(effects: Sequence[Effect], alpha: float) -> list[Effect]:
    """The effects of the best level of each factor with a corrected p below alpha, smallest p first."""
    clear = [effect for effect in effects if effect.p * len(effects) < alpha and _is_one_way(effect)]
    best: dict[str, Level] = {}
    for factor in {effect.factor.factor for effect in clear}:
        wins: dict[Level, int] = defaultdict(int)
        for effect in clear:
            if effect.factor.factor == factor:
                wins[effect.better] += 1
                wins[effect.worse] -= 1
        best[factor] = max(wins, key=lambda level: wins[level])
    leading = [effect for effect in clear if effect.better == best[effect.factor.factor]]
    return sorted(leading, key=lambda effect: (effect.p, effect.factor.factor, str(effect.worse)))


def testable_factors(cells: Sequence[Cells]) -> set[str]:
    """The factors with at least two levels that can be compared; `cells` as in `candidate_effects`."""
    return {one.factor.factor for one in cells if one.tests.is_tested.any()}


@dataclass(frozen=True, eq=False)
class CandidateCrossings:
    """The interactions tested in one task.

    Attributes:
        tests: the number of tests.
        ps: the p values of the pairs of effects in opposite directions, significant or not.
        crossing: returns one of these pairs, by its place in `ps`.
    """

    tests: int
    ps: Numbers
    crossing: Callable[[int], Crossing]


def candidate_crossings(cells: Sequence[Cells]) -> CandidateCrossings:
    """Test the pairs of factors of a task for a qualitative interaction (Gail and Simon 1985).

    That is an effect at one level of the other factor and the opposite effect at another level, each tested by the
    spread of repeats or over enough contexts.

    Args:
        cells: as in `candidate_effects`.

    Returns:
        The number of tests, and the effects in opposite directions.
    """
    number = 0
    ps: list[Numbers] = [np.zeros(0)]
    found: list[tuple[Tests, Decisions, str, int, int, int]] = []
    for one in cells:
        for other in () if one.is_problem else one.others:
            tests = one.tests_at(other)
            first, second = np.triu_indices(len(tests.among), 1)
            are_tested = tests.is_tested[first] & tests.is_tested[second]
            number += int(are_tested.sum())
            are_opposite = are_tested & (tests.is_a_better[first] != tests.is_a_better[second])
            combination, pair = np.nonzero(are_opposite)
            if not len(pair):
                continue
            wanted = np.zeros_like(tests.is_tested)
            wanted[first[combination], pair] = wanted[second[combination], pair] = True
            decisions = tests.decide(wanted)
            ps.append(np.maximum(decisions.p[first[combination], pair], decisions.p[second[combination], pair]))
            places = zip(first[combination].tolist(), second[combination].tolist(), pair.tolist(), strict=True)
            found += [(tests, decisions, other, *place) for place in places]

    def crossing(place: int) -> Crossing:
        tests, decisions, other, first, second, pair = found[place]
        levels = tests.cells.levels_of(other)
        return Crossing(
            other,
            (levels[first], _effect(tests, decisions, first, pair)),
            (levels[second], _effect(tests, decisions, second, pair)),
        )

    return CandidateCrossings(number, np.concatenate(ps), crossing)


def clear_crossings(of_tasks: Mapping[str, CandidateCrossings], alpha: float) -> dict[str, list[Crossing]]:
    """For each task, the pairs of factors where one decides which level of the other is better.

    P values are corrected for all tests of a task (Bonferroni), and for the number of tasks (see `limit_over_tasks`).

    Args:
        of_tasks: the result of `candidate_crossings` for each task.
        alpha: how often anything is called clear where nothing differs.

    Returns:
        The clear interactions of each task, smallest p first, one for each pair of factors.
    """
    ps = [
        float(tested.ps.min()) * tested.tests if len(tested.ps) else 1.0 for tested in of_tasks.values() if tested.tests
    ]
    limit = limit_over_tasks(ps, alpha)
    clear = {}
    for key, tested in of_tasks.items():
        best: dict[frozenset[str], Crossing] = {}
        for place in np.argsort(tested.ps, kind="stable").tolist():
            if not tested.ps[place] * tested.tests < limit:
                break
            crossing = tested.crossing(place)
            best.setdefault(frozenset((crossing.first[1].factor.factor, crossing.other)), crossing)
        clear[key] = list(best.values())
    return clear


def _effect(tests: Tests, decisions: Decisions, part: int, pair: int) -> Effect:
    """A test as an effect, with the better level first."""
    cells, at = tests.cells, (part, pair)
    a, b = cells.levels[cells.first[pair]], cells.levels[cells.second[pair]]
    numbers = (tests.difference, decisions.low, decisions.high, decisions.p)
    difference, low, high, p = (float(of[at]) for of in numbers)
    wins = decisions.above
    if not difference >= 0:
        a, b, difference, low, high, wins = b, a, -difference, -high, -low, decisions.below
    bounds: tuple[float | None, float | None] = (None, None) if math.isnan(low) else (low, high)
    return Effect(cells.factor, a, b, tests.pairs(part, pair), difference, bounds[0], bounds[1], int(wins[at]), p)
