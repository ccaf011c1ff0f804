"""Where along a factor the best values of a metric lie: a narrow part of its range, or one of its few values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import unit_of

if TYPE_CHECKING:
    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.param_columns import ParamColumn

FEW_VALUES = 6  # as many different numbers were chosen from a list
_SHARE, _FEWEST = 0.2, 5  # of the configurations, which are the best ones
_NARROW = 0.5  # of the range: of 8 that are drawn evenly all lie in such a part once in 28 times
_ALPHA = 0.01  # of the best of few values against the rest, times how many there are


@dataclass(frozen=True)
class BestRange:
    """The best configurations of a metric along one factor.

    low, high: between which they lie, of texts None.  middle: their median.  value: where the factor has few values,
    the one with the best mean, as text.  count: how many configurations these are.  at_end: whether it is, or reaches,
    the lowest or the highest number tried.
    """

    count: int
    low: float | None = None
    middle: float | None = None
    high: float | None = None
    value: str = ""
    at_end: bool = False


def best_range(column: ParamColumn, losses: Numbers) -> BestRange | None:
    """The part of a factor's range that holds the best fifth, five at least; None where it is wider than half of it.

    Of a factor with up to 6 values, or of texts, the value with the best mean, where it is better than the rest by
    the rank sum test (Mann and Whitney 1947), corrected for as many values.

    Args:
        column: the factor, over configurations.
        losses: of each of them a finite number, less is better.
    """
    there = ~np.isnan(column.values)
    values, losses = column.values[there], losses[there]
    different = np.unique(values)
    if len(different) < 2 or len(values) < 2 * _FEWEST:
        return None
    if column.choices or len(different) <= FEW_VALUES:
        return _best_value(column, values, losses, different)
    count = max(_FEWEST, round(_SHARE * len(values)))
    best = values[np.argsort(losses, kind="stable")[:count]]
    low, middle, high = (float(one) for one in (best.min(), np.median(best), best.max()))
    scale = np.log if column.log else np.asarray
    width = (scale(high) - scale(low)) / (scale(different[-1]) - scale(different[0]))
    at_end = low == different[0] or high == different[-1]
    return BestRange(count, low, middle, high, at_end=bool(at_end)) if width <= _NARROW else None


def _best_value(column: ParamColumn, values: Numbers, losses: Numbers, different: Numbers) -> BestRange | None:
    from scipy.stats import mannwhitneyu

    losses = losses / unit_of(losses)
    means = [losses[values == one].mean() for one in different]
    best = different[int(np.argmin(means))]
    of_best = values == best
    p = mannwhitneyu(losses[of_best], losses[~of_best], alternative="less").pvalue
    if not p * len(different) < _ALPHA:
        return None
    said = column.choices[int(best)] if column.choices else f"{best:.12g}"
    at_end = not column.choices and best in (different[0], different[-1])
    return BestRange(int(of_best.sum()), value=said, at_end=bool(at_end))
