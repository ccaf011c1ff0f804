"""The ticks of an axis that fit into its length in pixels, with their labels in lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.text_width import text_width, wrap_text
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.marks import Axis, Numbers

TICK_SIZE = 11  # of the font, in pixels
TICK_LINE = 14  # line height of a label
LONGEST_TICK = 48  # characters
_MAX_LINES = 3
_BETWEEN = 10  # pixels between two labels
_LEAST_BETWEEN = 4
_LARGEST = 1e300


@dataclass(frozen=True)
class Tick:
    """A tick: its position in data values, and its label in lines; () for a grid line without label."""

    position: float
    lines: tuple[str, ...]


def positions_in(axis: Axis, values: Numbers | Sequence[float], start: float, length: float) -> Numbers:
    """Return where values are on an axis, in pixels; values far outside are moved to a finite place outside.

    Args:
        axis: the axis.
        values: data values; NaN, and values that a log axis does not have, give NaN.
        start: the pixel of the first limit.
        length: from the first limit to the second one, negative for an axis that goes up.
    """
    low, high = axis.limits
    with np.errstate(all="ignore"):
        numbers = np.asarray(values, np.float64)
        if axis.log:
            numbers, low, high = np.log10(np.where(numbers > 0, numbers, np.nan)), math.log10(low), math.log10(high)
        share = (
            (numbers - low) / (high - low)
            if math.isfinite(high - low)
            else (numbers / 2 - low / 2) / (high / 2 - low / 2)
        )
        # Beyond this, a line is so steep that its direction cannot be seen.
        return start + length * np.clip(share, -1e6, 1e6)


def round_ticks(limits: tuple[float, float], max_ticks: int) -> list[tuple[float, str]]:
    """Return about `max_ticks` ticks at round numbers, at least two, as one is no scale; their labels differ."""
    low, high = sorted(limits)
    if not 0 < high - low < _LARGEST:
        return [(low, f"{low:.6g}")]
    raw_step = (high - low) / max_ticks
    magnitude = 10.0 ** math.floor(math.log10(raw_step))
    steps = [magnitude * factor for factor in (0.5, 1, 2, 2.5, 5, 10)]
    wide_enough = next((place for place, step in enumerate(steps) if step >= raw_step), len(steps) - 1)
    step = next(
        (step for step in reversed(steps[: wide_enough + 1]) if step and high // step > math.ceil(low / step)),
        steps[wide_enough],
    )
    if not step:
        return [(low, f"{low:.6g}")]
    first, last = math.ceil(low / step), math.floor(high / step)
    numbers = range(first, min(last, first + max_ticks + 2) + 1)
    # Far from zero, a multiple of the step may be rounded to a number outside.
    margin = (high - low) * 1e-9
    inside = [number * step for number in numbers if low - margin <= number * step <= high + margin]
    ticks = list(dict.fromkeys(inside)) or [low]
    texts = [short_text(tick) for tick in ticks]
    if len(set(texts)) < len(texts):  # far from zero, more digits are needed
        decimals = max(0, -math.floor(math.log10(step)) + 1)
        texts = [f"{tick:.{decimals}f}" if decimals < 15 and abs(tick) < 1e15 else f"{tick:.17g}" for tick in ticks]
    return list(zip(ticks, texts, strict=True))


def short_text(value: float) -> str:
    """Format a round number in few characters: `0.25`, `500`, `20k`, `1.5M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < size * 1000 and (letter != "k" or abs(value) >= 1e4):
            return f"{value / size:.4g}{letter}"
    return f"{value:.6g}"


def is_named(axis: Axis) -> bool:
    """Return whether the ticks of an axis are names, of which none may be left out."""
    return any(not _is_number(text) for _, text in axis.ticks)


def across_ticks(axis: Axis, length: float) -> tuple[Tick, ...]:
    """Return the ticks of an x axis: as many numbers as fit, or every name, in lines as wide as its place.

    Args:
        axis: the axis.
        length: in pixels.
    """
    ticks = list(axis.ticks) or round_ticks(axis.limits, max(3, min(9, int(length / 75))))
    texts = _cut(ticks)
    places = positions_in(axis, [position for position, _ in ticks], 0, length)
    spacing = float(np.abs(np.diff(places)).min(initial=length))
    if not is_named(axis):
        widest = max((text_width(text, TICK_SIZE) for text in texts), default=0)
        stride = max(1, math.ceil((widest + _BETWEEN) / spacing)) if spacing > 0 else len(ticks)
        shown = list(zip(ticks, texts, strict=True))
        # A single number is no scale: then the first and the last one, if these fit.
        fits = len(shown) > 1 and abs(float(places[-1] - places[0])) >= widest + _LEAST_BETWEEN
        shown = [shown[0], shown[-1]] if stride >= len(shown) and fits else shown[::stride]
        return tuple(Tick(position, (text,) if text else ()) for (position, _), text in shown)
    width = max(spacing - _BETWEEN, 3 * TICK_SIZE)
    if any(len(wrap_text(text, TICK_SIZE, width)) > _MAX_LINES for text in texts):
        texts = distinct_names(texts, width=max(8, int(_MAX_LINES * 0.8 * width / text_width("n", TICK_SIZE))))
    return tuple(
        Tick(position, tuple(wrap_text(text, TICK_SIZE, width)))
        for (position, _), text in zip(ticks, texts, strict=True)
    )


def upright_ticks(axis: Axis, length: float) -> tuple[Tick, ...]:
    """Return the ticks of a y axis: as many numbers as fit, or every name, on one line each."""
    ticks = list(axis.ticks) or round_ticks(axis.limits, max(2, min(7, int(length / 36))))
    stride = 1
    if not is_named(axis):
        places = positions_in(axis, [position for position, _ in ticks], 0, length)
        spacing = float(np.abs(np.diff(places)).min(initial=length))
        stride = max(1, math.ceil(TICK_LINE / spacing)) if spacing > 0 else len(ticks)
    texts = _cut(ticks)
    return tuple(
        Tick(position, (text,) if text else ())
        for (position, _), text in list(zip(ticks, texts, strict=True))[::stride]
    )


def _cut(ticks: Sequence[tuple[float, str]]) -> list[str]:
    """Return the labels, cut so that different ones stay different; labels that are empty stay empty."""
    shown = distinct_names([text for _, text in ticks], width=LONGEST_TICK)
    return [short if text else "" for short, (_, text) in zip(shown, ticks, strict=True)]


def _is_number(text: str) -> bool:
    try:
        float(text.rstrip("kMG") or "x")
    except ValueError:
        return not text
    return True
