"""Paired tests of the values that two versions have on the same rows: McNemar's test, and sign flips for numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.intervals import mean_interval
from qualia_lab.analysis.paired_factor import count_contexts, sign_test

if TYPE_CHECKING:
    from qualia_lab.analysis.histories import Numbers

# The smallest two-sided p value of n pairs is 2 / 2^n: below six pairs nothing is significant at 5 %.
FEWEST_PAIRS = 6
_ENUMERATED = 13  # pairs of which all 2^n sign patterns are tried
_FLIPS = 9_999
_NORMAL_FROM = 1_000  # pairs from which the sum of the flipped differences is taken as normal
_SEED = 0  # fixed, so that the same values always give the same p value
_AT_ONCE = 1_000_000
_Z = 1.959964

PairedTestName = Literal["McNemar, exact", "sign flips", ""]


@dataclass(frozen=True)
class PairedTest:
    """The second version minus the first, over n rows.

    Attributes:
        n: the number of pairs.
        above, below: in how many pairs the second value is above the first, and below it.
        difference: the mean difference; None without pairs.
        low, high: its 95 % interval; None for fewer than two pairs.
        test: the test; "" for none.
        p: its two-sided p value, not corrected; None without pairs.
    """

    n: int
    above: int = 0
    below: int = 0
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    test: PairedTestName = ""
    p: float | None = None


def paired_test(first: Numbers, second: Numbers) -> PairedTest:
    """Compare two versions over pairs.

    Where all values are 0 or 1: McNemar's exact test (McNemar 1947), which is the sign test of the pairs that differ,
    and the interval of Bonett and Price (2012), "Adjusted Wald Confidence Interval for a Difference of Binomial
    Proportions Based on Paired Data". Otherwise the sign-flip test of the mean (Fisher 1935, "The Design of
    Experiments", 21) and the bootstrap interval of `intervals.mean_interval`.

    Args:
        first: the values of the first version, finite, shape (n,).
        second: those of the second version for the same rows, shape (n,).

    Returns:
        The comparison.
    """
    n = len(first)
    if n == 0:
        return PairedTest(0)
    mean, above, below = (float(one[0]) for one in count_contexts(second[None, :], first[None, :]))
    if np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all():
        p = float(sign_test(np.array([int(above)]), np.array([int(below)]))[0])
        low, high = _bonett_price(int(above), int(below), n)
        return PairedTest(n, int(above), int(below), mean, low, high, "McNemar, exact", p)
    differences = second - first
    interval = mean_interval(differences.tolist())
    return PairedTest(
        n,
        int(above),
        int(below),
        mean,
        None if interval is None else interval.low,
        None if interval is None else interval.high,
        "sign flips",
        sign_flip_p(differences),
    )


def sign_flip_p(differences: Numbers) -> float:
    """The two-sided p value of the mean difference, under which each difference is as likely to have the other sign.

    All sign patterns of up to 13 differences, else 9,999 random ones with the observed one counted (Phipson and Smyth
    2010). From 1,000 differences on, and where no random pattern reaches the observed sum, so that p is below 1e-4, the
    normal distribution with the variance of the flipped sums: corrected for many tests, 1e-4 would never be small.

    Args:
        differences: shape (n,); zeros do not change the result.

    Returns:
        The p value; 1 where nothing differs.
    """
    from scipy.special import ndtr

    moved = differences[differences != 0]
    n = len(moved)
    if n == 0:
        return 1.0
    moved = moved / float(np.abs(moved).max())
    total = float(moved.sum())
    observed = abs(total) * (1 - 1e-12)  # sums of the same terms in another order count as equal
    normal = float(2 * ndtr(-observed / math.sqrt(float((moved**2).sum()))))
    if n >= _NORMAL_FROM:
        return normal
    if n <= _ENUMERATED:
        patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float((np.abs((2.0 * patterns - 1) @ moved) >= observed).mean())
    generator = np.random.default_rng(_SEED)
    reached, rows = 0, max(1, _AT_ONCE // n)
    for begin in range(0, _FLIPS, rows):
        drawn = min(rows, _FLIPS - begin)
        bits = np.unpackbits(np.frombuffer(generator.bytes(drawn * -(-n // 8)), np.uint8).reshape(drawn, -1), axis=1)
        reached += int((np.abs(2 * (bits[:, :n].astype(np.float64) @ moved) - total) >= observed).sum())
    return (reached + 1) / (_FLIPS + 1) if reached else min(1 / (_FLIPS + 1), max(normal, 2.0 ** (1 - n)))


def _bonett_price(above: int, below: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a difference of paired proportions, within -1 and 1."""
    more, less = (above + 1) / (n + 2), (below + 1) / (n + 2)
    reach = _Z * math.sqrt((more + less - (more - less) ** 2) / (n + 2))
    return max(-1.0, more - less - reach), min(1.0, more - less + reach)
