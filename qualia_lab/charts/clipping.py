"""Lines and areas in pixels: cut at the axes, and reduced to what the pixels can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.marks import Numbers

Box = tuple[float, float, float, float]  # left, top, right, bottom


def cut_line(x: Numbers, y: Numbers, box: Box) -> tuple[Numbers, Numbers]:
    """Return the part of a line that is inside the box; NaN is a gap, also where the line is outside."""
    left, top, right, bottom = box
    if not ((x < left) | (x > right) | (y < top) | (y > bottom)).any():
        return x, y  # as nearly every line: the axes hold all of its points
    for axis, bound, sign in _edges(box):
        x, y = _with_crossings(x, y, axis, bound)
        inside = sign * ((x, y)[axis] - bound) >= 0  # false for NaN
        x, y = np.where(inside, x, np.nan), np.where(inside, y, np.nan)
    return x, y


def cut_area(x: Numbers, y: Numbers, box: Box) -> tuple[Numbers, Numbers]:
    """Return the part of a closed polygon without NaN that is inside the box; empty if there is none."""
    for axis, bound, sign in _edges(box):
        if not len(x):
            break
        x, y = _with_crossings(np.append(x, x[0]), np.append(y, y[0]), axis, bound)
        inside = sign * ((x, y)[axis] - bound) >= 0
        x, y = x[inside], y[inside]
    return x, y


def stretches(*values: Numbers) -> list[slice]:
    """Return the stretches of positions at which all of the arrays are finite."""
    finite = np.logical_and.reduce([np.isfinite(array) for array in values])
    edges = np.flatnonzero(np.diff(np.concatenate(([False], finite, [False])).astype(np.int8)))
    return [slice(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def reduce_to_pixels(x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
    """Reduce a line to the first, lowest, highest and last point of each stretch within one column of pixels.

    The line covers the same pixels, so every spike and every gap stays.
    """
    if len(x) < 2:
        return x, y
    finite = np.isfinite(x) & np.isfinite(y)
    column = np.where(finite, np.floor(np.where(finite, x, 0)), -1)
    starts = np.flatnonzero(np.r_[True, (column[1:] != column[:-1]) | (finite[1:] != finite[:-1])])
    if len(starts) * 4 >= len(x):
        return x, y
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(x)]))
    keep = np.zeros(len(x), dtype=bool)
    keep[starts] = keep[np.r_[starts[1:], len(x)] - 1] = True
    for extreme in (np.minimum, np.maximum):
        at_extreme = np.flatnonzero(y == extreme.reduceat(y, starts)[group])
        _, first = np.unique(group[at_extreme], return_index=True)
        keep[at_extreme[first]] = True
    return x[keep], y[keep]


def _edges(box: Box) -> Sequence[tuple[int, float, float]]:
    """Return the edges of a box: the coordinate (0 for x), its bound, and 1 if the inside has larger values."""
    left, top, right, bottom = box
    return (0, left, 1.0), (0, right, -1.0), (1, top, 1.0), (1, bottom, -1.0)


def _with_crossings(x: Numbers, y: Numbers, axis: int, bound: float) -> tuple[Numbers, Numbers]:
    """Insert the points at which a line crosses a bound."""
    offset = (x, y)[axis] - bound
    before = np.flatnonzero(offset[:-1] * offset[1:] < 0)
    if not len(before):
        return x, y
    part = offset[before] / (offset[before] - offset[before + 1])
    crossing_x = x[before] + part * (x[before + 1] - x[before])
    crossing_y = y[before] + part * (y[before + 1] - y[before])
    (crossing_x, crossing_y)[axis][:] = bound
    return np.insert(x, before + 1, crossing_x), np.insert(y, before + 1, crossing_y)
