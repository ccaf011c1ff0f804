"""The difference that a given number of values can detect, and the power of the tests."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import t_quantile

if TYPE_CHECKING:
    from collections.abc import Callable

    from qualia_lab.analysis.histories import Numbers

ALPHA = 0.05  # two-sided significance level
POWER = 0.8
MOST = 10_000  # values of a configuration; needing more is as good as impossible
_NODES = 48  # quadrature nodes over the share of one sample in the pooled spread
_SPREAD_NODES = 160  # quadrature nodes over the pooled spread itself


@lru_cache(maxsize=1024)
def detectable(n: int, m: int | None = None, alpha: float = ALPHA) -> float:
    """The smallest difference that a two-sided t test at `alpha` detects with 80 % power, in standard deviations.

    For pairs it uses the noncentral t distribution (Cohen 1988, "Statistical Power Analysis"), for two samples the
    exact power of Welch's test. One value against several allows no Welch test, so Student's answer is given.

    Args:
        n: the number of pairs, or the size of the first sample.
        m: the size of the second sample, of equal spread; None for pairs. Both together are at least three.
        alpha: the two-sided significance level.

    Returns:
        The difference; for pairs in standard deviations of the paired differences.
    """
    from scipy.special import nctdtrinc

    if m is None:
        return float(nctdtrinc(n - 1, 1 - POWER, t_quantile(n - 1, 1 - alpha / 2))) / math.sqrt(n)
    if min(n, m) < 2:
        degrees = n + m - 2
        noncentral = float(nctdtrinc(degrees, 1 - POWER, t_quantile(degrees, 1 - alpha / 2)))
        return noncentral * math.sqrt(1 / n + 1 / m)
    return least_that_reaches(lambda difference: welch_power(difference, n, m, alpha) < POWER)


def least_that_reaches(is_under: Callable[[float], bool], halvings: int = 40) -> float:
    """The smallest positive number for which `is_under` is False, by bisection.

    Args:
        is_under: a predicate that is True below some number and False above it.
        halvings: the number of bisection steps.

    Returns:
        An upper bound of that number.
    """
    low, high = 0.0, 1.0
    while is_under(high):
        low, high = high, 2 * high
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (middle, high) if is_under(middle) else (low, middle)
    return high


def welch_power(difference: float, n: int, m: int, alpha: float = ALPHA) -> float:
    """The power of Welch's two-sided test for two samples of equal spread.

    Exact (Lee and Gurland 1975, JASA 70:933). The share b of the first sample in the pooled sum of squares has a beta
    distribution and is independent of the rest. Given b, Welch's statistic is a multiple of a noncentral t with n + m -
    2 degrees of freedom, and its own degrees of freedom are known, so one integral over b remains, computed by
    Gauss-Jacobi quadrature.

    Args:
        difference: the true difference in standard deviations.
        n: the size of the first sample.
        m: the size of the second sample.
        alpha: the two-sided significance level.

    Returns:
        The power, from 0 to 1.
    """
    from scipy.special import ndtr

    multiples, weights, error = _critical_values_by_share(n, m, alpha)
    spreads, masses = spread_nodes(n + m - 2)
    standardised = difference / error
    critical_values = np.outer(multiples, spreads)
    return float(weights @ (ndtr(standardised - critical_values) + ndtr(-standardised - critical_values)) @ masses)


@lru_cache(maxsize=256)
def spread_nodes(degrees: float) -> tuple[Numbers, Numbers]:
    """Quadrature nodes and weights for expectations over a pooled standard deviation in units of the true one.

    Its distribution is that of sqrt(chi2 / degrees). The trapezoidal rule in the logarithm converges faster than any
    power of the step (Trefethen and Weideman 2014, SIAM Review 56:385).

    Args:
        degrees: the degrees of freedom.

    Returns:
        The nodes and the weights, each of shape (nodes,); the weights sum to 1.
    """
    from scipy.special import gammainccinv, gammaincinv

    ends = gammaincinv(degrees / 2, 1e-14), gammainccinv(degrees / 2, 1e-14)
    logs = np.linspace(math.log(ends[0]), math.log(ends[1]), _SPREAD_NODES)
    density = degrees / 2 * logs - np.exp(logs)
    weights = np.exp(density - density.max())
    return np.sqrt(np.exp(logs) / (degrees / 2)), weights / weights.sum()


@lru_cache(maxsize=256)
def _critical_values_by_share(n: int, m: int, alpha: float) -> tuple[Numbers, Numbers, float]:
    """Welch's critical value in units of the pooled t at each node of b, the quadrature weights, and the true error."""
    from scipy.special import roots_jacobi, stdtrit

    at, weights = roots_jacobi(_NODES, (m - 3) / 2, (n - 3) / 2)
    share = (at + 1) / 2
    pooled = n + m - 2
    first, second = share * pooled / (n - 1) / n, (1 - share) * pooled / (m - 1) / m
    degrees = (first + second) ** 2 / (first**2 / (n - 1) + second**2 / (m - 1))
    error = math.sqrt(1 / n + 1 / m)
    return stdtrit(degrees, 1 - alpha / 2) * np.sqrt(first + second) / error, weights / weights.sum(), error
