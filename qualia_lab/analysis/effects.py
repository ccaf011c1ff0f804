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
from qualia_lab.analysis.paired_factor import FEWEST, compare_over_contexts, count_contexts
from qualia_lab.analysis.problem_factors import problem_factors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from qualia_lab.analysis.groups import Group
    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.paired_factor import PairedComparison
    from qualia_lab.study.one_factor import Level, OneFactor

ALPHA = 0.01  # how often any effect in a store is called clear where nothing differs
MOST_LEVELS = 8  # levels of a factor that are compared, most contexts first; more come from a search
_FEWEST_DEGREES = 3  # degrees of freedom of the spread between repeats from which it can decide
_OTHER_SCALES = 3.0  # ratio of the largest to the smallest context mean from which scales count as different
_ONE_WAY = 0.8  # share of the contexts that have to agree, or the mean over them misleads

Pair = tuple["Group", "Group"]  # the configurations of level A and level B in one context
_Known = tuple["Group | None", tuple[float, ...]]
_NONE: _Known = (None, (math.nan,) * 5)


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
    contrasts = [
        contrast
        for factor_set in sets
        if problems.isdisjoint(factor_set.names)
        for contrast in _Cells(factor_set, by_first_run).contrasts()
    ]
    return [tested.effect() for tested in _test(contrasts) if tested is not None]


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
    return {
        factor_set.factor for factor_set in sets if any(map(_is_testable, _Cells(factor_set, by_first_run).contrasts()))
    }


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
        cells = _Cells(factor_set, by_first_run)
        for other in cells.others:
            tested_at = _test_at_levels(cells, other)
            for first, second in combinations(tested_at, 2):
                for pair in tested_at[first].keys() & tested_at[second].keys():
                    tests += 1
                    one, opposite = tested_at[first][pair], tested_at[second][pair]
                    if one.is_a_better != opposite.is_a_better:
                        crossings.append(Crossing(other, (first, one.effect()), (second, opposite.effect())))
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


def _test_at_levels(cells: _Cells, other: str) -> dict[Level, dict[tuple[Level, Level], _Tested]]:
    """The tested contrasts of a factor at each level of another factor, by the two compared levels."""
    contrasts = [(level, contrast) for level in cells.levels_of(other) for contrast in cells.contrasts((other, level))]
    tested_at: dict[Level, dict[tuple[Level, Level], _Tested]] = {level: {} for level, _ in contrasts}
    for (level, contrast), tested in zip(contrasts, _test([contrast for _, contrast in contrasts]), strict=True):
        if tested is not None:
            tested_at[level][contrast.a, contrast.b] = tested
    return tested_at


def _by_first_run(groups: Sequence[Group]) -> dict[str, _Known]:
    """The groups with values, each with its mean and the numbers of `_repeats_of`, by their first run."""
    known = [group for group in groups if group.values]
    return {
        group.run_ids[0]: (group, (known_mean(group), *repeats))
        for group, repeats in zip(known, _repeats_of(known).tolist(), strict=True)
    }


