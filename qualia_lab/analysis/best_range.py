"""The part of a factor's range that holds the best values of a metric: a narrow interval, or one of few values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import unit_of

if TYPE_CHECKING:
    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.param_columns import ParamColumn

FEW_VALUES = 6  # up to this many distinct numbers are taken as choices from a list
_SHARE, _FEWEST = 0.2, 5  # share and minimum number of the configurations that count as the best
_NARROW = 0.5  # share of the range: 8 uniform draws all lie in such a part once in 28 times
_EXACT = 8  # values of either side up to which the rank sum test is exact
_ALPHA = 0.01  # limit of p for the best of few values against the rest, times their number


@dataclass(frozen=True)
class BestRange:
    """Where along one factor the best configurations lie.

    Attributes:
        count: the number of these configurations.
        low, middle, high: their lowest, median and highest value; None for texts and few values.
        value: where the factor has few values, the one with the best mean, as text.
        at_end: whether the best value is, or the range reaches, the lowest or the highest number tried.
    """

    count: int
    low: float | None = None
    middle: float | None = None
    high: float | None = None
    value: str = ""
    at_end: bool = False


def best_range(column: ParamColumn, losses: Numbers) -> BestRange | None:
    """The part of a factor's range that holds the best fifth of the configurations, at least five.

    For a factor with up to 6 values, or with texts, it is the value with the best mean, where that is better than the
    rest by the rank sum test (Mann and Whitney 1947), corrected for the number of values.

    Args:
        column: the factor over configurations.
        losses: finite, less is better, shape (configurations,).

    Returns:
        The part; None where it is wider than half of the range, or not significant.
    """
    is_present = ~np.isnan(column.values)
    values, losses = column.values[is_present], losses[is_present]
    distinct = np.unique(values)
    if len(distinct) < 2 or len(values) < 2 * _FEWEST:
        return None
    if column.choices or len(distinct) <= FEW_VALUES:
        return _best_value(column, values, losses, distinct)
    count = max(_FEWEST, round(_SHARE * len(values)))
    best = values[np.argsort(losses, kind="stable")[:count]]
    low, middle, high = (float(number) for number in (best.min(), np.median(best), best.max()))
    scale = np.log if column.log else np.asarray
    width = (scale(high) - scale(low)) / (scale(distinct[-1]) - scale(distinct[0]))
    at_end = low == distinct[0] or high == distinct[-1]
    return BestRange(count, low, middle, high, at_end=bool(at_end)) if width <= _NARROW else None


def _best_value(column: ParamColumn, values: Numbers, losses: Numbers, distinct: Numbers) -> BestRange | None:
    """The value of the factor with the best mean; None where it is not significantly better than the rest."""
    losses = losses / unit_of(losses)
    means = [losses[values == number].mean() for number in distinct]
    best = distinct[int(np.argmin(means))]
    has_best = values == best
    if not _rank_sum_p(losses[has_best], losses[~has_best]) * len(distinct) < _ALPHA:
        return None
    text = column.choices[int(best)] if column.choices else f"{best:.12g}"
    at_end = not column.choices and best in (distinct[0], distinct[-1])
    return BestRange(int(has_best.sum()), value=text, at_end=bool(at_end))


def _rank_sum_p(low: Numbers, high: Numbers) -> float:
    """The one-sided p value of the rank sum test that the first values are lower.

    The normal approximation with corrections for ties and continuity; for few values without ties, scipy's exact p.
    scipy takes ten times as long for the approximation.
    """
    from scipy.special import ndtr
    from scipy.stats import mannwhitneyu

    n, m = len(low), len(high)
    total = n + m
    _, place, counts = np.unique(np.concatenate([low, high]), return_inverse=True, return_counts=True)
    if min(n, m) <= _EXACT and len(counts) == total:
        return float(mannwhitneyu(low, high, alternative="less").pvalue)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    u = float(ranks[:n].sum()) - n * (n + 1) / 2
    ties = float((counts**3 - counts).sum())
    deviation = math.sqrt(n * m / 12 * (total + 1 - ties / (total * (total - 1))))
    return float(ndtr((u - n * m / 2 + 0.5) / deviation)) if deviation > 0 else 1.0
