"""Render a chart as SVG from its marks: one static drawing for notebooks, pages and print.

All coordinates are absolute pixels, and nothing in the drawing is a style sheet, a script or a reference to a file.
Classes and `data-` attributes say what each element is; `qualia_lab.notebook.page.figure` reads them to make the
drawing fluid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.charts.colours import GRID, INK, QUIET
from qualia_lab.charts.end_labels import BESIDE, LEADER, TO_NAME
from qualia_lab.charts.heat_colours import heat_colour
from qualia_lab.charts.layout import (
    AXIS_LABEL,
    COLOUR_BAR,
    EDGE,
    LEGEND_LINE,
    LONGEST_TITLE,
    NOTE_LINE,
    PANEL_TITLE_LINE,
    SMALL_SIZE,
    TEXT_SIZE,
    TITLE_LINE,
    TITLE_SIZE,
    compute_layout,
    label_text,
    legend_colours,
    legend_marks,
    shows_y_ticks,
)
from qualia_lab.charts.marks import Bars, Heat, Line, Points
from qualia_lab.charts.repeated_lines import RepeatedLines
from qualia_lab.charts.svg_marks import DASHES, PanelScale, draw_mark
from qualia_lab.charts.svg_text import element, number, run_ids, text_element, xml_text
from qualia_lab.charts.text_width import text_width
from qualia_lab.charts.ticks import TICK_LINE, TICK_SIZE, is_named, positions_in, upright_ticks
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.clipping import Box
    from qualia_lab.charts.layout import Layout
    from qualia_lab.charts.marks import Axis, Panel

FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
_TO_TICKS = 8  # pixels between the axes and their tick labels


def draw_svg(chart: Chart, layout: Layout | None = None) -> str:
    """Return the chart as an SVG document; the same chart gives the same text. `layout`: its layout, if it is known."""
    layout = layout or compute_layout(chart)
    parts = [
        element("title", xml_text(chart.sentence) or "chart"),
        element("rect", class_="background", width=layout.width, height=layout.height, fill="#FFFFFF"),
        *_heading(layout),
        _legend(chart, layout),
        *_panels(chart, layout),
    ]
    return element(
        "svg",
        "".join(parts),
        xmlns="http://www.w3.org/2000/svg",
        class_="qualia-chart",
        data_title=one_line(chart.title, LONGEST_TITLE),
        width=layout.width,
        height=layout.height,
        viewBox=f"0 0 {layout.width} {layout.height}",
        font_family=FONT,
    )


def _heading(layout: Layout) -> list[str]:
    """Return the lines of the title and of the note."""
    baseline = EDGE + TITLE_SIZE
    lines = []
    for line in layout.title:
        style: dict[str, str | float] = {
            "class_": "chart-title",
            "font_size": TITLE_SIZE,
            "font_weight": "bold",
            "fill": INK,
        }
        lines.append(text_element(line, EDGE, baseline, **style))
        baseline += TITLE_LINE
    for line in layout.note:
        lines.append(text_element(line, EDGE, baseline, class_="chart-note", font_size=SMALL_SIZE, fill=QUIET))
        baseline += NOTE_LINE
    return lines


def _legend(chart: Chart, layout: Layout) -> str:
    """Return the legend right of the panels: an entry for each label, with all runs that are drawn under it."""
    if layout.end_labels:
        return ""
    runs: dict[str, list[str]] = {}
    colours = legend_colours(chart)
    for panel in chart.panels:
        for mark in panel.marks:
            if isinstance(mark, Line):
                runs.setdefault(mark.label, []).append(mark.runs)
            elif isinstance(mark, Points | Bars):
                runs.setdefault(mark.label, []).extend(mark.runs)
    left = layout.width - layout.right + 12
    entries = []
    for row, mark in enumerate(legend_marks(chart)):
        y = layout.top + 8 + LEGEND_LINE * row
        text = text_element(layout.legend_texts[mark.label], left + 34, y + 4)
        swatch = _swatch(mark, left, y, colours[mark.label])
        entries.append(element("g", swatch + text, class_="entry", data_runs=run_ids(runs[mark.label])))
    return element("g", "".join(entries), class_="legend", font_size=SMALL_SIZE, fill=INK) if entries else ""


def _swatch(mark: Line | Points | Bars, left: float, y: float, colour: str) -> str:
    if isinstance(mark, Line):
        dashes = DASHES[mark.dash]
        return element(
            "line",
            x1=left,
            y1=y,
            x2=left + 28,
            y2=y,
            stroke=colour,
            stroke_width=mark.width,
            stroke_dasharray=dashes,
        )
    if isinstance(mark, Bars):
        return element("rect", x=left + 9, y=y - 5, width=10, height=10, fill=colour)
    radius = min(mark.size, 10) / 2
    if mark.symbol == "ring":
        return element("circle", cx=left + 14, cy=y, r=radius, fill="#FFFFFF", stroke=colour, stroke_width=1.8)
    return element("circle", cx=left + 14, cy=y, r=radius, fill=colour)


def _panels(chart: Chart, layout: Layout) -> list[str]:
    """Return the panels; a line that several of them have is drawn once and then referred to."""
    lines = RepeatedLines(chart.panels)
    return [_panel(chart, index, layout, lines) for index in range(len(chart.panels))]


def _panel(chart: Chart, index: int, layout: Layout, lines: RepeatedLines) -> str:
    """Return a panel: its frame, and its marks."""
    panel, box = chart.panels[index], layout.box(index)
    scale = PanelScale(panel, box)
    marks = "".join(
        lines.draw(mark, scale, layout.legend_texts)
        if isinstance(mark, Line)
        else draw_mark(mark, scale, layout.legend_texts)
        for mark in panel.marks
    )
    bars = "".join(_colour_bar(mark, box) for mark in panel.marks if isinstance(mark, Heat))
    if not marks and not panel.x.label and not panel.y.label:
        return ""  # a blank place in a row
    left, top, right, bottom = box
    return element(
        "g",
        "".join(
            (
                *_titles(layout.panel_titles[index], box),
                *_axis_labels(chart, index, layout, box),
                _grid(panel, index, layout, box),
                _x_ticks(panel, index, layout, box),
                _y_ticks(panel, index, layout, box) if shows_y_ticks(chart, index) else "",
                element("g", marks, class_="marks"),
                _end_labels(layout, box),
                bars,
            )
        ),
        class_="panel",
        data_title=one_line(panel.title, LONGEST_TITLE),
        data_box=f"{number(left)} {number(top)} {number(right - left)} {number(bottom - top)}",
        data_x=_scale_text(panel.x),
        data_y=_scale_text(panel.y),
    )


def _scale_text(axis: Axis) -> str:
    low, high = axis.limits
    return f"{low:.17g} {high:.17g} {'log' if axis.log else 'linear'} {one_line(axis.label, LONGEST_TITLE)}".rstrip()


def _titles(lines: tuple[str, ...], box: Box) -> list[str]:
    left, top, *_ = box
    first = top - 8 - PANEL_TITLE_LINE * (len(lines) - 1)
    return [
        text_element(line, left, first + PANEL_TITLE_LINE * row, class_="panel-title", font_size=TEXT_SIZE, fill=INK)
        for row, line in enumerate(lines)
    ]


def _axis_labels(chart: Chart, index: int, layout: Layout, box: Box) -> list[str]:
    left, top, right, bottom = box
    style: dict[str, str | float] = {"font_size": TEXT_SIZE, "fill": INK, "text_anchor": "middle"}
    labels = []
    ticks = max((len(tick.lines) for tick in layout.x_ticks[index]), default=1)
    for row, line in enumerate(layout.x_labels[index]):
        y = bottom + 4 + TICK_LINE * ticks + AXIS_LABEL + PANEL_TITLE_LINE * row
        labels.append(text_element(line, (left + right) / 2, y, class_="x-label", **style))
    if layout.y_labels[index] and shows_y_ticks(chart, index):
        widths = (text_width(line, TICK_SIZE) for tick in layout.y_ticks[index] for line in tick.lines)
        x, y = left - _TO_TICKS - round(max(widths, default=0)) - 10, (top + bottom) / 2
        turned = f"rotate(-90 {number(x)} {number(y)})"
        labels.append(text_element(layout.y_labels[index], x, y, class_="y-label", transform=turned, **style))
    return labels


def _grid(panel: Panel, index: int, layout: Layout, box: Box) -> str:
    """Return grid lines in the middle of whole pixels, so that they are sharp."""
    left, top, right, bottom = box
    x = positions_in(panel.x, [tick.position for tick in layout.x_ticks[index]], left, right - left)
    y = positions_in(panel.y, [tick.position for tick in layout.y_ticks[index]], bottom, top - bottom)
    lines = [
        *(element("line", x1=int(at) + 0.5, y1=top, x2=int(at) + 0.5, y2=bottom) for at in x if left <= at <= right),
        *(element("line", x1=left, y1=int(at) + 0.5, x2=right, y2=int(at) + 0.5) for at in y if top <= at <= bottom),
    ]
    return element("g", "".join(lines), class_="grid", stroke=GRID, stroke_width=1) if lines else ""


def _x_ticks(panel: Panel, index: int, layout: Layout, box: Box) -> str:
    left, _, right, bottom = box
    ticks = layout.x_ticks[index]
    places = positions_in(panel.x, [tick.position for tick in ticks], left, right - left)
    texts = [
        text_element(line, at, bottom + 4 + TICK_LINE * (row + 1))
        for at, tick in zip(places.tolist(), ticks, strict=True)
        if left - 1 <= at <= right + 1
        for row, line in enumerate(tick.lines)
    ]
    return _ticks(texts, "x-ticks", "middle", named=is_named(panel.x))


def _y_ticks(panel: Panel, index: int, layout: Layout, box: Box) -> str:
    left, top, _, bottom = box
    ticks = layout.y_ticks[index]
    places = positions_in(panel.y, [tick.position for tick in ticks], bottom, top - bottom)
    texts = [
        text_element(line, left - _TO_TICKS, at, dy=4)
        for at, tick in zip(places.tolist(), ticks, strict=True)
        if top - 1 <= at <= bottom + 1
        for line in tick.lines
    ]
    return _ticks(texts, "y-ticks", "end", named=is_named(panel.y))


def _ticks(texts: list[str], name: str, anchor: str, *, named: bool) -> str:
    class_name = f"{name} names" if named else name
    style: dict[str, str | float] = {"font_size": TICK_SIZE, "fill": QUIET, "text_anchor": anchor}
    return element("g", "".join(texts), class_=class_name, **style) if texts else ""


def _end_labels(layout: Layout, box: Box) -> str:
    """Return the names of lines: right of the axes, with a line to the name, or right of an end that is early."""
    left, top, right, _ = box
    names = []
    for one in layout.end_labels:
        end, at, colour = top + one.y, top + one.at, one.line.colour
        x = left + one.x * (right - left)
        edge, dashes = x if one.inside else right, DASHES[one.line.dash]
        lines = element("line", x1=x, y1=end, x2=edge, y2=end, stroke=colour, stroke_dasharray=dashes)
        if not one.inside:
            lines += element("line", x1=right, y1=end, x2=right + LEADER, y2=at, stroke=colour)
        name = layout.legend_texts[one.line.label]
        text = (
            text_element(name, x, at, dx=BESIDE, dy=4) if one.inside else text_element(name, right + TO_NAME, at, dy=4)
        )
        names.append(element("g", lines + text, class_="end-label", data_runs=run_ids([one.line.runs])))
    return element("g", "".join(names), class_="end-labels", font_size=SMALL_SIZE, fill=INK) if names else ""


def _colour_bar(mark: Heat, box: Box) -> str:
    """Return the colours of a heat map from its lowest to its highest value, right of the panel."""
    import numpy as np

    from qualia_lab.charts.marks import Axis

    _, top, right, bottom = box
    finite = mark.values[np.isfinite(mark.values)]
    if not finite.size:
        return ""
    low, high = float(finite.min()), float(finite.max())
    axis = Axis("", (low, high) if low < high else (low - 0.5, high + 0.5))
    height, left, steps = bottom - top, right + 12, 32
    edges = np.linspace(*axis.limits, steps + 1)
    places = positions_in(axis, edges, bottom, -height).tolist()
    cells = [
        element(
            "rect", x=left, y=places[step + 1], width=COLOUR_BAR, height=places[step] - places[step + 1] + 0.5,
            fill=heat_colour(float(edges[step] / 2 + edges[step + 1] / 2), *axis.limits),
        )
        for step in range(steps)
    ]  # fmt: skip
    ticks = upright_ticks(axis, height)
    labels = [
        text_element(line, left + COLOUR_BAR + 6, at, dy=4, font_size=TICK_SIZE, fill=QUIET)
        for at, tick in zip(positions_in(axis, [tick.position for tick in ticks], bottom, -height), ticks, strict=True)
        for line in tick.lines
        if top <= at <= bottom
    ]
    x, y = left + COLOUR_BAR + 70, (top + bottom) / 2
    turned = f"rotate(-90 {number(x)} {number(y)})"
    style: dict[str, str | float] = {"font_size": TEXT_SIZE, "fill": INK, "text_anchor": "middle"}
    labels.append(text_element(label_text(mark.label), x, y, transform=turned, **style))
    return element("g", "".join((*cells, *labels)), class_="colour-bar")
