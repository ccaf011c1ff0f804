"""Where things stand in a chart, in pixels: measured once, used by both drawn faces."""

from __future__ import annotations

import textwrap
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.charts.chart import Box
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.charts.chart import Chart, Line, Points

WIDTH = 960
EDGE = 16  # what stays free at the border
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 16, 12, 11
NOTE_LINE = 16  # height of a line of the note
LEGEND_LINE = 20
BETWEEN_PANELS = 28

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
    spans: tuple[tuple[float, float], ...]  # of each panel, as fractions of the width between the margins


def take_frame(chart: Chart) -> Frame:
    """Measure a chart; labels are cut as both faces will show them."""
    entries = [entry_text(mark.label) for mark in legend_marks(chart)]
    first = chart.panels[0]
    tick_width = max((text_width(label_text(text), SMALL_SIZE) for _, text in first.y.ticks), default=38)
    left = EDGE + round(tick_width) + 10 + (24 if first.y.label else 0)
    right = EDGE + (round(max(text_width(entry, SMALL_SIZE) for entry in entries)) + 52 if entries else 4)
    note = tuple(textwrap.wrap(one_line(chart.note), 140))
    top = EDGE + 30 + NOTE_LINE * len(note) + 8
    bottom = 58
    count = len(chart.panels)
    gap = BETWEEN_PANELS / (WIDTH - left - right)
    wide = (1 - gap * (count - 1)) / count
    return Frame(
        width=WIDTH,
        height=max(chart.height + NOTE_LINE * len(note), top + bottom + LEGEND_LINE * len(entries)),
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        title=one_line(chart.title, LONGEST_TITLE),
        note=note,
        spans=tuple((index * (wide + gap), index * (wide + gap) + wide) for index in range(count)),
    )


def legend_marks(chart: Chart) -> list[Line | Points]:
    """The marks that stand in the legend: what is drawn last, over all others, is named first."""
    marks = [mark for panel in chart.panels for mark in panel.marks if not isinstance(mark, Box)]
    return [mark for mark in reversed(marks) if mark.label]


def label_text(text: str) -> str:
    """The text of a tick, an axis or a point."""
    return one_line(text, LONGEST_LABEL)


def entry_text(text: str) -> str:
    """The text of a legend entry: the middle gives way, because names of runs differ at their ends."""
    text = one_line(text)
    if len(text) <= LONGEST_ENTRY:
        return text
    return f"{text[: LONGEST_ENTRY - 15]}…{text[-14:]}"


def text_width(text: str, size: float) -> float:
    """About how many pixels a text takes; East Asian characters are twice as wide."""
    return sum(size * (1.0 if unicodedata.east_asian_width(char) in "WF" else 0.58) for char in text)
