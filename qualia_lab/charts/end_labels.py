"""Names of lines right of their ends, instead of a legend, where each has a place near its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.colours import REST
from qualia_lab.charts.marks import Line
from qualia_lab.charts.ticks import positions_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.marks import Bars, Panel, Points

LEADER = 14  # pixels right of the axes, from the end of a line to its name
TO_NAME = 20  # pixels right of the axes
_LINE_HEIGHT = 14
_FARTHEST = 48  # pixels that a name may be above or below the end of its line
_END = 0.93  # of the x axis; a line that ends before it has its end among the others


@dataclass(frozen=True)
class EndLabel:
    """The name of a line, right of the axes.

    Attributes:
        line: the line, which has the label that is shown.
        x: where the line ends, as a part of the x axis.
        y: the height of the end of the line, in pixels from the top of the panel.
        at: the height of the middle of the name, in pixels from the top of the panel.
    """

    line: Line
    x: float
    y: float
    at: float


def end_labels(panel: Panel, marks: Sequence[Line | Points | Bars], height: float) -> tuple[EndLabel, ...]:
    """Return a name for each line of a legend, so that no two overlap; () if they need a legend.

    Args:
        panel: the only panel of a chart.
        marks: the marks of its legend; grey lines of runs that do not lead need no name, as the note counts them.
        height: of the panel, in pixels.
    """
    named = [mark for mark in marks if isinstance(mark, Line) and mark.colour != REST]
    if len(named) < 2 or not all(isinstance(mark, Line) for mark in marks):
        return ()
    ends = []
    for line in named:
        places = np.flatnonzero(np.isfinite(line.x) & np.isfinite(line.y))
        if not len(places):
            return ()
        x = float(positions_in(panel.x, line.x[places[-1:]], 0, 1)[0])
        y = float(positions_in(panel.y, line.y[places[-1:]], height, -height)[0])
        if not (_END <= x <= 1 and 0 <= y <= height):
            return ()
        ends.append((y, x, line))
    ends.sort(key=lambda end: end[0])
    heights = _apart([y for y, _, _ in ends])
    moved = max(abs(at - y) for at, (y, _, _) in zip(heights, ends, strict=True))
    if moved > _FARTHEST or heights[0] < 0 or heights[-1] > height:
        return ()
    return tuple(EndLabel(line, x, y, at) for at, (y, x, line) in zip(heights, ends, strict=True))


def _apart(heights: Sequence[float]) -> list[float]:
    """Return ascending heights moved apart by as little as possible (pooling of neighbours that would overlap)."""
    groups: list[tuple[float, int]] = []  # mean of the heights, each moved up by its place in the group; their number
    for height in heights:
        group = (height, 1)
        while groups and groups[-1][0] + groups[-1][1] * _LINE_HEIGHT > group[0]:
            first, count = groups.pop()
            moved = group[0] - count * _LINE_HEIGHT
            group = ((first * count + moved * group[1]) / (count + group[1]), count + group[1])
        groups.append(group)
    return [first + place * _LINE_HEIGHT for first, count in groups for place in range(count)]
