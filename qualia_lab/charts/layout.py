"""The layout of a chart in pixels, shared by the plotly and the SVG renderer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.charts.colours import QUIET
from qualia_lab.charts.end_labels import EndLabel, end_labels
from qualia_lab.charts.marks import Bars, Heat, Line, Points
from qualia_lab.charts.text_width import text_width, wrap_text
from qualia_lab.charts.ticks import TICK_LINE, Tick, across_ticks, upright_ticks
from qualia_lab.escaping import one_line
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.clipping import Box

EDGE = 16  # margin at the border
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 16, 12, 11
TITLE_LINE, NOTE_LINE, LEGEND_LINE, PANEL_TITLE_LINE = 22, 16, 20, 16  # line heights
BETWEEN_PANELS = 28
AXIS_LABEL = 20
COLOUR_BAR = 14  # width of the colour bar, which takes the place of the legend

LONGEST_TITLE, LONGEST_LABEL, LONGEST_ENTRY = 200, 60, 40  # characters
_TITLE_LINES = PANEL_TITLE_LINES = 2
_ROUNDING = 1e-6  # of spans that would be equal in exact arithmetic
_CHAR = text_width("n", 1)  # of a typical character, in font sizes


@dataclass(frozen=True)
class Layout:
    """Image size and margins in pixels, the positions of the panels, and the texts cut to the available space."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    title: tuple[str, ...]  # lines
    note: tuple[str, ...]  # lines
    panel_titles: tuple[tuple[str, ...], ...]  # lines of each panel
    x_labels: tuple[tuple[str, ...], ...]  # lines of each panel
    y_labels: tuple[str, ...]
    x_ticks: tuple[tuple[Tick, ...], ...]
    y_ticks: tuple[tuple[Tick, ...], ...]
    legend_texts: Mapping[str, str]  # mark label → legend text
    end_labels: tuple[EndLabel, ...]  # instead of a legend
    # (start, end) of each panel as fractions of the width and height between the margins; y from the bottom.
    x_spans: tuple[tuple[float, float], ...]
    y_spans: tuple[tuple[float, float], ...]

    def box(self, index: int) -> Box:
        """Return left, top, right and bottom of a panel in whole pixels; panels of equal spans have equal sizes."""
        inner_width, inner_height = self.width - self.left - self.right, self.height - self.top - self.bottom
        (start, end), (low, high) = self.x_spans[index], self.y_spans[index]
        left, top = round(self.left + start * inner_width), round(self.top + (1 - high) * inner_height)
        return (
            left,
            top,
            left + math.floor((end - start) * inner_width + _ROUNDING),
            top + math.floor((high - low) * inner_height + _ROUNDING),
        )


def compute_layout(chart: Chart) -> Layout:
    """Compute the layout of a chart, with texts cut as both renderers show them."""
    legend_texts = _legend_texts(chart)
    shown_texts = [legend_texts[mark.label] for mark in legend_marks(chart)]
    columns = chart.columns or len(chart.panels)
    rows = math.ceil(len(chart.panels) / columns)
    title = _cut_lines(
        one_line(chart.title, LONGEST_TITLE), TITLE_SIZE, chart.width - 2 * EDGE, _TITLE_LINES, bold=True
    )
    note = tuple(wrap_text(one_line(chart.note), SMALL_SIZE, chart.width - 2 * EDGE))

    # The widths of tick labels on y axes decide the widths of the panels; their number follows from the heights.
    y_widths = [_ticks_width(upright_ticks(panel.y, 250)) + (24 if panel.y.label else 0) for panel in chart.panels]
    left = EDGE + max(y_widths[::columns]) + 10
    right = EDGE + (round(max(text_width(text, SMALL_SIZE) for text in shown_texts)) + 52 if shown_texts else 14)
    if any(isinstance(mark, Heat) for panel in chart.panels for mark in panel.marks):
        right = max(right, EDGE + COLOUR_BAR + 96)
    inner_widths = [0 if chart.shared_y else width for place, width in enumerate(y_widths) if place % columns]
    column_gap = BETWEEN_PANELS + max(inner_widths, default=0)
    x_spans = tuple(
        _part_span(index % columns, columns, column_gap / (chart.width - left - right))
        for index in range(len(chart.panels))
    )
    panel_width = min((high - low for low, high in x_spans), default=1.0) * (chart.width - left - right)

    x_ticks = tuple(across_ticks(panel.x, panel_width) for panel in chart.panels)
    tick_heights = 12 + TICK_LINE * max((len(tick.lines) for ticks in x_ticks for tick in ticks), default=1)
    beside = panel_width + column_gap / 2
    panel_titles = _in_lines([panel.title for panel in chart.panels], beside)
    x_labels = _in_lines([panel.x.label for panel in chart.panels], beside)
    title_height = PANEL_TITLE_LINE * max(map(len, panel_titles)) + 8 if any(panel_titles) else 0
    row_gap = tick_heights + title_height + _label_height(x_labels[:-columns])
    top = EDGE + TITLE_LINE * len(title) + 8 + NOTE_LINE * len(note) + 8 + title_height
    bottom = tick_heights + _label_height(x_labels) + 12
    needed_for_rows = top + bottom + rows * 60 + (rows - 1) * row_gap
    height = max(chart.height + NOTE_LINE * len(note), needed_for_rows)
    names: tuple[EndLabel, ...] = ()
    if chart.names_at_ends:
        names = end_labels(chart.panels[0], legend_marks(chart), height - top - bottom, left, legend_texts)
    if not names:
        height = max(height, top + bottom + LEGEND_LINE * len(shown_texts))
    row_spans = _row_spans(chart.row_heights or (1.0,) * rows, row_gap / (height - top - bottom))
    y_spans = tuple(row_spans[index // columns] for index in range(len(chart.panels)))
    panel_heights = [(high - low) * (height - top - bottom) for low, high in y_spans]
    return Layout(
        width=chart.width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        title=title,
        note=note,
        panel_titles=panel_titles,
        x_labels=x_labels,
        y_labels=_cut_labels([panel.y.label for panel in chart.panels], min(panel_heights, default=0) + row_gap / 2),
        x_ticks=x_ticks,
        y_ticks=tuple(upright_ticks(panel.y, size) for panel, size in zip(chart.panels, panel_heights, strict=True)),
        legend_texts=legend_texts,
        end_labels=names,
        x_spans=x_spans,
        y_spans=y_spans,
    )


def _part_span(index: int, count: int, gap: float) -> tuple[float, float]:
    """Return start and end of part `index` when [0, 1] is divided into `count` equal parts with gaps between them."""
    size = (1 - gap * (count - 1)) / count
    start = index * (size + gap)
    return start, start + size


def _row_spans(heights: Sequence[float], gap: float) -> list[tuple[float, float]]:
    """Return start and end of each row, first row at the top of [0, 1], from the relative heights of rows."""
    unit = (1 - gap * (len(heights) - 1)) / sum(heights)
    spans, high = [], 1.0
    for height in heights:
        spans.append((max(0.0, high - unit * height), high))
        high -= unit * height + gap
    return spans


def _cut_lines(text: str, size: float, width: float, most: int, *, bold: bool = False) -> tuple[str, ...]:
    """Return a text in at most `most` lines; what does not fit is replaced by `…`."""
    lines = wrap_text(text, size, width, bold=bold)
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1][:-1] + "…"]
    return tuple(lines)


