"""One level of a factor against another over contexts in which everything else is the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.two_samples import compare_pairs, spreads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.histories import Numbers

FEWEST = 5  # contexts, from which on something is decided
_FAR_OFF = 3.5  # robust standard deviations of a difference, from which on t's assumption is not made

Decision = Literal["higher", "lower", "not told apart", "too few"]


@dataclass(frozen=True)
class PairedComparison:
    """Level A against level B over n contexts; a context is a configuration of the other factors, seeds averaged.

    difference: the mean of A minus B; low, high: its 95 % interval.  above, below: contexts in which A is above B, and
    below it; in the others both are equal.  sign_p: of the exact sign test.  t_p: of the paired t test.
    p: of the test that decides, by `test`.  decision: of A.
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
    """Compare two levels over contexts; None without one.

    The paired t test (Student 1908) decides where no difference lies far from the others (MAD, Hampel 1974; cut-off of
    Iglewicz and Hoaglin 1993), else the exact sign test (Arbuthnot 1710; Conover 1999, 3.4), which needs six contexts
    for p < 0.05. Which of them decides is read off the spread of the differences, not off either result. Where all
    differences are the same there is no spread, and the sign test decides.

    Args:
        pairs: of each context the mean of A and that of B, finite.
        alpha: two-sided.
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
    by_signs = t_p is None or _far_off(differences)
    p = sign_p if by_signs or t_p is None else t_p
    way = above - below if by_signs else difference
    decision: Decision = "too few" if n < FEWEST else "not told apart"
    if n >= FEWEST and p < alpha:
        decision = "higher" if way > 0 else "lower"
    test: Literal["paired t", "sign"] = "sign" if by_signs else "paired t"
    return PairedComparison(n, difference, low, high, above, below, sign_p, t_p, test, p, decision)


def count_contexts(a: Numbers, b: Numbers) -> tuple[float, int, int]:
    """The mean of A minus B, and in how many contexts A is above and below B; a difference of rounding is neither.

    Args:
        a: the mean of level A in each context.
        b: that of level B, in the same order.
    """
    differences = a - b
    unequal = np.abs(differences) > 1e-12 * max(float(np.abs(a).max()), float(np.abs(b).max()))
    above, below = int((unequal & (differences > 0)).sum()), int((unequal & (differences < 0)).sum())
    return float(differences.mean()), above, below


def sign_test(above: int, below: int) -> float:
    """Two-sided p of the exact sign test, ties left out (Conover 1999, Practical Nonparametric Statistics, 3.4)."""
    from scipy.special import bdtr

    n = above + below
    return min(1.0, 2 * float(bdtr(min(above, below), n, 0.5))) if n else 1.0


def _far_off(differences: Numbers) -> bool:
    distances = np.abs(differences - np.median(differences))
    return bool(distances.max() > _FAR_OFF * 1.4826 * np.median(distances))
