"""The power of `best_of`, which selects the best of k configurations before it compares them."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from qualia_lab.analysis.best_of import ALPHA, PAIR_ALPHA
from qualia_lab.analysis.power import MOST, POWER, least_that_reaches, welch_power
from qualia_lab.analysis.studentized import range_p

_MANY = 2000  # degrees of freedom from which the spread counts as known
_DEGREES = (1, 2, 3, 4, 5, 6, 8, 10, 14, 20, 30, 50, 120, _MANY)
_NORMAL_POWER = 0.8416  # the normal quantile of 80 %


@lru_cache(maxsize=1024)
def detectable_among(k: int, n: int, m: int, degrees: int, alpha: float = ALPHA) -> float:
    """The difference between two of k configurations that `best_of` detects with 80 % power, in standard deviations.

    Two configurations are told apart where Tukey's studentised range is exceeded, whose power is that of a noncentral t
    (Cohen 1988), and Welch's test of the pair alone agrees (`power.welch_power`). The probability that two dependent
    conditions both hold is at most that of the rarer one, and at least what it would be if their failures excluded each
    other (Frechet 1935); the middle of these bounds is used, which is within 0.05 of simulations.

    Args:
        k: the number of compared configurations.
        n: the number of values of one configuration.
        m: the number of values of the other.
        degrees: the degrees of freedom of the pooled spread.
        alpha: the significance level, corrected for all pairs.

    Returns:
        The difference in standard deviations between repeats.
    """
    return least_that_reaches(lambda difference: _power(difference, k, n, m, degrees, alpha=alpha) < POWER, 30)


def _power(difference: float, k: int, n: int, m: int, degrees: int, *, alpha: float) -> float:
    """The probability that a difference in standard deviations is detected."""
    from scipy.special import nctdtr

    limit = _limit(k, degrees, alpha) / math.sqrt(2)
    by_range = 1 - float(nctdtr(degrees, difference / math.sqrt(1 / n + 1 / m), limit))
    if min(n, m) < 2:
        return by_range
    by_welch = welch_power(difference, n, m, PAIR_ALPHA)
    return (min(by_range, by_welch) + max(0.0, by_range + by_welch - 1)) / 2


def needed_among(difference: float, k: int, alpha: float = ALPHA) -> int:
    """How many values each of k configurations needs for `best_of` to detect a difference with 80 % power.

    Args:
        difference: the smallest difference that matters, in standard deviations between repeats; never the observed
            one.
        k: the number of configurations.
        alpha: the significance level, corrected for all pairs.

    Returns:
        The number of values, from 2 to `power.MOST`, which stands for that many or more.
    """
    standardised = (_range_quantile(k, _MANY, alpha) / math.sqrt(2) + _NORMAL_POWER) / difference
    # A lower bound: enough if the spread were known. It takes more repeats to estimate it.
    low = max(1, min(MOST, math.ceil(2 * standardised**2)) - 1)
    step = 1
    while low + step < MOST and not _is_enough(difference, k, low + step, alpha):
        low, step = low + step, 2 * step
    high = min(low + step, MOST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_enough(difference, k, middle, alpha) else (middle, high)
    return high


def _is_enough(difference: float, k: int, n: int, alpha: float) -> bool:
    """Whether n values per configuration detect the difference with 80 % power."""
    return _power(difference, k, n, n, k * (n - 1), alpha=alpha) >= POWER


def _limit(k: int, degrees: int, alpha: float) -> float:
    """The quantile of the studentised range, interpolated linearly in the reciprocal of the degrees of freedom."""
    nodes = np.array(_DEGREES)
    upper = int(np.searchsorted(nodes, min(degrees, _MANY)))
    if nodes[upper] == degrees or upper == 0:
        return _range_quantile(k, int(nodes[upper]), alpha)
    below, above = int(nodes[upper - 1]), int(nodes[upper])
    share = (1 / below - 1 / min(degrees, _MANY)) / (1 / below - 1 / above)
    return (1 - share) * _range_quantile(k, below, alpha) + share * _range_quantile(k, above, alpha)


@lru_cache(maxsize=1024)
def _range_quantile(k: int, degrees: int, alpha: float) -> float:
    """The studentised range of k means that is exceeded by chance with probability `alpha`."""
    return least_that_reaches(lambda quantile: float(range_p(np.array([quantile]), max(k, 2), degrees)[0]) > alpha)
