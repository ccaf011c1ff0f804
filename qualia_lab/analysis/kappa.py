"""Cohen's kappa of two raters, with its 95 % interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from qualia_lab.analysis.histories import Numbers

_Z = 1.959964


@dataclass(frozen=True)
class Kappa:
    """The agreement of two raters on n items.

    Attributes:
        n: the number of items that both rated.
        agreement: the share of items with equal ratings.
        kappa: Cohen's kappa, 1 for full agreement, 0 for that by chance; None where both always say the same.
        low, high: its 95 % interval; None where the large-sample formula gives no width, as with full agreement.
    """

    n: int
    agreement: float
    kappa: float | None = None
    low: float | None = None
    high: float | None = None


def cohens_kappa(counts: Numbers, *, ordered: bool = False) -> Kappa:
    """Cohen's kappa (Cohen 1960), linearly weighted for ordered categories (Cohen 1968).

    The standard error is that of Fleiss, Cohen and Everitt (1969), "Large Sample Standard Errors of Kappa and Weighted
    Kappa".

    Args:
        counts: how many items the first rater put in category i and the second in j, with at least one item, shape
            (categories, categories).
        ordered: whether neighbouring categories are a smaller disagreement.

    Returns:
        The agreement.
    """
    n = int(counts.sum())
    shares = counts / n
    k = len(counts)
    distance = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    weights = 1 - distance / max(1, k - 1) if ordered else (distance == 0).astype(np.float64)
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    observed, expected = float((weights * shares).sum()), float(rows @ weights @ columns)
    agreement = float(np.trace(shares))
    if expected > 1 - 1e-12:
        return Kappa(n, agreement)
    kappa = (observed - expected) / (1 - expected)
    means = (weights @ columns)[:, None] + (weights.T @ rows)[None, :]
    inner = shares * (weights - means * (1 - kappa)) ** 2
    variance = (float(inner.sum()) - (kappa - expected * (1 - kappa)) ** 2) / n / (1 - expected) ** 2
    if variance <= 1e-15:
        return Kappa(n, agreement, kappa)
    reach = _Z * math.sqrt(variance)
    return Kappa(n, agreement, kappa, max(-1.0, kappa - reach), min(1.0, kappa + reach))
