"""Axes from data: limits with air around them, logarithmic where decades are spanned, edges for what is not finite."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.marks import Axis
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.charts.marks import Numbers

# Air around the data, as a part of the axis.
_AIR = 0.05

# What is beyond is outside the axes: plotting libraries cannot compute with the last decades of doubles.
_LARGEST = 1e300


def fitting_axis(label: str, values: Numbers, *, log: bool | None = None, air: float = _AIR) -> Axis:
    """An axis on which every value under 1e300 is seen; log=None: logarithmic when all are positive over 2 decades."""
    finite = values[np.abs(values) < _LARGEST]
    if not finite.size:
        return Axis(label, (0.0, 1.0))
    low, high = float(finite.min()), float(finite.max())
    if low <= 0:
        log = False
    elif log is None:
        log = high / low >= 100
    if log:
        factor = 2.0 if low == high else 10 ** ((math.log10(high) - math.log10(low)) * air)
        return _log_axis(label, max(low / factor, 1e-307), high * factor)
    if low == high:
        half = abs(low) * 0.1 or 0.5
        return Axis(label, (low - half, high + half))
    margin = (high - low) * air
    return Axis(label, (low - margin, high + margin))


def _log_axis(label: str, low: float, high: float) -> Axis:
    """Ticks at powers of ten, not more than nine; also at 2 and 5 times those where there are few."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    every = max(1, math.ceil((last - first + 1) / 9))
    positions = [10.0**power for power in range(first, last + 1, every)]
    if len(positions) <= 2:
        near = [factor * 10.0**power for power in range(first - 1, last + 1) for factor in (1, 2, 5)]
        positions = [position for position in near if low <= position <= high]
    return Axis(label, (low, high), log=True, ticks=tuple((position, f"{position:g}") for position in positions))


def small_axis(axis: Axis, most: int = 4) -> Axis:
    """The axis with at most so many ticks of its own, at round numbers, for a panel with little room."""
    low, high = axis.limits
    if axis.ticks:
        every = math.ceil(len(axis.ticks) / most)
        return replace(axis, ticks=axis.ticks[::every])
    if axis.log or not 0 < high - low < _LARGEST:
        return axis
    rough = (high - low) / most
    size = 10.0 ** math.floor(math.log10(rough))
    step = next((size * factor for factor in (1, 2, 2.5, 5) if size * factor >= rough), size * 10)
    first, last = math.ceil(low / step), math.floor(high / step)
    ticks = [number * step for number in range(first, min(last, first + most) + 1)]
    return replace(axis, ticks=tuple((tick, short_text(tick)) for tick in ticks))


def short_text(value: float) -> str:
    """A round number in little room: `0.25`, `500`, `20k`, `1.5M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < size * 1000 and (letter != "k" or abs(value) >= 1e4):
            return f"{value / size:.4g}{letter}"
    return f"{value:.6g}"


def edge(value: float, axis: Axis, *, greater_is_better: bool | None) -> float:
    """Where a value that is not finite is marked: infinity at its end of the axis, NaN at the end that is worse."""
    upper = greater_is_better is False if math.isnan(value) else value > 0
    return axis.limits[1] if upper else axis.limits[0]


def named_axis(label: str, names: Sequence[str], *, downwards: bool = False, room: int = 1) -> Axis:
    """An axis with a name at each of the positions 0, 1, 2, ...; `room` is for how many names there is at least."""
    spare = max(0, room - len(names)) / 2
    ends = (-0.6 - spare, len(names) - 0.4 + spare)
    ticks = tuple((float(position), name) for position, name in enumerate(names))
    return Axis(label, (ends[1], ends[0]) if downwards else ends, ticks=ticks)


def direction(greater_is_better: bool | None) -> str:
    """Which way is better, in words for an axis or a note; "" where that is not known."""
    if greater_is_better is None:
        return ""
    return "higher is better" if greater_is_better else "lower is better"


def told_apart(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels by run id, in their order, no two alike."""
    if len({label for label in labels.values() if label.strip()}) == len(labels):
        return dict(labels)  # those of loaded runs, of which there may be very many
    return dict(zip(labels, distinct_names(list(labels.values()), list(labels)), strict=True))


def number_text(value: float) -> str:
    """A number as people read it: four significant digits."""
    return f"{value:.4g}"
