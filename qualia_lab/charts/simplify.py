"""Lines in the background: of few points that stay close to the data, and many of them as one line."""

from __future__ import annotations

from dataclasses import replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.clipping import stretches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.marks import Line, Numbers


def simplify(x: Numbers, y: Numbers, tolerance: float, most: int) -> tuple[Numbers, Numbers]:
    """Return at most about `most` points of a line, chosen so that the line through them is nowhere far from the data.

    The point that is farthest from the line is added until none is farther than the tolerance (the algorithm of
    Douglas and Peucker, with vertical distances).

    Args:
        x: ascending.
        y: NaN at gaps, which are kept.
        tolerance: in units of y.
        most: the number of points at which to stop; each stretch without gaps has two at least.
    """
    gap = np.array([np.nan])
    parts: list[tuple[Numbers, Numbers]] = []
    whole = stretches(x, y)
    for stretch in whole:
        chosen = _chosen(x[stretch], y[stretch], tolerance, max(2, most // len(whole)))
        parts += [(x[stretch][chosen], y[stretch][chosen]), (gap, gap)]
    if not parts:
        return x[:0], y[:0]
    return np.concatenate([one for one, _ in parts[:-1]]), np.concatenate([one for _, one in parts[:-1]])


def joined(lines: Sequence[Line]) -> Line:
    """Return lines of one style as a single line with gaps, which stands for none of the runs."""
    gap = np.array([np.nan])
    # A gap of y suffices: x stays whole numbers where it is one, which take less space.
    x = np.concatenate([part for line in lines for part in (line.x, line.x[-1:])])
    y = np.concatenate([part for line in lines for part in (line.y, gap[: len(line.x)])])
    return replace(lines[0], x=x, y=y, runs="")


def _chosen(x: Numbers, y: Numbers, tolerance: float, most: int) -> list[int]:
    """Return the positions of the chosen points of a line without gaps, ascending."""
    chosen = {0, len(x) - 1}
    heap: list[tuple[float, int, int, int]] = []
    _push_farthest(heap, x, y, 0, len(x) - 1)
    while heap and len(chosen) < most:
        distance, place, start, end = heappop(heap)
        if -distance <= tolerance:
            break
        chosen.add(place)
        _push_farthest(heap, x, y, start, place)
        _push_farthest(heap, x, y, place, end)
    return sorted(chosen)


def _push_farthest(heap: list[tuple[float, int, int, int]], x: Numbers, y: Numbers, start: int, end: int) -> None:
    """Add the point between two points that is farthest from the line through them."""
    if end - start < 2:
        return
    inner = slice(start + 1, end)
    with np.errstate(all="ignore"):
        span = x[end] - x[start]
        share = (x[inner] - x[start]) / span if span else np.zeros(end - start - 1)
        distances = np.nan_to_num(np.abs(y[inner] - (y[start] + share * (y[end] - y[start]))), nan=0.0)
    farthest = int(distances.argmax())
    heappush(heap, (-float(distances[farthest]), start + 1 + farthest, start, end))
