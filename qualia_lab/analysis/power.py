"""What so few values could show at all, and how many would be needed for a difference that matters."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import t_quantile

if TYPE_CHECKING:
    from collections.abc import Callable

    from qualia_lab.analysis.histories import Numbers

ALPHA = 0.05  # two-sided
POWER = 0.8
MOST = 10_000  # values of a configuration; what needs more is not worth asking
_NODES = 48  # of quadratures over how two spreads compare, and over the spread itself
_SPREAD_NODES = 160


@lru_cache(maxsize=1024)
def detectable(n: int, m: int | None = None, alpha: float = ALPHA) -> float:
    """The smallest difference, in standard deviations, that a two-sided t test at `alpha` finds in 80 % of cases.

    Of n pairs, or of n and m values of the same spread, three in all or more. For pairs by the noncentral t
    distribution (Cohen 1988, "Statistical Power Analysis"), for two samples by the exact power of Welch's test. One
    value against several is no test; what is said of it is Student's answer.
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
    """The smallest positive number of which `is_under` no longer holds, by bisection; it has to hold below that."""
    low, high = 0.0, 1.0
    while is_under(high):
        low, high = high, 2 * high
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (middle, high) if is_under(middle) else (low, middle)
    return high


def welch_power(difference: float, n: int, m: int, alpha: float = ALPHA) -> float:
    """The power of Welch's two-sided test for a difference in standard deviations, n and m values of equal spread.

    Exact (Lee and Gurland 1975, JASA 70:933). The share b of the first sample in the pooled sum of squares has a
    beta distribution and is independent of the rest. Given b, Welch's statistic is a multiple of a noncentral t with
    n + m - 2 degrees of freedom, and its own degrees of freedom are known; what is left is one integral over b, by
    Gauss-Jacobi quadrature.
    """
    from scipy.special import ndtr

    multiples, weights, error = _given_the_share(n, m, alpha)
    spreads, masses = spread_nodes(n + m - 2)
    away = difference / error
    limits = np.outer(multiples, spreads)
    return float(weights @ (ndtr(away - limits) + ndtr(-away - limits)) @ masses)


@lru_cache(maxsize=256)
def spread_nodes(degrees: float) -> tuple[Numbers, Numbers]:
    """Nodes and weights for means over a pooled standard deviation in units of the true one: sqrt(chi2 / degrees).

    The trapezoidal rule in the logarithm, which converges faster than any power of the step (Trefethen and Weideman
    2014, SIAM Review 56:385).
    """
    from scipy.special import gammainccinv, gammaincinv

    ends = gammaincinv(degrees / 2, 1e-14), gammainccinv(degrees / 2, 1e-14)
    logs = np.linspace(math.log(ends[0]), math.log(ends[1]), _SPREAD_NODES)
    density = degrees / 2 * logs - np.exp(logs)
    weights = np.exp(density - density.max())
    return np.sqrt(np.exp(logs) / (degrees / 2)), weights / weights.sum()


@lru_cache(maxsize=256)
def _given_the_share(n: int, m: int, alpha: float) -> tuple[Numbers, Numbers, float]:
    """At each node of b, which t with n + m - 2 degrees of freedom Welch's test asks for; weights; the true error."""
    from scipy.special import roots_jacobi, stdtrit

    at, weights = roots_jacobi(_NODES, (m - 3) / 2, (n - 3) / 2)
    share = (at + 1) / 2
    pooled = n + m - 2
    first, second = share * pooled / (n - 1) / n, (1 - share) * pooled / (m - 1) / m
    degrees = (first + second) ** 2 / (first**2 / (n - 1) + second**2 / (m - 1))
    error = math.sqrt(1 / n + 1 / m)
    return stdtrit(degrees, 1 - alpha / 2) * np.sqrt(first + second) / error, weights / weights.sum(), error
