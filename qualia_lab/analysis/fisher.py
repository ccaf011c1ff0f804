"""Fisher's exact test of many conditions at once, and how many of them could be significant at all."""

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
    """The logarithm of P(X >= failed_with), X hypergeometric: `sizes` of all runs are drawn, of which so many failed.

    The first term by logarithms of the beta function, each next one by its ratio to the one before, until none adds
    anything; where no more failed than on average, which is no test of failing more often, 0.
    """
    from scipy.special import betaln

    runs, failed = len(mask), int(mask.sum())
    k, drawn = failed_with.astype(np.float64), sizes.astype(np.float64)

    def log_choose(n: Numbers | float, m: Numbers) -> Numbers:
        chosen: Numbers = -betaln(1 + n - m, 1 + m) - np.log1p(n)
        return chosen

    is_more = k * runs > drawn * failed
    k, drawn = k[is_more], drawn[is_more]
    logs = log_choose(failed, k) + log_choose(runs - failed, drawn - k) - log_choose(runs, drawn)
    term = np.ones(len(k))
    whole = term
    while (term > 1e-17 * whole).any():
        term = term * np.maximum(0, failed - k) * np.maximum(0, drawn - k) / ((k + 1) * (runs - failed - drawn + k + 1))
        whole, k = whole + term, k + 1
    found = np.zeros(len(is_more))
    found[is_more] = np.minimum(0.0, logs + np.log(whole))
    return found


def most_significant(least: Numbers, alpha: float) -> int:
    """How many tests can be significant at most (Tarone 1990): the smallest k of which at most k can reach alpha / k.

    least: of each test the logarithm of the smallest p that its counts allow. At least 1.
    """
    ordered = np.sort(least)
    k = 1
    while np.searchsorted(ordered, math.log(alpha / k), "right") > k:
        k += 1
    return k
