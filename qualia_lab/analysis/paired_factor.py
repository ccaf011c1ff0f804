"""Compare two levels of a factor over contexts in which everything else is the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import t_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qualia_lab.analysis.histories import Numbers

    Counts = NDArray[np.int64]
    Flags = NDArray[np.bool_]

FEWEST = 5  # contexts needed for a decision
_FAR_OFF = 3.5  # robust standard deviations of a difference beyond which normality is not assumed


@dataclass(frozen=True)
class PairedComparison:
    """Level A against level B over n contexts; a context is a configuration of the other factors, averaged over seeds.

    Attributes:
        n: the number of contexts.
        difference: the mean of A minus B, in the unit of the metric.
        low, high: the 95 % interval of the difference by t; None where all differences are equal or n is 1.
        above, below: in how many contexts A is above B and below B; ties count for neither.
        sign_p: the two-sided p value of the exact sign test.
        t_p: the two-sided p value of the paired t test; None without a spread.
        p: the p value of the test that decides.
    """

    n: int
    difference: float
    low: float | None
    high: float | None
    above: int
    below: int
    sign_p: float
    t_p: float | None
    p: float


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Several comparisons with equally many contexts: `PairedComparison` with an array, NaN for None, per number."""

    n: int
    difference: Numbers
    low: Numbers
    high: Numbers
    above: Counts
    below: Counts
    sign_p: Numbers
    t_p: Numbers
    p: Numbers


def compare_over_contexts(a: Numbers, b: Numbers) -> PairedComparison:
    """Compare two levels over contexts; see `compare_all`.

    Args:
        a: the mean of level A in each context, finite, shape (contexts,).
        b: the mean of level B in the same contexts.

    Returns:
        The comparison.
    """
    compared = compare_all(a[None, :], b[None, :])
    one = {name: getattr(compared, name)[0].item() for name in Comparisons.__dataclass_fields__ if name != "n"}
    return PairedComparison(
        compared.n, **one | {name: None for name in ("low", "high", "t_p") if math.isnan(one[name])}
    )


def compare_all(a: Numbers, b: Numbers) -> Comparisons:
    """Compare two levels over contexts, several times at once, which is faster.

    The paired t test (Student 1908) decides where no difference is an outlier (MAD, Hampel 1974; cut-off of Iglewicz
    and Hoaglin 1993), otherwise the exact sign test (Arbuthnot 1710; Conover 1999, 3.4), which needs six contexts for p
    < 0.05. The choice depends on the spread of the differences only, not on the result of either test. Where all
    differences are equal there is no spread, and the sign test decides.

    Args:
        a: the mean of level A in each context, finite, shape (comparisons, contexts).
        b: the mean of level B in the same contexts, of the same shape.

    Returns:
        The comparisons, in the same order.
    """
    differences, largest = a - b, largest_of(a, b)
    difference, above, below = count_differences(differences, largest)
    sign_p = sign_test(above, below)
    t = paired_t_tests(differences, largest)
    p = deciding_ps(differences, t.p, sign_p)
    return Comparisons(a.shape[1], difference, t.low, t.high, above, below, sign_p, t.p, p)


def deciding_ps(differences: Numbers, t_p: Numbers, sign_p: Numbers) -> Numbers:
    """The p value of the test that decides each comparison, see `compare_all`.

    Args:
        differences: A minus B in each context, shape (comparisons, contexts).
        t_p: the p values of the paired t tests, NaN without a spread.
        sign_p: those of the sign tests.

    Returns:
        One of both p values for each comparison.
    """
    return np.where(~np.isnan(t_p) & ~_has_outlier(differences), t_p, sign_p)


@dataclass(frozen=True, eq=False)
class TTests:
    """Paired t tests: p values and 95 % intervals of the mean differences, NaN where all differences are equal."""

    p: Numbers
    low: Numbers
    high: Numbers


def paired_t_tests(differences: Numbers, largest: Numbers) -> TTests:
    """The paired t tests of `compare_all`, without its other tests.

    Args:
        differences: A minus B in each context, shape (comparisons, contexts).
        largest: the result of `largest_of` the two.
    """
    from scipy.special import stdtr

    n = differences.shape[1]
    difference = differences.mean(axis=1)
    squares = ((differences - difference[:, None]) ** 2).sum(axis=1)
    spreads = np.sqrt(squares / n) > 1e-12 * largest
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(squares / (n - 1)) / math.sqrt(n) if n > 1 else np.zeros(len(differences))
        p = 2 * stdtr(n - 1, -np.abs(difference / error))
    reach = t_quantile(n - 1) * error if n > 1 else error
    return TTests(*(np.where(spreads, column, math.nan) for column in (p, difference - reach, difference + reach)))


def count_contexts(a: Numbers, b: Numbers) -> tuple[Numbers, Counts, Counts]:
    """Count in how many contexts each level is better; differences within rounding error count for neither.

    Args:
        a: as in `compare_all`.
        b: as in `compare_all`.

    Returns:
        For each comparison, the mean of A minus B, the number of contexts with A above B, and the number with A below
        B.
    """
    return count_differences(a - b, largest_of(a, b))


def count_differences(differences: Numbers, largest: Numbers) -> tuple[Numbers, Counts, Counts]:
    """The same from the differences; arguments as in `paired_t_tests`."""
    unequal = np.abs(differences) > 1e-12 * largest[:, None]
    above, below = ((unequal & side).sum(axis=1) for side in (differences > 0, differences < 0))
    return differences.mean(axis=1), above, below


def sign_test(above: Counts, below: Counts) -> Numbers:
    """The two-sided p values of exact sign tests, ties dropped.

    Conover (1999), "Practical Nonparametric Statistics", 3.4.

    Args:
        above: the numbers of positive differences.
        below: the numbers of negative differences.

    Returns:
        The p values; 1 where there is no difference.
    """
    from scipy.special import bdtr

    ps: Numbers = np.minimum(1.0, 2 * bdtr(np.minimum(above, below), above + below, 0.5))
    return ps


def largest_of(a: Numbers, b: Numbers) -> Numbers:
    """The largest absolute value of each comparison; arguments as in `compare_all`."""
    largest: Numbers = np.maximum(np.abs(a).max(axis=1), np.abs(b).max(axis=1))
    return largest


def _has_outlier(differences: Numbers) -> Flags:
    """Whether a difference of each comparison lies far from the median of its differences (MAD)."""
    distances = np.abs(differences - _medians(differences)[:, None])
    is_far: Flags = distances.max(axis=1) > _FAR_OFF * 1.4826 * _medians(distances)
    return is_far


def _medians(rows: Numbers) -> Numbers:
    """The median of each row without NaN; `np.median` of a few hundred values takes three times as long."""
    middle = (rows.shape[1] - 1) // 2, rows.shape[1] // 2
    low, high = np.sort(rows, axis=1)[:, middle].T
    medians: Numbers = low if middle[0] == middle[1] else (low + high) / 2
    return medians
