"""What a metric can be at most and at least, and intervals that stay within."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Bounds = tuple[float | None, float | None]

_PERCENT = 100.0


def bounds_of(values: Sequence[float], named: Bounds | None) -> Bounds:
    """The bounds of a metric: those that its name says, as far as its values keep to them.

    A share by its name (0 to 1, or -1 to 1) that has values beyond 1, none beyond 100, is in percent. A bound that
    values lie beyond in another way is none.

    Args:
        values: finite ones, of all runs.
        named: the bounds by the name; None where it says nothing.
    """
    if named is None or not len(values):
        return named or (None, None)
    low, high = named
    least, most = min(values), max(values)
    if high == 1.0 and 1.0 < most <= _PERCENT and (low is None or least >= low * _PERCENT):
        return (None if low is None else low * _PERCENT), _PERCENT
    return (low if low is not None and least >= low else None), (high if high is not None and most <= high else None)


def clip_interval(low: float, high: float, bounds: Bounds) -> tuple[float, float]:
    """The part of an interval that lies within the bounds; it holds whatever the interval held and can be."""
    least, most = bounds
    if least is not None:
        low, high = max(low, least), max(high, least)
    if most is not None:
        low, high = min(low, most), min(high, most)
    return low, high
