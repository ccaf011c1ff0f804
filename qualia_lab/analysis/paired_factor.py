"""Compare two levels of a factor over contexts in which everything else is the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.two_samples import compare_pairs, spreads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.histories import Numbers

FEWEST = 5  # contexts needed for a decision
_FAR_OFF = 3.5  # robust standard deviations of a difference beyond which normality is not assumed

Decision = Literal["higher", "lower", "not told apart", "too few"]


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
        test: the test that decides.
        p: its p value.
        decision: whether A is higher or lower, `not told apart`, or `too few`.
    """

    n: int
    difference: float
    low: float | None
    high: float | None
    above: int
    below: int
    sign_p: float
    t_p: float | None
    test: Literal["paired t", "sign"]
    p: float
    decision: Decision


def compare_over_contexts(pairs: Sequence[tuple[float, float]], alpha: float = 0.05) -> PairedComparison | None:
    """Compare two levels over contexts.

    The paired t test (Student 1908) decides where no difference is an outlier (MAD, Hampel 1974; cut-off of Iglewicz
    and Hoaglin 1993), otherwise the exact sign test (Arbuthnot 1710; Conover 1999, 3.4), which needs six contexts for p
    < 0.05. The choice depends on the spread of the differences only, not on the result of either test. Where all
    differences are equal there is no spread, and the sign test decides.

    Args:
        pairs: the means of A and of B in each context, finite.
        alpha: the two-sided significance level.

    Returns:
        The comparison; None without a context.
    """
    if not pairs:
        return None
    a, b = np.array(pairs, dtype=np.float64).T
    differences = a - b
    n = len(differences)
    difference, above, below = count_contexts(a, b)
    sign_p = sign_test(above, below)
    t_p = low = high = None
    if n > 1 and spreads(differences, within=np.concatenate((a, b))):
        found = compare_pairs(a.tolist(), b.tolist(), "")
        t_p, low, high = found.p, found.low, found.high
    by_signs = t_p is None or _has_outlier(differences)
    p = sign_p if by_signs or t_p is None else t_p
    direction = above - below if by_signs else difference
    decision: Decision = "too few" if n < FEWEST else "not told apart"
    if n >= FEWEST and p < alpha:
        decision = "higher" if direction > 0 else "lower"
    test: Literal["paired t", "sign"] = "sign" if by_signs else "paired t"
    return PairedComparison(n, difference, low, high, above, below, sign_p, t_p, test, p, decision)


def count_contexts(a: Numbers, b: Numbers) -> tuple[float, int, int]:
    """Count in how many contexts each level is better; differences within rounding error count for neither.

    Args:
        a: the mean of level A in each context, shape (contexts,).
        b: the mean of level B, in the same order.

    Returns:
        The mean of A minus B, the number of contexts with A above B, and the number with A below B.
    """
    differences = a - b
    unequal = np.abs(differences) > 1e-12 * max(float(np.abs(a).max()), float(np.abs(b).max()))
    above, below = int((unequal & (differences > 0)).sum()), int((unequal & (differences < 0)).sum())
    return float(differences.mean()), above, below


def sign_test(above: int, below: int) -> float:
    """The two-sided p value of the exact sign test, ties dropped.

    Conover (1999), "Practical Nonparametric Statistics", 3.4.

    Args:
        above: the number of positive differences.
        below: the number of negative differences.

    Returns:
        The p value; 1 where there is no difference.
    """
    from scipy.special import bdtr

    n = above + below
    return min(1.0, 2 * float(bdtr(min(above, below), n, 0.5))) if n else 1.0


def _has_outlier(differences: Numbers) -> bool:
    """Whether a difference lies far from the median of all (MAD)."""
    distances = np.abs(differences - np.median(differences))
    return bool(distances.max() > _FAR_OFF * 1.4826 * np.median(distances))
