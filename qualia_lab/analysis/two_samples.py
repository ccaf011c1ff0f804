"""Compare two samples: the choice of the test, the difference with its interval, and the detectable difference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.intervals import t_quantile
from qualia_lab.analysis.power import detectable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.histories import Numbers

# Ranks are used from this many values per side, and only with outliers: fewer ranks cannot be significant.
_RANKS_FROM = 8
_FAR_OFF = 6.0  # robust standard deviations
# Pairwise differences held at once: for two samples of 10,000 values they would need a gigabyte.
_DIFFERENCES_AT_ONCE = 1_000_000
_WITHOUT_SIGN = 2**63 - 1

Test = Literal["paired t", "Welch's t", "Mann-Whitney U", ""]


@dataclass(frozen=True)
class Comparison:
    """Sample A against sample B. What the values do not allow to compute is None.

    Attributes:
        test: the test that was used; "" for none.
        why: why this test, or why none.
        difference: A minus B: of the means, or for a Mann-Whitney test the Hodges-Lehmann shift.
        low, high: the 95 % interval of the difference.
        superiority: P(A > B), how often a value of A exceeds one of B, ties counted half.
        effect: Hedges' g, or d_z for pairs.
        p: the two-sided p value, not corrected for multiple tests.
        smallest: the smallest difference of means that is detected with 80 % power at 5 %, given n and the spread.
        in_deviations: the same in standard deviations.
    """

    test: Test
    why: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    superiority: float | None = None
    effect: float | None = None
    p: float | None = None
    smallest: float | None = None
    in_deviations: float | None = None


def compare_pairs(a: Sequence[float], b: Sequence[float], why: str) -> Comparison:
    """Student's paired t test (Student 1908) of at least two pairs.

    The effect size is d_z, the mean of the differences over their standard deviation (Lakens 2013).

    Args:
        a: the values of sample A, shape (n,).
        b: the values of sample B that they are paired with, shape (n,).
        why: why the values are paired, for the reader.

    Returns:
        The comparison.
    """
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    n, spread = len(differences), float(differences.std(ddof=1))
    difference, error = float(differences.mean()), spread / math.sqrt(n)
    reach = t_quantile(n - 1) * error
    in_deviations = detectable(n)
    return Comparison(
        "paired t",
        why,
        difference=difference,
        low=difference - reach,
        high=difference + reach,
        superiority=superiority(a, b),
        effect=difference / spread,
        p=_two_sided(difference / error, n - 1),
        smallest=in_deviations * spread,
        in_deviations=in_deviations,
    )


def compare_samples(a: Sequence[float], b: Sequence[float], why: str) -> Comparison:
    """Welch's t test (Welch 1947), or the Mann-Whitney U test (1947) with outliers and enough values.

    The interval of a Mann-Whitney test is that of the Hodges-Lehmann shift by ordered differences (Hollander and Wolfe
    1999, section 4.3). The effect size is Hedges' g (Hedges 1981).

    Args:
        a: the values of sample A, shape (n,).
        b: the values of sample B, shape (m,).
        why: why the values are not paired, for the reader.

    Returns:
        The comparison; without a test where the samples are too small or do not vary.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    n, m = len(first), len(second)
    if n == 0 or m == 0:
        return Comparison("", "no run with a value on one side")
    difference = float(first.mean() - second.mean())
    if n + m < 3:
        return Comparison("", "one run each", difference=difference, superiority=superiority(a, b))
    squares = float(((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum())
    pooled = math.sqrt(squares / (n + m - 2))
    if not (spreads(first, within=first) or spreads(second, within=second)):
        return Comparison("", "the repeats are all equal", difference=difference, superiority=superiority(a, b))
    in_deviations = detectable(n, m)
    known = {
        "superiority": superiority(a, b),
        "effect": hedges(n + m - 2) * difference / pooled,
        "smallest": in_deviations * pooled,
        "in_deviations": in_deviations,
    }
    if n < 2 or m < 2:
        return Comparison("", "one run on one side", difference=difference, **known)
    if min(n, m) >= _RANKS_FROM and (_has_outlier(first) or _has_outlier(second)):
        shift, low, high = _shift(first, second)
        p = _mann_whitney_p(first, second)
        return Comparison("Mann-Whitney U", f"{why}, with outliers", shift, low, high, p=p, **known)
    parts = float(first.var(ddof=1)) / n, float(second.var(ddof=1)) / m
    error = math.sqrt(sum(parts))
    degrees = _welch_degrees(parts[0], n, parts[1], m)
    reach = t_quantile(degrees) * error
    p = _two_sided(difference / error, degrees)
    return Comparison("Welch's t", why, difference, difference - reach, difference + reach, p=p, **known)


def superiority(a: Sequence[float], b: Sequence[float]) -> float:
    """P(A > B) over all pairs of values, ties counted half (Vargha and Delaney 2000): U / (n m), as in rliable."""
    first, second = np.asarray(a, np.float64), np.sort(np.asarray(b, np.float64))
    below, up_to = (int(np.searchsorted(second, first, side).sum()) for side in ("left", "right"))
    return (below + up_to) / 2 / (len(first) * len(second))


def hedges(degrees: int) -> float:
    """The exact small-sample correction of a standardised difference (Hedges 1981)."""
    return (
        math.exp(math.lgamma(degrees / 2) - math.lgamma((degrees - 1) / 2)) / math.sqrt(degrees / 2)
        if degrees > 1
        else math.nan
    )


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """P values corrected for a family of tests (Holm 1979), which bounds the family-wise error rate.

    Args:
        ps: the p values; None for no test, which does not count as a member of the family.

    Returns:
        The corrected p values in the same order, with None kept.
    """
    tested = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        corrected[place] = highest
    return corrected


def _welch_degrees(a: float, n: int, b: float, m: int) -> float:
    """Welch's degrees of freedom of two means with squared standard errors a and b (Satterthwaite 1946)."""
    return (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))


def _two_sided(t: float, degrees: float) -> float:
    """The two-sided p value of a t statistic."""
    from scipy.special import stdtr

    return float(2 * stdtr(degrees, -abs(t)))


def spreads(values: Sequence[float] | Numbers, within: Sequence[float] | Numbers) -> bool:
    """Whether values differ by more than rounding error relative to the values that they were computed from."""
    return float(np.std(values)) > 1e-12 * float(np.abs(within).max())


def _has_outlier(values: Numbers) -> bool:
    """Whether a value lies more than six robust standard deviations from the median (MAD, Hampel 1974)."""
    distances = np.abs(values - np.median(values))
    return bool(distances.max() > _FAR_OFF * 1.4826 * np.median(distances))


def _mann_whitney_p(first: Numbers, second: Numbers) -> float:
    """The two-sided p value of the Mann-Whitney U test."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(first, second, alternative="two-sided").pvalue)


def _shift(first: Numbers, second: Numbers) -> tuple[float, float, float]:
    """The Hodges-Lehmann shift, the median of all pairwise differences, and its 95 % interval."""
    n, m = len(first), len(second)
    outside = math.floor(n * m / 2 - 1.959964 * math.sqrt(n * m * (n + m + 1) / 12))
    ranks = (n * m - 1) // 2, n * m // 2, outside, n * m - 1 - outside
    if n * m <= _DIFFERENCES_AT_ONCE:
        ordered = np.sort((first[:, None] - second[None, :]).ravel())
        below, above, low, high = (float(ordered[rank]) for rank in ranks)
    else:
        below, above, low, high = (difference_of_rank(first, second, rank) for rank in ranks)
    return below if below == above else (below + above) / 2, low, high


def difference_of_rank(first: Numbers, second: Numbers, rank: int) -> float:
    """The pairwise difference with a given rank, without holding all differences in memory.

    Bisection over the doubles in their order: the differences up to a given double are counted row by row.

    Args:
        first: shape (n,).
        second: shape (m,).
        rank: from 0 to n m - 1, among all differences of a value of `first` minus one of `second`.

    Returns:
        The difference.
    """
    descending = np.sort(second)[::-1]
    low, high = (
        _index_of_double(float(first.min() - descending[0])),
        _index_of_double(float(first.max() - descending[-1])),
    )
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _at_most(first, descending, _double_at(middle)) > rank else (middle + 1, high)
    return _double_at(low)


def _at_most(first: Numbers, falling: Numbers, limit: float) -> int:
    """How many differences are at most `limit`, by binary search in each row; differences grow along `falling`."""
    low, high = np.zeros(len(first), np.int64), np.full(len(first), len(falling))
    for _ in range(len(falling).bit_length()):
        middle = (low + high) // 2
        is_at_most = first - falling[np.minimum(middle, len(falling) - 1)] <= limit
        is_open = low < high
        low = np.where(is_open & is_at_most, middle + 1, low)
        high = np.where(is_open & ~is_at_most, middle, high)
    return int(low.sum())


def _index_of_double(number: float) -> int:
    """The index of a double in the order of all doubles."""
    bits = int(np.float64(number + 0.0).view(np.int64))
    return bits if bits >= 0 else -(bits & _WITHOUT_SIGN)


def _double_at(place: int) -> float:
    """The double with an index in the order of all doubles."""
    return math.copysign(float(np.int64(abs(place)).view(np.float64)), place)