@dataclass(frozen=True, eq=False)
class _Contrast:
    """Level a and level b of a factor, over the contexts that have both.

    Attributes:
        factor: the factor.
        a, b: the levels.
        groups: the configurations of each level in all contexts; None where a context lacks the level.
        places: the contexts that have both levels.
        means: the mean of each level in each of these contexts, shape (2, contexts).
        repeats: the numbers of `_repeats_of` for the same, shape (2, contexts, 4).
    """

    factor: OneFactor
    a: Level
    b: Level
    groups: tuple[list[Group | None], list[Group | None]]
    places: NDArray[np.intp]
    means: Numbers
    repeats: Numbers

    @property
    def n(self) -> int:
        """The number of contexts."""
        return len(self.places)

    @property
    def greater_is_better(self) -> bool | None:
        """The direction of the metric."""
        return self.pairs_at(self.places[:1])[0][0].greater_is_better

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The configurations of level a and level b in each context."""
        return self.pairs_at(self.places)

    def pairs_at(self, places: NDArray[np.intp]) -> tuple[Pair, ...]:
        """The configurations of level a and level b in some of the contexts."""
        first, second = self.groups
        return tuple((one, other) for at in places.tolist() if (one := first[at]) and (other := second[at]))


@dataclass(frozen=True, eq=False)
class _Tested:
    """A contrast with the mean difference of level a and level b, and its test.

    Attributes:
        contrast: the contrast.
        difference: by how much level a is better on average.
        above, below: in how many contexts level a is better, and worse.
        p: the p value.
        low, high: the 95 % interval of the difference; None where it cannot be estimated.
    """

    contrast: _Contrast
    difference: float
    above: int
    below: int
    p: float
    low: float | None
    high: float | None

    @property
    def is_a_better(self) -> bool:
        """Whether level a is better on average."""
        return self.difference >= 0

    def effect(self) -> Effect:
        """The same with the better level first."""
        factor, a, b, pairs = self.contrast.factor, self.contrast.a, self.contrast.b, self.contrast.pairs
        low, high = self.low, self.high
        if self.is_a_better:
            return Effect(factor, a, b, pairs, self.difference, low, high, self.above, self.p)
        swapped = tuple((second, first) for first, second in pairs)
        if low is not None and high is not None:
            low, high = -high, -low
        return Effect(factor, b, a, swapped, -self.difference, low, high, self.below, self.p)


class _Cells:
    """The configurations of a factor's levels in each context, and the contexts with each level of another factor."""

    def __init__(self, factor_set: OneFactor, by_first_run: Mapping[str, _Known]) -> None:
        self._factor = factor_set
        contexts = [context.configurations for context in factor_set.contexts]
        found = {
            level: [by_first_run.get(of[level].run_ids[0], _NONE) if level in of else _NONE for of in contexts]
            for level in factor_set.levels[:MOST_LEVELS]
        }
        self._by_level = {level: [group for group, _ in of_level] for level, of_level in found.items()}
        numbers = np.array([[own for _, own in of_level] for of_level in found.values()])
        self._means, self._repeats = numbers[..., 0], numbers[..., 1:]
        self._places: dict[str, dict[Level, list[int]]] = {}
        for place, context in enumerate(factor_set.contexts):
            for name, level in context.rest:
                self._places.setdefault(name, {}).setdefault(level, []).append(place)

    @property
    def others(self) -> tuple[str, ...]:
        """The other factors."""
        return tuple(self._places)

    def levels_of(self, other: str) -> list[Level]:
        """The levels of another factor that are compared, those with the most contexts first."""
        of_level = self._places[other]
        return sorted(of_level, key=lambda level: -len(of_level[level]))[:MOST_LEVELS]

    def contrasts(self, at: tuple[str, Level] | None = None) -> Iterator[_Contrast]:
        """Every two levels of the factor, over all contexts if two or more have both, or over those `at` a level."""
        among = np.arange(len(self._factor.contexts)) if at is None else np.array(self._places[at[0]][at[1]])
        means, repeats = self._means[:, among], self._repeats[:, among]
        has_value = ~np.isnan(means)
        complete = has_value.all(axis=1).tolist()
        for (one, a), (other, b) in combinations(enumerate(self._by_level), 2):
            of, groups = [one, other], (self._by_level[a], self._by_level[b])
            if complete[one] and complete[other]:
                places, of_means, of_repeats = among, means[of], repeats[of]
            else:
                has_both = has_value[one] & has_value[other]
                places, of_means, of_repeats = among[has_both], means[of][:, has_both], repeats[of][:, has_both]
            if len(places) >= (2 if at is None else 1):
                yield _Contrast(self._factor, a, b, groups, places, of_means, of_repeats)


def _test(contrasts: Sequence[_Contrast]) -> list[_Tested | None]:
    """Test each contrast of a task; None where there is too little data."""
    results: list[_Tested | None] = [None] * len(contrasts)
    places_by_size: dict[int, list[int]] = defaultdict(list)
    for place, contrast in enumerate(contrasts):
        if contrast.greater_is_better is not None:
            places_by_size[contrast.n].append(place)
    for places in places_by_size.values():
        for place, tested in zip(places, _test_of_size([contrasts[place] for place in places]), strict=True):
            results[place] = tested
    return results


def _test_of_size(contrasts: Sequence[_Contrast]) -> list[_Tested | None]:
    """Test contrasts that have equally many contexts."""
    sign = 1.0 if contrasts[0].greater_is_better else -1.0
    a, b = np.moveaxis(sign * np.stack([contrast.means for contrast in contrasts]), 1, 0)
    if contrasts[0].n < FEWEST:
        return _test_by_repeats(contrasts, a, b)
    compared = zip(contrasts, compare_over_contexts(a, b), _ratio_ps(contrasts), strict=True)
    return [
        _Tested(contrast, one.difference, one.above, one.below, *_by_contexts(one, ratio_p))
        for contrast, one, ratio_p in compared
    ]


def _test_by_repeats(contrasts: Sequence[_Contrast], a: Numbers, b: Numbers) -> list[_Tested | None]:
    """Test contrasts with equally few contexts by the pooled spread of repeats; None where it cannot be estimated.

    Student's t test (1908) for a contrast of cell means.
    """
    from scipy.special import stdtr

    difference, above, below = count_contexts(a, b)
    unit, error, degrees = _errors_of_repeats(contrasts)
    known = np.flatnonzero(~np.isnan(error))
    reach = np.full(len(contrasts), math.nan)
    reach[known] = [
        one * t_quantile(of) * width
        for one, of, width in zip(unit[known].tolist(), degrees[known].tolist(), error[known].tolist(), strict=True)
    ]
    # Where a level is better in one context and worse in another, the mean says little.
    p = np.ones(len(contrasts))
    agree = known[np.maximum(above, below)[known] == contrasts[0].n]
    p[agree] = 2 * stdtr(degrees[agree], -np.abs(difference[agree] / unit[agree]) / error[agree])
    columns = (difference, above, below, p, difference - reach, difference + reach)
    rows = zip(
        contrasts, np.isnan(error).tolist(), zip(*(column.tolist() for column in columns), strict=True), strict=True
    )
    return [None if is_unknown else _Tested(contrast, *row) for contrast, is_unknown, row in rows]


