"""The lowest and highest value that a metric can have, and intervals clipped to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Bounds = tuple[float | None, float | None]

_PERCENT = 100.0


def bounds_of(values: Sequence[float], named: Bounds | None) -> Bounds:
    """The bounds of a metric: those implied by its name, as far as its values respect them.

    A proportion by its name (0 to 1, or -1 to 1) with values above 1 and none above 100 is taken as a percentage. A
    bound that values violate in any other way is dropped.

    Args:
        values: the finite values of all runs.
        named: the bounds implied by the name of the metric; None where it implies none.

    Returns:
        The lower and the upper bound, each None where there is none.
    """
    if named is None or not len(values):
        return named or (None, None)
    low, high = named
    least, most = min(values), max(values)
    if high == 1.0 and 1.0 < most <= _PERCENT and (low is None or least >= low * _PERCENT):
        return (None if low is None else low * _PERCENT), _PERCENT
    return (low if low is not None and least >= low else None), (high if high is not None and most <= high else None)


def clip_interval(low: float, high: float, bounds: Bounds) -> tuple[float, float]:
    """The part of an interval that lies within the bounds; where none does, the nearest bound.

    Args:
        low: the lower end.
        high: the upper end.
        bounds: the lower and the upper bound of the metric.

    Returns:
        The clipped ends.
    """
    least, most = bounds
    if least is not None:
        low, high = max(low, least), max(high, least)
    if most is not None:
        low, high = min(low, most), min(high, most)
    return low, high
