"""The effect of one factor with all others held fixed, and whether it depends on the level of another factor."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import t_quantile
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.analysis.paired_factor import FEWEST, PairedComparison, compare_over_contexts, count_contexts
from qualia_lab.analysis.problem_factors import problem_factors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.analysis.groups import Group
    from qualia_lab.study.one_factor import Level, OneFactor

ALPHA = 0.01  # how often any effect in a store is called clear where nothing differs
MOST_LEVELS = 8  # levels of a factor that are compared, most contexts first; more come from a search
_FEWEST_DEGREES = 3  # degrees of freedom of the spread between repeats from which it can decide
_OTHER_SCALES = 3.0  # ratio of the largest to the smallest context mean from which scales count as different
_ONE_WAY = 0.8  # share of the contexts that have to agree, or the mean over them misleads

Pair = tuple["Group", "Group"]  # the configurations of level A and level B in one context


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
    pairs: tuple[Pair, ...]
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


def candidate_effects(sets: Sequence[OneFactor], groups: Sequence[Group]) -> list[Effect]:
    """Test every two levels of each factor of a task that can be compared with the other factors held fixed.

    Each pair of levels is compared over the contexts that have both: by a test over contexts where there are enough
    (see `paired_factor`), otherwise by the spread of repeats, where the same level is better in every context. For
    factors that name the problem, such as a data set, no level is better than another, so they are skipped.

    Args:
        sets: the sets of configurations of the task that differ in one factor only, see `study.one_factor`.
        groups: the configurations of the task with the objective.

    Returns:
        All tested effects, significant or not.
    """
    by_first_run = _by_first_run(groups)
    problems = problem_factors(groups)
    return [
        effect
        for factor_set in sets
        if problems.isdisjoint(factor_set.names)
        for effect in _effects(factor_set, by_first_run)
    ]


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


def testable_factors(sets: Sequence[OneFactor], groups: Sequence[Group]) -> set[str]:
    """The factors with at least two levels that can be compared; arguments as in `candidate_effects`."""
    by_first_run = _by_first_run(groups)
    return {factor_set.factor for factor_set in sets if next(_effects(factor_set, by_first_run), None) is not None}


@dataclass(frozen=True)
class CandidateCrossings:
    """The interactions tested in one task.

    Attributes:
        tests: the number of tests.
        opposite: the pairs of effects in opposite directions, significant or not.
    """

    tests: int
    opposite: tuple[Crossing, ...]


def candidate_crossings(sets: Sequence[OneFactor], groups: Sequence[Group]) -> CandidateCrossings:
    """Test the pairs of factors of a task for a qualitative interaction (Gail and Simon 1985).

    That is an effect at one level of the other factor and the opposite effect at another level, each tested by the
    spread of repeats or over enough contexts.

    Args:
        sets: as in `candidate_effects`.
        groups: as in `candidate_effects`.

    Returns:
        The number of tests, and the effects in opposite directions.
    """
    crossings: list[Crossing] = []
    by_first_run = _by_first_run(groups)
    tests = 0
    problems = problem_factors(groups)
    for factor_set in sets:
        if not problems.isdisjoint(factor_set.names):
            continue
        others = dict.fromkeys(name for context in factor_set.contexts for name, _ in context.rest)
        for other in others:
            effects_at = {
                level: _effects(factor_set, by_first_run, condition=(other, level))
                for level in _levels_of(factor_set, other)
            }
            by_levels_at = {
                level: {frozenset((effect.better, effect.worse)): effect for effect in effects}
                for level, effects in effects_at.items()
            }
            for first, second in combinations(by_levels_at, 2):
                for pair in by_levels_at[first].keys() & by_levels_at[second].keys():
                    tests += 1
                    both = by_levels_at[first][pair], by_levels_at[second][pair]
                    if both[0].better != both[1].better:
                        crossings.append(Crossing(other, (first, both[0]), (second, both[1])))
    return CandidateCrossings(tests, tuple(crossings))


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
        min((crossing.p * tested.tests for crossing in tested.opposite), default=1.0)
        for tested in of_tasks.values()
        if tested.tests
    ]
    limit = limit_over_tasks(ps, alpha)
    clear = {}
    for key, tested in of_tasks.items():
        best: dict[frozenset[str], Crossing] = {}
        for crossing in sorted(tested.opposite, key=lambda crossing: crossing.p):
            if crossing.p * tested.tests < limit:
                best.setdefault(frozenset((crossing.first[1].factor.factor, crossing.other)), crossing)
        clear[key] = list(best.values())
    return clear


def _levels_of(factor_set: OneFactor, other: str) -> list[Level]:
    """The levels of another factor that are compared, those with the most contexts first."""
    context_count: dict[Level, int] = defaultdict(int)
    for context in factor_set.contexts:
        for name, level in context.rest:
            if name == other:
                context_count[level] += 1
    return sorted(context_count, key=lambda level: -context_count[level])[:MOST_LEVELS]


def _by_first_run(groups: Sequence[Group]) -> dict[str, Group]:
    """The groups with values, by their first run."""
    return {group.run_ids[0]: group for group in groups if group.values}


def _effects(
    factor_set: OneFactor, by_first_run: Mapping[str, Group], condition: tuple[str, Level] | None = None
) -> Iterator[Effect]:
    """Test every two levels of a factor over all contexts, or over those with a given level of another factor.

    `by_first_run` holds the groups with values.
    """
    contexts = [context for context in factor_set.contexts if condition is None or condition in context.rest]
    cells = [
        {
            level: by_first_run[configuration.run_ids[0]]
            for level, configuration in context.configurations.items()
            if configuration.run_ids[0] in by_first_run
        }
        for context in contexts
    ]
    for a, b in combinations(factor_set.levels[:MOST_LEVELS], 2):
        pairs = tuple((cell[a], cell[b]) for cell in cells if a in cell and b in cell)
        effect = _effect(factor_set, a, b, pairs, fewest=1 if condition else 2) if pairs else None
        if effect is not None:
            yield effect


def _effect(factor_set: OneFactor, a: Level, b: Level, pairs: tuple[Pair, ...], *, fewest: int) -> Effect | None:
    """Test level a against level b; None where there is too little data."""
    if len(pairs) < fewest or pairs[0][0].greater_is_better is None:
        return None
    sign = 1.0 if pairs[0][0].greater_is_better else -1.0
    means = [(sign * known_mean(first), sign * known_mean(second)) for first, second in pairs]
    low: float | None
    high: float | None
    if len(pairs) < FEWEST:
        difference, above, below = count_contexts(*np.array(means, dtype=np.float64).T)
        by_repeats = _by_repeats(difference, pairs, agree=max(above, below) == len(pairs))
        if by_repeats is None:
            return None
        p, low, high = by_repeats
    else:
        comparison = compare_over_contexts(means)
        assert comparison is not None
        difference, above, below = comparison.difference, comparison.above, comparison.below
        p, low, high = _by_contexts(comparison, pairs)
    if difference >= 0:
        return Effect(factor_set, a, b, pairs, difference, low, high, above, p)
    swapped = tuple((second, first) for first, second in pairs)
    if low is not None and high is not None:
        low, high = -high, -low
    return Effect(factor_set, b, a, swapped, -difference, low, high, below, p)


def _by_contexts(comparison: PairedComparison, pairs: Sequence[Pair]) -> tuple[float, float | None, float | None]:
    """The p value and the 95 % interval where there are enough contexts to decide."""
    p, low, high = comparison.p, comparison.low, comparison.high
    if comparison.t_p is not None and max(comparison.above, comparison.below) == comparison.n:
        p = comparison.t_p  # with few contexts that all agree the sign test cannot be significant
        by_ratio = _ratio_p(pairs)
        if by_ratio is not None:
            p = min(1.0, 2 * min(p, by_ratio))
            low, high = (low, high) if low is not None and high is not None and low * high > 0 else (None, None)
    elif (comparison.above - comparison.below) * comparison.difference < 0:
        p = 1.0  # the majority of contexts contradicts the mean
    return p, low, high


def _ratio_p(pairs: Sequence[Pair]) -> float | None:
    """The p value of the ratios of means where contexts are on different scales, such as data sets in other units.

    There a gain is proportional to the level, and the context with the largest scale alone would dominate the mean
    difference. None where the scales are similar.
    """
    means = [(known_mean(first), known_mean(second)) for first, second in pairs]
    levels = [first + second for first, second in means]
    if min(min(one) for one in means) <= 0 or max(levels) < _OTHER_SCALES * min(levels):
        return None
    comparison = compare_over_contexts([(math.log(first), math.log(second)) for first, second in means])
    return None if comparison is None else comparison.t_p


def _by_repeats(difference: float, pairs: Sequence[Pair], *, agree: bool) -> tuple[float, float, float] | None:
    """The p value and the 95 % interval of the mean difference over these contexts, by the pooled spread of repeats.

    Student's t test (1908) for a contrast of cell means. Where a level is better in one context and worse in another,
    the mean says little, so p is 1. None where there are too few repeats to estimate the spread.

    Args:
        difference: the mean difference.
        pairs: the two levels in each context.
        agree: whether the same level is better in every context.
    """
    from scipy.special import stdtr

    cells = [group for pair in pairs for group in pair]
    degrees = sum(len(group.values) - 1 for group in cells)
    if degrees < _FEWEST_DEGREES:
        return None
    scaled = [group.squares for group in cells if any(group.values)]  # values that are all zero have no scale
    unit = max((own for own, *_ in scaled), default=1.0)
    of_cells = [(own / unit, *rest) for own, *rest in scaled]
    variance = sum(own * own * squares for own, _, squares in of_cells) / degrees
    error = math.sqrt(variance * sum(1 / len(group.values) for group in cells)) / len(pairs)
    if error <= 1e-12 * max((own * largest for own, largest, _ in of_cells), default=0.0):
        return None
    reach = unit * t_quantile(degrees) * error
    p = float(2 * stdtr(degrees, -abs(difference / unit) / error)) if agree else 1.0
    return p, difference - reach, difference + reach


def known_mean(group: Group) -> float:
    """The mean of a configuration that has values."""
    assert group.mean is not None
    return group.mean
