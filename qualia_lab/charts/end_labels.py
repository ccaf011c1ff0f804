"""Names of lines at their ends, instead of a legend, where each has a place near its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.colours import REST
from qualia_lab.charts.marks import Line, Points
from qualia_lab.charts.text_width import text_width
from qualia_lab.charts.ticks import TICK_SIZE, positions_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.charts.clipping import Box
    from qualia_lab.charts.marks import Bars, Numbers, Panel

LEADER = 14  # pixels right of the axes, from the end of a line to its name
TO_NAME = 20  # pixels right of the axes
BESIDE = 5  # pixels from the end of a line that ends early to its name
NARROWEST = 560  # pixels; figure.css shows a legend in charts that are narrower
_LINE_HEIGHT = 14
_FARTHEST = 48  # pixels that a name may be above or below the end of its line
_END = 0.93  # of the x axis; a line that ends before it has its name among the lines
_BESIDE_HEIGHTS = (0, -11, 11)  # pixels from the end of a line to the middle of a name beside it


@dataclass(frozen=True)
class EndLabel:
    """The name of a line, right of the axes, or right of its end if that is early.

    Attributes:
        line: the line, which has the label that is shown.
        inside: whether the line ends early, so that its name is among the lines.
        x: where the line ends, as a part of the x axis.
        y: the height of the end of the line, in pixels from the top of the panel.
        at: the height of the middle of the name, in pixels from the top of the panel.
    """

    line: Line
    x: float
    y: float
    at: float
    inside: bool = False


def end_labels(
    panel: Panel, marks: Sequence[Line | Points | Bars], height: float, left: float, texts: Mapping[str, str]
) -> tuple[EndLabel, ...]:
    """Return a name for each line of a legend, so that none overlaps another one or a line; () if they need a legend.

    Args:
        panel: the only panel of a chart.
        marks: the marks of its legend; grey lines of runs that do not lead need no name, as the note counts them.
        height: of the panel, in pixels.
        left: pixels left of the panel.
        texts: the text of each label.
    """
    named = [mark for mark in marks if isinstance(mark, Line) and mark.colour != REST]
    if len(named) < 2 or not all(isinstance(mark, Line) for mark in marks):
        return ()
    late: list[tuple[float, float, Line]] = []
    early: list[tuple[float, float, Line]] = []
    for line in named:
        places = np.flatnonzero(np.isfinite(line.x) & np.isfinite(line.y))
        if not len(places):
            return ()
        x = float(positions_in(panel.x, line.x[places[-1:]], 0, 1)[0])
        y = float(positions_in(panel.y, line.y[places[-1:]], height, -height)[0])
        if not (0 <= x <= 1 and 0 <= y <= height):
            return ()
        (late if x >= _END else early).append((y, x, line))
    late.sort(key=lambda end: end[0])
    heights = _apart([y for y, _, _ in late])
    moved = max((abs(at - y) for at, (y, _, _) in zip(heights, late, strict=True)), default=0)
    if moved > _FARTHEST or (heights and (heights[0] < 0 or heights[-1] > height)):
        return ()
    names = [EndLabel(line, x, y, at) for at, (y, x, line) in zip(heights, late, strict=True)]
    widths = {line.label: text_width(texts[line.label], TICK_SIZE) for line in named}
    right = TO_NAME + max((widths[line.label] for _, _, line in late), default=0)
    # Where a name has a place in the narrowest panel, it has one in wider ones.
    width = NARROWEST - left - right
    taken: list[Box] = []
    for y, x, line in sorted(early, key=lambda end: end[0]):
        start = x * width + BESIDE
        boxes = [
            (start, y + moved - _LINE_HEIGHT / 2, start + widths[line.label], y + moved + _LINE_HEIGHT / 2)
            for moved in _BESIDE_HEIGHTS
        ]
        free = next((box for box in boxes if _is_free(box, panel, width, height, taken)), None)
        if free is None:
            return ()
        taken.append(free)
        names.append(EndLabel(line, x, y, (free[1] + free[3]) / 2, inside=True))
    return tuple(names)


def _is_free(box: Box, panel: Panel, width: float, height: float, taken: Sequence[Box]) -> bool:
    """Whether a place in a panel has no other name, line or point in it."""
    left, top, right, bottom = box
    if right > width or top < 0 or bottom > height:
        return False
    if any(left < other[2] and other[0] < right and top < other[3] and other[1] < bottom for other in taken):
        return False
    for mark in panel.marks:
        if not isinstance(mark, Line | Points):
            continue
        x, y = positions_in(panel.x, mark.x, 0, width), positions_in(panel.y, mark.y, height, -height)
        if isinstance(mark, Points):
            x, y = np.repeat(x, 2), np.repeat(y, 2)
        if _crosses(x, y, box):
            return False
    return True


def _crosses(x: Numbers, y: Numbers, box: Box) -> bool:
    """Whether a segment between neighbouring points lies in a box; a gap has none."""
    left, top, right, bottom = box
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = np.minimum(x[:-1], x[1:]), np.maximum(x[:-1], x[1:])
        slope = np.where(high > low, (y[1:] - y[:-1]) / (x[1:] - x[:-1]), 0)
        ends = [y[:-1] + slope * (np.clip(of, left, right) - x[:-1]) for of in (x[:-1], x[1:])]
        upright = high == low
        ends = [np.where(upright, of, at) for of, at in zip((y[:-1], y[1:]), ends, strict=True)]
        inside = (high >= left) & (low <= right) & (np.minimum(*ends) <= bottom) & (np.maximum(*ends) >= top)
    return bool(inside.any())


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
