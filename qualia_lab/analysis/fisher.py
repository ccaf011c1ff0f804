"""Fisher's exact test for many conditions at once, and how many of them could be significant at all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qualia_lab.analysis.histories import Numbers

    Flags = NDArray[np.bool_]
    Counts = NDArray[np.int64]


def log_fisher(failed_with: Counts, sizes: Counts, mask: Flags) -> Numbers:
    """The logarithm of the one-sided p value of Fisher's exact test, P(X >= failed_with), for many conditions.

    X is hypergeometric: `sizes` runs are drawn from all runs, of which `mask.sum()` failed. The first term is computed
    with logarithms of the beta function, each following term by its ratio to the previous one, until the terms no
    longer change the sum.

    Args:
        failed_with: the number of failed runs under each condition, shape (conditions,).
        sizes: the number of runs under each condition, shape (conditions,).
        mask: whether each run failed, shape (runs,).

    Returns:
        The log p values, shape (conditions,); 0 where no more runs failed than on average.
    """
    from scipy.special import betaln

    runs, failed = len(mask), int(mask.sum())
    k, drawn = failed_with.astype(np.float64), sizes.astype(np.float64)

    def log_choose(n: Numbers | float, m: Numbers) -> Numbers:
        chosen: Numbers = -betaln(1 + n - m, 1 + m) - np.log1p(n)
        return chosen

    is_above_average = k * runs > drawn * failed
    k, drawn = k[is_above_average], drawn[is_above_average]
    logs = log_choose(failed, k) + log_choose(runs - failed, drawn - k) - log_choose(runs, drawn)
    term = np.ones(len(k))
    total = term
    while (term > 1e-17 * total).any():
        term = term * np.maximum(0, failed - k) * np.maximum(0, drawn - k) / ((k + 1) * (runs - failed - drawn + k + 1))
        total, k = total + term, k + 1
    log_ps = np.zeros(len(is_above_average))
    log_ps[is_above_average] = np.minimum(0.0, logs + np.log(total))
    return log_ps


def most_significant(least: Numbers, alpha: float) -> int:
    """The number of tests to correct for by Tarone's method.

    Tarone (1990, Biometrics 46:515): the smallest k for which at most k tests can reach alpha / k.

    Args:
        least: for each test, the logarithm of the smallest p value that its counts allow, shape (tests,).
        alpha: the family-wise error rate.

    Returns:
        At least 1.
    """
    ordered = np.sort(least)
    k = 1
    while np.searchsorted(ordered, math.log(alpha / k), "right") > k:
        k += 1
    return k
