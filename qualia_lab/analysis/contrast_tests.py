"""Tests of every two levels of a factor over contexts that have both, for some parts of the contexts at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import t_quantile
from qualia_lab.analysis.paired_factor import (
    FEWEST,
    count_differences,
    deciding_ps,
    largest_of,
    paired_t_tests,
    sign_test,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from qualia_lab.analysis.contrasts import Cells, Pairs
    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.paired_factor import Counts, Flags

    Places = NDArray[np.intp]

_FEWEST_DEGREES = 3  # degrees of freedom of the spread between repeats from which it can decide
_OTHER_SCALES = 3.0  # ratio of the largest to the smallest context mean from which scales count as different


@dataclass(frozen=True, eq=False)
class Tests:
    """Every two levels of a factor over the contexts that have both, for some parts of the contexts.

    The arrays have the shape (parts, pairs of levels); level A is the first one of a pair and level B the second one.

    Attributes:
        cells: the configurations.
        among: whether each context belongs to a part, shape (parts, contexts).
        have_both: whether each context belongs to a part and has both levels, shape (parts, pairs, contexts).
        is_tested: whether there is enough data.
        difference: by how much level A is better on average; NaN where there is not enough data.
    """

    cells: Cells
    among: Flags
    have_both: Flags
    is_tested: Flags
    difference: Numbers

    @property
    def is_a_better(self) -> Flags:
        """Whether level A is better on average."""
        is_better: Flags = self.difference >= 0
        return is_better

    def decide(self, wanted: Flags) -> Decisions:
        """Decide these tests, which have to be among those with enough data.

        Args:
            wanted: whether each test is decided, shape (parts, pairs).
        """
        shape = wanted.shape
        decisions = Decisions(*(np.full(shape, fill) for fill in (0, 0, math.nan, math.nan, math.nan)))
        filled = (decisions.above, decisions.below, decisions.p, decisions.low, decisions.high)
        for at, pairs, places in _by_contexts_of(self.have_both, wanted):
            decide = _by_repeats if places.shape[1] < FEWEST else _by_contexts
            for whole, part in zip(filled, decide(self.cells, pairs, places), strict=True):
                whole[at] = part
        return decisions

    def pairs(self, part: int, pair: int) -> Pairs:
        """The configurations of the better and the worse level in the contexts of a test."""
        one, other = int(self.cells.first[pair]), int(self.cells.second[pair])
        if not self.difference[part, pair] >= 0:
            one, other = other, one
        return self.cells.pairs(one, other, self.among[part])


@dataclass(frozen=True, eq=False)
class Decisions:
    """What `Tests` come to; arrays of the same shape, without meaning where a test was not decided.

    Attributes:
        above, below: in how many contexts level A is better, and worse.
        p: the p value.
        low, high: the 95 % interval of the difference; NaN where it cannot be estimated.
    """

    above: Counts
    below: Counts
    p: Numbers
    low: Numbers
    high: Numbers


def tests_of(cells: Cells, among: Flags, *, fewest: int) -> Tests:
    """Test every two levels over each part of the contexts, where at least `fewest` of its contexts have both.

    Args:
        cells: the configurations.
        among: whether each context belongs to a part, shape (parts, contexts).
        fewest: the number of contexts.
    """
    have_both = among[:, None] & ~np.isnan(cells.gains)
    shape = have_both.shape[:2]
    tests = Tests(cells, among, have_both, np.zeros(shape, np.bool_), np.full(shape, math.nan))
    if cells.greater_is_better is None:
        return tests
    for at, pairs, places in _by_contexts_of(have_both, have_both.sum(axis=2) >= fewest):
        tests.difference[at] = cells.gains[pairs, places].mean(axis=1)
        # Few contexts are tested by the pooled spread of repeats; not where that cannot be estimated.
        tests.is_tested[at] = places.shape[1] >= FEWEST or ~np.isnan(_errors_of_repeats(cells, pairs, places)[1])
    return tests


def _by_contexts_of(have_both: Flags, wanted: Flags) -> Iterator[tuple[Flags, Places, Places]]:
    """The wanted tests over equally many contexts: what is computed of each takes a fraction of the time.

    Args:
        have_both: as in `Tests`.
        wanted: whether each test is wanted, shape (parts, pairs).

    Yields:
        Whether each test is one of these, their pairs, shape (tests, 1), and contexts, shape (tests, contexts).
    """
    contexts = have_both.sum(axis=2)
    for n in np.unique(contexts[wanted]).tolist():
        at = wanted & (contexts == n)
        yield at, np.nonzero(at)[1][:, None], np.nonzero(have_both[at])[1].reshape(-1, n)


_Columns = tuple["Counts", "Counts", "Numbers", "Numbers", "Numbers"]  # the numbers of some tests, as in Decisions


def _by_repeats(cells: Cells, pairs: Places, places: Places) -> _Columns:
    """Test levels over few contexts by the pooled spread of repeats.

    Student's t test (1908) for a contrast of cell means.

    Args:
        cells: the configurations.
        pairs: as `_by_contexts_of` yields them.
        places: the same.
    """
    from scipy.special import stdtr

    difference, above, below = _counted(cells, pairs, places)
    unit, error, degrees = _errors_of_repeats(cells, pairs, places)
    quantiles = {of: t_quantile(of) for of in set(degrees.tolist())}
    with np.errstate(over="ignore"):
        reach = unit * np.array([quantiles[of] for of in degrees.tolist()]) * error
    # Where a level is better in one context and worse in another, the mean says little.
    p = np.ones(len(pairs))
    agree = np.maximum(above, below) == places.shape[1]
    p[agree] = 2 * stdtr(degrees[agree], -np.abs(difference[agree] / unit[agree]) / error[agree])
    return above, below, p, difference - reach, difference + reach


def _by_contexts(cells: Cells, pairs: Places, places: Places) -> _Columns:
    """Test levels over enough contexts to decide; arguments as in `_by_repeats`."""
    gains = cells.gains[pairs, places]
    difference, above, below = _counted(cells, pairs, places)
    t = paired_t_tests(gains, cells.largest[pairs, places].max(axis=1))
    p, low, high = t.p.copy(), t.low, t.high
    # With few contexts that all agree the sign test cannot be significant.
    all_agree = ~np.isnan(t.p) & (np.maximum(above, below) == places.shape[1])
    others = np.flatnonzero(~all_agree)
    p[others] = deciding_ps(gains[others], t.p[others], sign_test(above[others], below[others]))
    by_ratio = _ratio_ps(cells, pairs, places)
    has_ratio = all_agree & ~np.isnan(by_ratio)
    p[has_ratio] = np.minimum(1.0, 2 * np.minimum(p, by_ratio)[has_ratio])
    is_unclear = has_ratio & ~(np.sign(low) * np.sign(high) > 0)
    low, high = (np.where(is_unclear, math.nan, bound) for bound in (low, high))
    p[~all_agree & ((above - below) * np.sign(difference) < 0)] = 1.0  # contradicts the mean
    return above, below, p, low, high


def _counted(cells: Cells, pairs: Places, places: Places) -> tuple[Numbers, Counts, Counts]:
    """For each test the mean gain, and in how many contexts level A is better and worse."""
    return count_differences(cells.gains[pairs, places], cells.largest[pairs, places].max(axis=1))


def _ratio_ps(cells: Cells, pairs: Places, places: Places) -> Numbers:
    """The p value of the ratios of means where contexts are on different scales, such as data sets in other units.

    There a gain is proportional to the level, and the context with the largest scale alone would dominate the mean
    difference. NaN where the scales are similar. Arguments as in `_by_repeats`.
    """
    a, b = (cells.means[level[pairs], places] for level in (cells.first, cells.second))
    levels = a + b
    is_positive = np.minimum(a, b).min(axis=1) > 0
    other_scales = np.flatnonzero(is_positive & (levels.max(axis=1) >= _OTHER_SCALES * levels.min(axis=1)))
    ps = np.full(len(levels), math.nan)
    if len(other_scales):
        a, b = np.log(a[other_scales]), np.log(b[other_scales])
        ps[other_scales] = paired_t_tests(a - b, largest_of(a, b)).p
    return ps


def _errors_of_repeats(cells: Cells, pairs: Places, places: Places) -> tuple[Numbers, Numbers, Numbers]:
    """The standard error of each mean difference by the pooled spread of repeats; arguments as in `_by_repeats`.

    Returns:
        A unit, the error in it, NaN where it cannot be estimated, and the degrees of freedom, each of shape (tests,).
    """
    of_levels = [cells.repeats[level[pairs], places] for level in (cells.first, cells.second)]
    counts, own, largest, squares = np.moveaxis(np.stack(of_levels, axis=2).reshape(len(pairs), -1, 4), 2, 0)
    degrees = (counts - 1).sum(axis=1)
    unit = own.max(axis=1)
    unit[unit == 0] = 1.0  # values that are all zero have no scale
    own = own / unit[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = _summed(own * own * squares) / degrees
        error = np.sqrt(variance * _summed(1 / counts)) / places.shape[1]
    is_known = (degrees >= _FEWEST_DEGREES) & (error > 1e-12 * (own * largest).max(axis=1))
    return unit, np.where(is_known, error, math.nan), degrees


def _summed(columns: Numbers) -> Numbers:
    """The sum of the columns, one after another, so that it does not depend on how many rows there are."""
    total: Numbers = np.add.accumulate(columns, axis=1)[:, -1]
    return total