def _is_testable(contrast: _Contrast) -> bool:
    """Whether there are enough contexts or repeats to test it."""
    if contrast.greater_is_better is None:
        return False
    return contrast.n >= FEWEST or not math.isnan(_errors_of_repeats([contrast])[1][0])


def _by_contexts(comparison: PairedComparison, by_ratio: float | None) -> tuple[float, float | None, float | None]:
    """The p value and the 95 % interval where there are enough contexts to decide; `by_ratio` is that of _ratio_ps."""
    p, low, high = comparison.p, comparison.low, comparison.high
    if comparison.t_p is not None and max(comparison.above, comparison.below) == comparison.n:
        p = comparison.t_p  # with few contexts that all agree the sign test cannot be significant
        if by_ratio is not None:
            p = min(1.0, 2 * min(p, by_ratio))
            low, high = (low, high) if low is not None and high is not None and low * high > 0 else (None, None)
    elif (comparison.above - comparison.below) * comparison.difference < 0:
        p = 1.0  # the majority of contexts contradicts the mean
    return p, low, high


def _ratio_ps(contrasts: Sequence[_Contrast]) -> list[float | None]:
    """The p value of the ratios of means where contexts are on different scales, such as data sets in other units.

    There a gain is proportional to the level, and the context with the largest scale alone would dominate the mean
    difference. None where the scales are similar.

    Args:
        contrasts: contrasts with equally many contexts.
    """
    means = np.stack([contrast.means for contrast in contrasts])
    levels = means.sum(axis=1)
    is_positive = means.min(axis=(1, 2)) > 0
    other_scales = np.flatnonzero(is_positive & (levels.max(axis=1) >= _OTHER_SCALES * levels.min(axis=1)))
    ps: list[float | None] = [None] * len(contrasts)
    if len(other_scales):
        a, b = np.moveaxis(np.log(means[other_scales]), 1, 0)
        for place, compared in zip(other_scales.tolist(), compare_over_contexts(a, b), strict=True):
            ps[place] = compared.t_p
    return ps


def _errors_of_repeats(contrasts: Sequence[_Contrast]) -> tuple[Numbers, Numbers, Numbers]:
    """The standard error of each mean difference by the pooled spread of repeats.

    Args:
        contrasts: contrasts with equally many contexts.

    Returns:
        A unit, the error in it, NaN where it cannot be estimated, and the degrees of freedom, each of shape
        (contrasts,).
    """
    repeats = np.stack([contrast.repeats for contrast in contrasts])
    counts, own, largest, squares = np.moveaxis(repeats.swapaxes(1, 2).reshape(len(contrasts), -1, 4), 2, 0)
    degrees = (counts - 1).sum(axis=1)
    unit = own.max(axis=1)
    unit[unit == 0] = 1.0  # values that are all zero have no scale
    own = own / unit[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = _summed(own * own * squares) / degrees
        error = np.sqrt(variance * _summed(1 / counts)) / contrasts[0].n
    is_known = (degrees >= _FEWEST_DEGREES) & (error > 1e-12 * (own * largest).max(axis=1))
    return unit, np.where(is_known, error, math.nan), degrees


def _summed(columns: Numbers) -> Numbers:
    """The sum of the columns, one after another, so that it does not depend on how many rows there are."""
    total: Numbers = np.add.accumulate(columns, axis=1)[:, -1]
    return total


def _repeats_of(groups: Sequence[Group]) -> Numbers:
    """For each group, the number of its values, their scale, and the largest and the sum of squared deviations in it.

    The scale is a power of two near the largest absolute value, so that squares stay within the range of doubles; that
    of values that are all zero is 0.

    Args:
        groups: groups with values.

    Returns:
        An array of shape (groups, 4).
    """
    counts = np.array([len(group.values) for group in groups], np.int64)
    repeats = np.empty((len(groups), 4))
    for size in np.unique(counts).tolist():
        places = np.flatnonzero(counts == size)
        values = np.array([groups[place].values for place in places.tolist()], np.float64)
        largest = np.abs(values).max(axis=1)
        scale = np.ldexp(1.0, np.maximum(-1000, np.frexp(largest)[1] - 1))
        scaled = values / scale[:, None]
        squares = ((scaled - scaled.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        columns = (counts[places], np.where(largest > 0, scale, 0.0), np.abs(scaled).max(axis=1), squares)
        repeats[places] = np.column_stack(columns)
    return repeats


def known_mean(group: Group) -> float:
    """The mean of a configuration that has values."""
    assert group.mean is not None
    return group.mean
