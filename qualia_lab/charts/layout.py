"""The layout of a chart in pixels, shared by the plotly and the PNG renderer."""

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
EDGE = 16  # margin at the border
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 16, 12, 11
NOTE_LINE = 16  # line height of the note
LEGEND_LINE = 20
BETWEEN_PANELS = 28
PANEL_TITLE = 24
_TICK_LINE = 26  # height of the tick labels below a row of panels
_AXIS_LABEL = 20
COLOUR_BAR = 14  # width of the colour bar, which takes the place of the legend

LONGEST_TITLE, LONGEST_LABEL, LONGEST_ENTRY = 96, 60, 40  # characters


@dataclass(frozen=True)
class Layout:
    """Image size and margins in pixels, the positions of the panels, and the texts cut to the available width."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    title: str
    note: tuple[str, ...]
    x_labels: tuple[str, ...]  # one for each panel, cut to its width
    legend_texts: Mapping[str, str]  # mark label → legend text
    # (start, end) of each panel as fractions of the width and height between the margins; y from the bottom.
    x_spans: tuple[tuple[float, float], ...]
    y_spans: tuple[tuple[float, float], ...]


def compute_layout(chart: Chart) -> Layout:
    """Compute the layout of a chart, with labels cut as both renderers show them."""
    legend_texts = _legend_texts(chart)
    shown_texts = [legend_texts[mark.label] for mark in legend_marks(chart)]
    columns = chart.columns or len(chart.panels)
    rows = math.ceil(len(chart.panels) / columns)
    left_panels = chart.panels[::columns]  # the panels at the left edge
    left = EDGE + max(map(ticks_width, left_panels)) + 10 + (24 if any(panel.y.label for panel in left_panels) else 0)
    right = EDGE + (round(max(text_width(text, SMALL_SIZE) for text in shown_texts)) + 52 if shown_texts else 4)
    if any(isinstance(mark, Heat) for panel in chart.panels for mark in panel.marks):
        right = max(right, EDGE + COLOUR_BAR + 96)
    note = tuple(textwrap.wrap(one_line(chart.note), 140))
    has_titles = any(panel.title for panel in chart.panels)
    top = EDGE + 30 + NOTE_LINE * len(note) + 8 + (PANEL_TITLE if has_titles else 0)
    bottom = 58
    height = max(chart.height + NOTE_LINE * len(note), top + bottom + LEGEND_LINE * len(shown_texts))
    column_gap = BETWEEN_PANELS
    if not chart.shared_y:
        column_gap += max(ticks_width(panel) + (24 if panel.y.label else 0) for panel in chart.panels)
    row_gap = _TICK_LINE + (PANEL_TITLE if has_titles else 0)
    if any(panel.x.label for panel in chart.panels[:-columns]):
        row_gap += _AXIS_LABEL
    x_spans = tuple(
        _part_span(index % columns, columns, column_gap / (WIDTH - left - right)) for index in range(len(chart.panels))
    )
    narrowest = min((high - low for low, high in x_spans), default=1.0) * (WIDTH - left - right)
    max_label_chars = min(LONGEST_LABEL, int((narrowest + column_gap) / text_width("n", TEXT_SIZE)))
    return Layout(
        width=WIDTH,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        title=one_line(chart.title, LONGEST_TITLE),
        note=note,
        legend_texts=legend_texts,
        x_labels=tuple(distinct_names([panel.x.label for panel in chart.panels], width=max_label_chars)),
        x_spans=x_spans,
        y_spans=tuple(
            _part_span(rows - 1 - index // columns, rows, row_gap / (height - top - bottom))
            for index in range(len(chart.panels))
        ),
    )


def _part_span(index: int, count: int, gap: float) -> tuple[float, float]:
    """Return start and end of part `index` when [0, 1] is divided into `count` equal parts with gaps between them."""
    size = (1 - gap * (count - 1)) / count
    start = index * (size + gap)
    return start, start + size


def ticks_width(panel: Panel) -> int:
    """Return the width in pixels of the tick labels of a panel's y axis."""
    return round(max((text_width(text, SMALL_SIZE) for text in tick_texts(panel.y)), default=38))


def shows_y_ticks(chart: Chart, index: int) -> bool:
    """Return whether a panel has tick labels on its y axis."""
    return not chart.shared_y or index % (chart.columns or len(chart.panels)) == 0


def legend_marks(chart: Chart) -> list[Line | Points | Bars]:
    """Return the marks of the legend: the last drawn, which is on top, comes first; each label appears once."""
    marks = [mark for panel in chart.panels for mark in panel.marks if isinstance(mark, Line | Points | Bars)]
    named = [mark for mark in reversed(marks) if mark.label and (isinstance(mark, Bars) or mark.in_legend)]
    return list({mark.label: mark for mark in named}.values())


def label_text(text: str) -> str:
    """Return the label of an axis, a panel or a point on one line, cut to 60 characters."""
    return one_line(text, LONGEST_LABEL)


def tick_texts(axis: Axis) -> list[str]:
    """Return the tick labels of an axis, cut so that different ones stay different."""
    return distinct_names([text for _, text in axis.ticks], width=LONGEST_LABEL)


def _legend_texts(chart: Chart) -> dict[str, str]:
    """Return the legend text for each mark label, including marks that are not in the legend."""
    marks = (mark for panel in chart.panels for mark in panel.marks if isinstance(mark, Line | Points | Bars))
    labels = list(dict.fromkeys(mark.label for mark in marks))
    return dict(zip(labels, distinct_names(labels, width=LONGEST_ENTRY), strict=True))


def text_width(text: str, size: float) -> float:
    """Estimate the width of a text in pixels; East Asian characters are twice as wide."""
    return sum(size * (1.0 if unicodedata.east_asian_width(char) in "WF" else 0.58) for char in text)
