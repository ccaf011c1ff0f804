"""Where things stand in a chart, in pixels: measured once, used by both drawn faces."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.charts.marks import Bars, Heat, Line, Points
from qualia_lab.escaping import one_line
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.marks import Axis, Panel

WIDTH = 960
EDGE = 16  # what stays free at the border
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 16, 12, 11
NOTE_LINE = 16  # height of a line of the note
LEGEND_LINE = 20
BETWEEN_PANELS = 28
PANEL_TITLE = 24
_TICK_LINE = 26  # what tick texts take under a row of panels
_AXIS_LABEL = 20
COLOUR_BAR = 14  # its width; right of the panels, where a legend would be

LONGEST_TITLE, LONGEST_LABEL, LONGEST_ENTRY = 96, 60, 40  # characters


@dataclass(frozen=True)
class Frame:
    """The picture's size and the margins around the panels in pixels, and the texts as they fit there."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    title: str
    note: tuple[str, ...]
    x_labels: tuple[str, ...]  # of each panel, as wide as the panel
    entries: Mapping[str, str]  # what stands in the legend for the label of a mark
    # Of each panel, as fractions of the width and of the height between the margins; heights from below.
    spans: tuple[tuple[float, float], ...]
    rises: tuple[tuple[float, float], ...]


def take_frame(chart: Chart) -> Frame:
    """Measure a chart; labels are cut as both faces will show them."""
    shown = _entries(chart)
    entries = [shown[mark.label] for mark in legend_marks(chart)]
    columns = chart.columns or len(chart.panels)
    rows = math.ceil(len(chart.panels) / columns)
    outer = chart.panels[::columns]  # those at the left edge
    left = EDGE + max(map(ticks_width, outer)) + 10 + (24 if any(panel.y.label for panel in outer) else 0)
    right = EDGE + (round(max(text_width(entry, SMALL_SIZE) for entry in entries)) + 52 if entries else 4)
    if any(isinstance(mark, Heat) for panel in chart.panels for mark in panel.marks):
        right = max(right, EDGE + COLOUR_BAR + 96)
    note = tuple(textwrap.wrap(one_line(chart.note), 140))
    titled = any(panel.title for panel in chart.panels)
    top = EDGE + 30 + NOTE_LINE * len(note) + 8 + (PANEL_TITLE if titled else 0)
    bottom = 58
    height = max(chart.height + NOTE_LINE * len(note), top + bottom + LEGEND_LINE * len(entries))
    between = BETWEEN_PANELS
    if not chart.shared_y:
        between += max(ticks_width(panel) + (24 if panel.y.label else 0) for panel in chart.panels)
    under = _TICK_LINE + (PANEL_TITLE if titled else 0)
    if any(panel.x.label for panel in chart.panels[:-columns]):
        under += _AXIS_LABEL
    spans = tuple(
        _part(index % columns, columns, between / (WIDTH - left - right)) for index in range(len(chart.panels))
    )
    narrowest = min((high - low for low, high in spans), default=1.0) * (WIDTH - left - right)
    room = min(LONGEST_LABEL, int((narrowest + between) / text_width("n", TEXT_SIZE)))
    return Frame(
        width=WIDTH,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        title=one_line(chart.title, LONGEST_TITLE),
        note=note,
        entries=shown,
        x_labels=tuple(distinct_names([panel.x.label for panel in chart.panels], width=room)),
        spans=spans,
        rises=tuple(
            _part(rows - 1 - index // columns, rows, under / (height - top - bottom))
            for index in range(len(chart.panels))
        ),
    )


def _part(index: int, count: int, gap: float) -> tuple[float, float]:
    """Where one of so many equal parts begins and ends between 0 and 1."""
    size = (1 - gap * (count - 1)) / count
    start = index * (size + gap)
    return start, start + size


def ticks_width(panel: Panel) -> int:
    """The pixels that the tick texts of a panel's y axis take."""
    return round(max((text_width(text, SMALL_SIZE) for text in tick_texts(panel.y)), default=38))


def shows_y_ticks(chart: Chart, index: int) -> bool:
    """Whether a panel has tick texts at its y axis."""
    return not chart.shared_y or index % (chart.columns or len(chart.panels)) == 0


def legend_marks(chart: Chart) -> list[Line | Points | Bars]:
    """The marks that stand in the legend: what is drawn last, over all others, is named first, and a name once."""
    marks = [mark for panel in chart.panels for mark in panel.marks if isinstance(mark, Line | Points | Bars)]
    named = [mark for mark in reversed(marks) if mark.label and (isinstance(mark, Bars) or mark.in_legend)]
    return list({mark.label: mark for mark in named}.values())


def label_text(text: str) -> str:
    """The text of an axis, a panel or a point."""
    return one_line(text, LONGEST_LABEL)


def tick_texts(axis: Axis) -> list[str]:
    """The texts of an axis' ticks."""
    return distinct_names([text for _, text in axis.ticks], width=LONGEST_LABEL)


def _entries(chart: Chart) -> dict[str, str]:
    """The labels of marks, in the legend or not, each with its text in the legend."""
    marks = (mark for panel in chart.panels for mark in panel.marks if isinstance(mark, Line | Points | Bars))
    labels = list(dict.fromkeys(mark.label for mark in marks))
    return dict(zip(labels, distinct_names(labels, width=LONGEST_ENTRY), strict=True))


def text_width(text: str, size: float) -> float:
    """About how many pixels a text takes; East Asian characters are twice as wide."""
    return sum(size * (1.0 if unicodedata.east_asian_width(char) in "WF" else 0.58) for char in text)
