"""Two samples compared: which test, the difference with its interval, and what so few values could show at all."""

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

# Ranks are used from so many values a side on, and only where values lie far off: fewer ranks could show nothing.
_RANKS_FROM = 8
_FAR_OFF = 6.0  # robust standard deviations
_DIFFERENCES_AT_ONCE = 1_000_000  # of one value each; of twice ten thousand they would be a gigabyte
_WITHOUT_SIGN = 2**63 - 1

Test = Literal["paired t", "Welch's t", "Mann-Whitney U", ""]


@dataclass(frozen=True)
class Comparison:
    """Values A against values B.

    difference: A minus B, of the means; of a Mann-Whitney test the shift of Hodges and Lehmann.  low, high: its 95 %
    interval.  superiority: P(A>B), how often a value of A is above one of B, ties half.  effect: Hedges' g, or d_z of
    pairs.  p: two-sided, for itself alone.  smallest: the smallest difference of means that so many values show in
    80 % of cases at 5 %, given their spread, and in_deviations the same in standard deviations.
    What the values do not carry is None, and why says why the test is that one or none.
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
    """Student's paired t test of values that belong together, two pairs or more (Student 1908).

    The effect is d_z, the mean of the differences by their standard deviation (Lakens 2013).
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
    """Welch's t test (Welch 1947), or Mann and Whitney's U (1947) where values lie far off and there are enough.

    The interval of a Mann-Whitney test is that of Hodges and Lehmann's shift by ordered differences (Hollander and
    Wolfe 1999, section 4.3). The effect is Hedges' g (Hedges 1981).
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
        return Comparison("", "the repeats are all alike", difference=difference, superiority=superiority(a, b))
    in_deviations = detectable(n, m)
    known = {
        "superiority": superiority(a, b),
        "effect": hedges(n + m - 2) * difference / pooled,
        "smallest": in_deviations * pooled,
        "in_deviations": in_deviations,
    }
    if n < 2 or m < 2:
        return Comparison("", "one run on one side", difference=difference, **known)
    if min(n, m) >= _RANKS_FROM and (_far_off(first) or _far_off(second)):
        shift, low, high = _shift(first, second)
        p = _ranks_p(first, second)
        return Comparison("Mann-Whitney U", f"{why}, values far off", shift, low, high, p=p, **known)
    parts = float(first.var(ddof=1)) / n, float(second.var(ddof=1)) / m
    error = math.sqrt(sum(parts))
    degrees = _welch_degrees(parts[0], n, parts[1], m)
    reach = t_quantile(degrees) * error
    p = _two_sided(difference / error, degrees)
    return Comparison("Welch's t", why, difference, difference - reach, difference + reach, p=p, **known)


def superiority(a: Sequence[float], b: Sequence[float]) -> float:
    """P(A>B) over all pairs of one value each, ties half (Vargha and Delaney 2000): U / (n m), as in rliable."""
    first, second = np.asarray(a, np.float64), np.sort(np.asarray(b, np.float64))
    below, up_to = (int(np.searchsorted(second, first, side).sum()) for side in ("left", "right"))
    return (below + up_to) / 2 / (len(first) * len(second))


def hedges(degrees: int) -> float:
    """Hedges' correction of a standardised difference for few values, exactly (Hedges 1981)."""
    return (
        math.exp(math.lgamma(degrees / 2) - math.lgamma((degrees - 1) / 2)) / math.sqrt(degrees / 2)
        if degrees > 1
        else math.nan
    )


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Corrected p values of a family (Holm 1979): real differences are called falsely in 5 % of families at most.

    None, no test, stays None and counts as no member of the family.
    """
    tested = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        corrected[place] = highest
    return corrected


def _welch_degrees(a: float, n: int, b: float, m: int) -> float:
    """Welch's degrees of freedom for two means with the squared standard errors a and b (Satterthwaite 1946)."""
    return (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))


def _two_sided(t: float, degrees: float) -> float:
    from scipy.special import stdtr

    return float(2 * stdtr(degrees, -abs(t)))


def spreads(values: Sequence[float] | Numbers, within: Sequence[float] | Numbers) -> bool:
    """Whether values differ by more than the rounding of the last digits of those that they come from."""
    return float(np.std(values)) > 1e-12 * float(np.abs(within).max())


def _far_off(values: Numbers) -> bool:
    """Whether a value lies six robust standard deviations from the median (MAD, Hampel 1974)."""
    distances = np.abs(values - np.median(values))
    return bool(distances.max() > _FAR_OFF * 1.4826 * np.median(distances))


def _ranks_p(first: Numbers, second: Numbers) -> float:
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(first, second, alternative="two-sided").pvalue)


def _shift(first: Numbers, second: Numbers) -> tuple[float, float, float]:
    """Hodges and Lehmann's estimate of the shift, the median of all differences, and its 95 % interval."""
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
    """The difference of that rank, from 0, among all of one value less one other, without holding them all.

    Bisection over the doubles in their order: how many differences are at most one of them is counted row by row.
    """
    falling = np.sort(second)[::-1]
    low, high = _place(float(first.min() - falling[0])), _place(float(first.max() - falling[-1]))
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _at_most(first, falling, _double(middle)) > rank else (middle + 1, high)
    return _double(low)


def _at_most(first: Numbers, falling: Numbers, limit: float) -> int:
    """How many differences are at most this; along `falling` they grow, and of each value the last one is sought."""
    low, high = np.zeros(len(first), np.int64), np.full(len(first), len(falling))
    for _ in range(len(falling).bit_length()):
        middle = (low + high) // 2
        is_within = first - falling[np.minimum(middle, len(falling) - 1)] <= limit
        searched = low < high
        low = np.where(searched & is_within, middle + 1, low)
        high = np.where(searched & ~is_within, middle, high)
    return int(low.sum())


def _place(number: float) -> int:
    """The place of a double among all doubles."""
    bits = int(np.float64(number + 0.0).view(np.int64))
    return bits if bits >= 0 else -(bits & _WITHOUT_SIGN)


def _double(place: int) -> float:
    return math.copysign(float(np.int64(abs(place)).view(np.float64)), place)
