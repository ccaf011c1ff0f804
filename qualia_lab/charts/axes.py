"""Axes fitted to data: padded limits, a log scale over two decades or more, and a position for values not finite."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.marks import Axis
from qualia_lab.charts.ticks import round_ticks
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.charts.marks import Numbers

# Padding on each side of the data, as a fraction of its range.
_AIR = 0.05

# Larger values are outside the axes: plotting libraries overflow near the maximum of a double.
_LARGEST = 1e300


def fit_axis(label: str, values: Numbers, *, log: bool | None = None, padding: float = _AIR) -> Axis:
    """Return an axis that contains every value under 1e300.

    Args:
        label: the axis label.
        values: the values to show, of any shape.
        log: whether the axis is logarithmic; None for logarithmic when all values are positive and span two decades.
        padding: padding on each side, as a fraction of the range of the data.
    """
    finite = values[np.abs(values) < _LARGEST]
    if not finite.size:
        return Axis(label, (0.0, 1.0))
    low, high = float(finite.min()), float(finite.max())
    if low <= 0:
        log = False
    elif log is None:
        log = high / low >= 100
    if log:
        factor = 2.0 if low == high else 10 ** ((math.log10(high) - math.log10(low)) * padding)
        return _log_axis(label, max(low / factor, 1e-307), high * factor)
    if low == high:
        half = abs(low) * 0.1 or 0.5
        return Axis(label, (low - half, high + half))
    margin = (high - low) * padding
    return Axis(label, (low - margin, high + margin))


def _log_axis(label: str, low: float, high: float) -> Axis:
    """Return a log axis with at most nine ticks at powers of ten, or ticks at 1, 2 and 5 times them where few fit."""
    first_power, last_power = math.ceil(math.log10(low)), math.floor(math.log10(high))
    stride = max(1, math.ceil((last_power - first_power + 1) / 9))
    positions = [10.0**power for power in range(first_power, last_power + 1, stride)]
    if len(positions) <= 2:
        candidates = [factor * 10.0**power for power in range(first_power - 1, last_power + 1) for factor in (1, 2, 5)]
        positions = [position for position in candidates if low <= position <= high]
    return Axis(label, (low, high), log=True, ticks=tuple((position, f"{position:g}") for position in positions))


def compact_axis(axis: Axis, max_ticks: int = 4) -> Axis:
    """Return the axis with about `max_ticks` explicit ticks at round numbers, for a small panel."""
    low, high = axis.limits
    if axis.ticks:
        stride = math.ceil(len(axis.ticks) / max_ticks)
        return replace(axis, ticks=axis.ticks[::stride])
    if axis.log or not 0 < high - low < _LARGEST:
        return axis
    return replace(axis, ticks=tuple(round_ticks(axis.limits, max_ticks)))


def edge(value: float, axis: Axis, *, greater_is_better: bool | None) -> float:
    """Return where a non-finite value is marked: infinity at its end of the axis, NaN at the worse end."""
    upper = greater_is_better is False if math.isnan(value) else value > 0
    return axis.limits[1] if upper else axis.limits[0]


def category_axis(label: str, names: Sequence[str], *, downwards: bool = False, min_slots: int = 1) -> Axis:
    """Return an axis with one category at each of the positions 0, 1, 2, ….

    Args:
        label: the axis label.
        names: the category names, in order.
        downwards: whether the first category is at the top.
        min_slots: the smallest number of categories that the axis has space for.
    """
    spare = max(0, min_slots - len(names)) / 2
    ends = (-0.6 - spare, len(names) - 0.4 + spare)
    ticks = tuple((float(position), name) for position, name in enumerate(names))
    return Axis(label, (ends[1], ends[0]) if downwards else ends, ticks=ticks)


def direction(greater_is_better: bool | None) -> str:
    """Return `higher is better` or `lower is better`, or "" if the direction is not known."""
    if greater_is_better is None:
        return ""
    return "higher is better" if greater_is_better else "lower is better"


def distinct_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels by run id in the same order, changed where needed so that no two are equal."""
    if len({label for label in labels.values() if label.strip()}) == len(labels):
        return dict(labels)  # already distinct, as for loaded runs; skips the work for very many runs
    return dict(zip(labels, distinct_names(list(labels.values()), list(labels)), strict=True))


def number_text(value: float) -> str:
    """Format a number with four significant digits."""
    return f"{value:.4g}"
