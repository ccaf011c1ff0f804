"""Every two levels of a factor, compared over contexts in which all other factors are the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.analysis.intervals import t_quantile
from qualia_lab.analysis.moments import joined, rows_by_size
from qualia_lab.analysis.paired_factor import FEWEST, compare_all, count_contexts, paired_t_test
from qualia_lab.analysis.problem_factors import problem_factors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from qualia_lab.analysis.groups import Group
    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.paired_factor import Comparisons, Counts, Flags
    from qualia_lab.study.one_factor import Level, OneFactor

    Places = NDArray[np.intp]

MOST_LEVELS = 8  # levels of a factor that are compared, most contexts first; more come from a search
_FEWEST_DEGREES = 3  # degrees of freedom of the spread between repeats from which it can decide
_OTHER_SCALES = 3.0  # ratio of the largest to the smallest context mean from which scales count as different

Pair = tuple["Group", "Group"]  # the configurations of level A and level B in one context
_Known = tuple["Group | None", tuple[float, ...]]
_NONE: _Known = (None, (math.nan,) * 5)
# is_tested, difference, above, below, p, low and high of some tests; see Tests.
_Columns = tuple["Flags", "Numbers", "Counts", "Counts", "Numbers", "Numbers", "Numbers"]


class Cells:
    """The configurations of a factor's levels in each context, and the contexts with each level of another factor.

    Attributes:
        factor: the factor.
        is_problem: whether it names the problem, such as a data set, so that no level is better than another.
        greater_is_better: the direction of the metric; None where it is unknown.
        levels: the levels that are compared.
        first, second: the places of the two levels of every pair, shape (pairs,).
        groups: for each level, its configuration in each context; None where a context lacks the level.
        means: the mean of each of these, NaN without a value, shape (levels, contexts).
        repeats: the numbers of `_repeats_of` for the same, shape (levels, contexts, 4).
    """

    def __init__(
        self,
        factor: OneFactor,
        by_first_run: dict[str, _Known],
        *,
        is_problem: bool,
        greater_is_better: bool | None,
    ) -> None:
        self.factor = factor
        self.is_problem = is_problem
        self.greater_is_better = greater_is_better
        self.levels = factor.levels[:MOST_LEVELS]
        self.first, self.second = np.triu_indices(len(self.levels), 1)
        contexts = [context.configurations for context in factor.contexts]
        found = [
            [by_first_run.get(of[level].run_ids[0], _NONE) if level in of else _NONE for of in contexts]
            for level in self.levels
        ]
        self.groups = [[group for group, _ in of_level] for of_level in found]
        numbers = np.array([[own for _, own in of_level] for of_level in found])
        self.means, self.repeats = numbers[..., 0], numbers[..., 1:]

    @cached_property
    def _places(self) -> dict[str, dict[Level, list[int]]]:
        """The contexts with each level of each other factor."""
        places: dict[str, dict[Level, list[int]]] = {}
        for place, context in enumerate(self.factor.contexts):
            for name, level in context.rest:
                places.setdefault(name, {}).setdefault(level, []).append(place)
        return places

    @property
    def others(self) -> tuple[str, ...]:
        """The other factors."""
        return tuple(self._places)

    def levels_of(self, other: str) -> list[Level]:
        """The levels of another factor that are compared, those with the most contexts first."""
        of_level = self._places[other]
        return sorted(of_level, key=lambda level: -len(of_level[level]))[:MOST_LEVELS]

    @cached_property
    def tests(self) -> Tests:
        """The tests of every two levels that two or more contexts have, over all contexts."""
        return _test(self, np.ones((1, self.means.shape[1]), np.bool_), fewest=2)

    def tests_at(self, other: str) -> Tests:
        """The tests of every two levels at each of `levels_of` another factor."""
        levels = self.levels_of(other)
        among = np.zeros((len(levels), self.means.shape[1]), np.bool_)
        for row, level in zip(among, levels, strict=True):
            row[self._places[other][level]] = True
        return _test(self, among, fewest=1)


def cells_of(sets: Sequence[OneFactor], groups: Sequence[Group]) -> tuple[Cells, ...]:
    """The cells of each factor of a task.

    Args:
        sets: the sets of configurations of the task that differ in one factor only, see `study.one_factor`.
        groups: the configurations of the task with the objective.

    Returns:
        The cells, in the order of the sets.
    """
    known = [group for group in groups if group.values]
    by_first_run: dict[str, _Known] = {
        group.run_ids[0]: (group, (known_mean(group), *repeats))
        for group, repeats in zip(known, _repeats_of(known).tolist(), strict=True)
    }
    problems = problem_factors(groups)
    better = known[0].greater_is_better if known else None
    return tuple(
        Cells(one, by_first_run, is_problem=not problems.isdisjoint(one.names), greater_is_better=better)
        for one in sets
    )


@dataclass(frozen=True, eq=False)
class Tests:
    """Every two levels of a factor over the contexts that have both, for some parts of the contexts.

    The arrays have the shape (parts, pairs of levels); level A is the first one of a pair and level B the second one.

    Attributes:
        cells: the configurations.
        among: whether each context belongs to a part, shape (parts, contexts).
        is_tested: whether there is enough data; where it is not, the other numbers mean nothing.
        contexts: in how many contexts there are both levels.
        difference: by how much level A is better on average.
        above, below: in how many contexts level A is better, and worse.
        p: the p value.
        low, high: the 95 % interval of the difference; NaN where it cannot be estimated.
    """

    cells: Cells
    among: Flags
    is_tested: Flags
    contexts: Counts
    difference: Numbers
    above: Counts
    below: Counts
    p: Numbers
    low: Numbers
    high: Numbers

    @property
    def is_a_better(self) -> Flags:
        """Whether level A is better on average."""
        is_better: Flags = self.difference >= 0
        return is_better

    def pairs(self, part: int, pair: int) -> Pairs:
        """The configurations of the better and the worse level in the contexts of a test."""
        one, other = int(self.cells.first[pair]), int(self.cells.second[pair])
        if not self.difference[part, pair] >= 0:
            one, other = other, one
        return Pairs(self.cells, one, other, self.among[part])


class Pairs(Sequence[Pair]):
    """The configurations of two levels in the contexts that have both; listed when they are first looked at."""

    def __init__(self, cells: Cells, one: int, other: int, among: Flags) -> None:
        self._cells, self._one, self._other, self._among = cells, one, other, among

    @cached_property
    def _pairs(self) -> tuple[Pair, ...]:
        first, second = self._cells.groups[self._one], self._cells.groups[self._other]
        pairs = compress(zip(first, second, strict=True), self._among.tolist())
        return tuple((one, other) for one, other in pairs if one and other)

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, place: Any) -> Any:
        return self._pairs[place]

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._pairs)


def _test(cells: Cells, among: Flags, *, fewest: int) -> Tests:
    """Test every two levels over each part of the contexts, where at least `fewest` of its contexts have both."""
    has_value = ~np.isnan(cells.means)
    have_both = among[:, None] & (has_value[cells.first] & has_value[cells.second])  # (parts, pairs, contexts)
    contexts = have_both.sum(axis=2)
    shape = contexts.shape
    tests = Tests(
        cells,
        among,
        np.zeros(shape, np.bool_),
        contexts,
        *(np.full(shape, fill) for fill in (math.nan, 0, 0, math.nan, math.nan, math.nan)),
    )
    if cells.greater_is_better is None:
        return tests
    sign = 1.0 if cells.greater_is_better else -1.0
    for n in np.unique(contexts[contexts >= fewest]).tolist():
        at = contexts == n
        pairs = np.nonzero(at)[1]
        levels = np.stack([cells.first[pairs], cells.second[pairs]])[..., None]
        places = np.nonzero(have_both[at])[1].reshape(-1, n)
        means = cells.means[levels, places]
        a, b = sign * means
        if n < FEWEST:
            is_tested, *columns = _by_repeats(a, b, cells.repeats[levels, places])
        else:
            is_tested, *columns = _by_contexts(compare_all(a, b), _ratio_ps(means))
        tests.is_tested[at] = is_tested
        filled = (tests.difference, tests.above, tests.below, tests.p, tests.low, tests.high)
        for whole, part in zip(filled, columns, strict=True):
            whole[at] = part
    return tests


def _by_repeats(a: Numbers, b: Numbers, repeats: Numbers) -> _Columns:
    """Test levels over few contexts by the pooled spread of repeats; not tested where it cannot be estimated.

    Student's t test (1908) for a contrast of cell means.

    Args:
        a: the mean of level A in each context, shape (tests, contexts).
        b: that of level B.
        repeats: the numbers of `_repeats_of` for both, shape (2, tests, contexts, 4).
    """
    from scipy.special import stdtr

    difference, above, below = count_contexts(a, b)
    unit, error, degrees = _errors_of_repeats(repeats)
    is_known = ~np.isnan(error)
    known = np.flatnonzero(is_known)
    reach = np.full(len(a), math.nan)
    quantiles = {of: t_quantile(of) for of in set(degrees[known].tolist())}
    with np.errstate(over="ignore"):
        reach[known] = unit[known] * np.array([quantiles[of] for of in degrees[known].tolist()]) * error[known]
    # Where a level is better in one context and worse in another, the mean says little.
    p = np.ones(len(a))
    agree = known[np.maximum(above, below)[known] == a.shape[1]]
    p[agree] = 2 * stdtr(degrees[agree], -np.abs(difference[agree] / unit[agree]) / error[agree])
    return is_known, difference, above, below, p, difference - reach, difference + reach


def _by_contexts(compared: Comparisons, by_ratio: Numbers) -> _Columns:
    """The p value and the 95 % interval where there are enough contexts to decide; `by_ratio` is that of _ratio_ps."""
    # With few contexts that all agree the sign test cannot be significant.
    all_agree = ~np.isnan(compared.t_p) & (np.maximum(compared.above, compared.below) == compared.n)
    p = np.where(all_agree, compared.t_p, compared.p)
    has_ratio = all_agree & ~np.isnan(by_ratio)
    p[has_ratio] = np.minimum(1.0, 2 * np.minimum(p, by_ratio)[has_ratio])
    is_unclear = has_ratio & ~(np.sign(compared.low) * np.sign(compared.high) > 0)
    low, high = (np.where(is_unclear, math.nan, bound) for bound in (compared.low, compared.high))
    p[~all_agree & ((compared.above - compared.below) * np.sign(compared.difference) < 0)] = 1.0  # contradicts the mean
    is_tested = np.ones(len(p), np.bool_)
    return is_tested, compared.difference, compared.above, compared.below, p, low, high


def _ratio_ps(means: Numbers) -> Numbers:
    """The p value of the ratios of means where contexts are on different scales, such as data sets in other units.

    There a gain is proportional to the level, and the context with the largest scale alone would dominate the mean
    difference. NaN where the scales are similar.

    Args:
        means: the means of both levels in each context, shape (2, tests, contexts).
    """
    levels = means.sum(axis=0)
    is_positive = means.min(axis=(0, 2)) > 0
    other_scales = np.flatnonzero(is_positive & (levels.max(axis=1) >= _OTHER_SCALES * levels.min(axis=1)))
    ps = np.full(len(levels), math.nan)
    if len(other_scales):
        a, b = np.log(means[:, other_scales])
        ps[other_scales] = paired_t_test(a, b).p
    return ps


def _errors_of_repeats(repeats: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """The standard error of each mean difference by the pooled spread of repeats.

    Args:
        repeats: as in `_by_repeats`.

    Returns:
        A unit, the error in it, NaN where it cannot be estimated, and the degrees of freedom, each of shape (tests,).
    """
    _, tests, contexts, _ = repeats.shape
    of_tests = np.moveaxis(repeats, 0, 2).reshape(tests, -1, 4)
    counts, own, largest, squares = np.moveaxis(of_tests, 2, 0)
    degrees = (counts - 1).sum(axis=1)
    unit = own.max(axis=1)
    unit[unit == 0] = 1.0  # values that are all zero have no scale
    own = own / unit[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = _summed(own * own * squares) / degrees
        error = np.sqrt(variance * _summed(1 / counts)) / contexts
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
    all_values, counts = joined([group.values for group in groups])
    repeats = np.empty((len(groups), 4))
    for places, values in rows_by_size(all_values, counts):
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