def _cut_labels(labels: Sequence[str], length: float) -> tuple[str, ...]:
    """Return the labels of axes cut to a length in pixels, so that different ones stay different."""
    chars = min(LONGEST_LABEL, int(length / (TEXT_SIZE * _CHAR)))
    return tuple(
        short if label else "" for short, label in zip(distinct_names(labels, width=chars), labels, strict=True)
    )


def _label_height(labels: Sequence[tuple[str, ...]]) -> int:
    """Return the space that labels of x axes need below the tick labels."""
    lines = max(map(len, labels), default=0)
    return AXIS_LABEL + PANEL_TITLE_LINE * (lines - 1) if lines else 0


def _in_lines(titles: Sequence[str], width: float) -> tuple[tuple[str, ...], ...]:
    """Return texts of panels in one or two lines of at most `width` pixels, so that different ones stay different."""
    if not any(titles):
        return ((),) * len(titles)
    if any(len(wrap_text(one_line(title), TEXT_SIZE, width)) > PANEL_TITLE_LINES for title in titles):
        titles = distinct_names(titles, width=max(8, int(PANEL_TITLE_LINES * 0.8 * width / (TEXT_SIZE * _CHAR))))
    return tuple(tuple(wrap_text(one_line(title), TEXT_SIZE, width)) for title in titles)


def _ticks_width(ticks: Sequence[Tick]) -> int:
    return round(max((text_width(line, SMALL_SIZE) for tick in ticks for line in tick.lines), default=8))


def shows_y_ticks(chart: Chart, index: int) -> bool:
    """Return whether a panel has tick labels on its y axis."""
    return not chart.shared_y or index % (chart.columns or len(chart.panels)) == 0


def legend_marks(chart: Chart) -> list[Line | Points | Bars]:
    """Return the marks of the legend: the last drawn, which is on top, comes first; each label appears once."""
    marks = [mark for panel in chart.panels for mark in panel.marks if isinstance(mark, Line | Points | Bars)]
    named = [mark for mark in reversed(marks) if mark.label and (isinstance(mark, Bars) or mark.in_legend)]
    return list({mark.label: mark for mark in named}.values())


def colours_of(mark: Line | Points | Bars) -> set[str]:
    """Return the colours of a mark."""
    return {mark.colour} if isinstance(mark, Line) else set(mark.colours)


def legend_colours(chart: Chart) -> dict[str, str]:
    """Return the colour of each legend entry by its label; grey for marks of several colours, such as means."""
    colours: dict[str, set[str]] = {}
    for panel in chart.panels:
        for mark in panel.marks:
            if isinstance(mark, Line | Points | Bars):
                colours.setdefault(mark.label, set()).update(colours_of(mark))
    return {label: found.pop() if len(found) == 1 else QUIET for label, found in colours.items()}


def label_text(text: str) -> str:
    """Return the label of a point or a colour bar on one line, cut to 60 characters."""
    return one_line(text, LONGEST_LABEL)


def _legend_texts(chart: Chart) -> dict[str, str]:
    """Return the legend text for each mark label, including marks that are not in the legend."""
    marks = (mark for panel in chart.panels for mark in panel.marks if isinstance(mark, Line | Points | Bars))
    labels = list(dict.fromkeys(mark.label for mark in marks))
    return dict(zip(labels, distinct_names(labels, width=LONGEST_ENTRY), strict=True))
