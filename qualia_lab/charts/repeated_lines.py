"""Lines that several panels of a chart have, such as all runs in grey: drawn once in its SVG, then referred to."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qualia_lab.charts.marks import Line
from qualia_lab.charts.svg_marks import draw_mark
from qualia_lab.charts.svg_text import element

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.charts.marks import Panel
    from qualia_lab.charts.svg_marks import PanelScale


class RepeatedLines:
    """Draws the lines of a chart; the same line in panels of one size and scale is written once.

    Args:
        panels: all panels of the chart.
    """

    def __init__(self, panels: Sequence[Panel]) -> None:
        counts = Counter(id(mark) for panel in panels for mark in panel.marks if isinstance(mark, Line))
        self._repeated = {one for one, count in counts.items() if count > 1}
        self._first: dict[tuple[object, ...], tuple[str, PanelScale]] = {}

    def draw(self, line: Line, scale: PanelScale, names: Mapping[str, str]) -> str:
        """Return the line, or a reference to where it is drawn already, moved to this panel."""
        if id(line) not in self._repeated:
            return draw_mark(line, scale, names)
        key = (id(line), *scale.size_and_limits)
        if key not in self._first:
            anchor = f"line-{len(self._first) + 1}"
            drawn = draw_mark(line, scale, names)
            if drawn:
                self._first[key] = anchor, scale
            return drawn.replace("<path ", f'<path id="{anchor}" ', 1)
        anchor, first = self._first[key]
        (left, top, *_), (first_left, first_top, *_) = scale.box, first.box
        return element("use", class_="line", href=f"#{anchor}", x=left - first_left, y=top - first_top)
