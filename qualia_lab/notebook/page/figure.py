"""Turn the drawing of a chart into HTML that fills any width: texts keep their size, and panels flow.

The plot area of a panel is an `<svg>` of its own, whose size is set by figure.css; everything in it is placed by
percentages of that area, and the texts around it by pixels from its edges. Lines and bands keep their coordinates in
an inner `<svg>` that is stretched. Where a panel is too narrow, container queries leave out numbers of its x axis,
move long names of rows above their rows, or let it scroll.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from qualia_lab.charts.svg_text import element, number, xml_text
from qualia_lab.notebook.page.drawing import read_drawing
from qualia_lab.notebook.page.frame import Frame
from qualia_lab.notebook.page.panel import panel_html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.notebook.page.drawing import Node

_SWATCH_WIDTH = 28
_PANEL, _SMALL_PANEL = 280, 168  # least widths of panels in pixels
_SMALL_FROM = 3  # panels per row: small ones, of which a phone shows two beside each other


def chart_html(svg: str, number: int) -> str:
    """Return a chart as a `<figure>`; every text in it is escaped, and it has no script, style sheet or reference.

    Args:
        svg: the drawing, as `Chart.svg` writes it; it may come from an untrusted file.
        number: the number of the chart on the page, for its id.

    Raises:
        ValueError: the drawing is not one that `Chart.svg` writes.
    """
    drawing = read_drawing(svg)
    strokes = {node.attributes["id"]: node.attributes.get("stroke", "") for node in drawing.every() if node.is_repeated}
    for node in drawing.every():
        if node.tag == "use":
            node.attributes["stroke"] = strokes.get(node.attributes["href"].removeprefix("#"), "")
        for name, mark in (("id", ""), ("href", "#")):
            if name in node.attributes:  # unique on the page
                node.attributes[name] = f"{mark}chart-{number:d}-{node.attributes[name].removeprefix(mark)}"
    try:
        return _figure(drawing, number)
    except LookupError as error:  # allowed elements, but not where they have to be
        raise ValueError("not structured as the drawing of a chart") from error


def _figure(drawing: Node, number: int) -> str:
    """Return the figure; raises LookupError for a part that is not there."""
    sentence = "".join(node.text for node in drawing.children if node.tag == "title")
    title = drawing.attributes.get("data-title", "")
    note = " ".join(node.text for node in drawing.of_class("chart-note"))
    caption = element("span", xml_text(title) or " ", class_="chart-title")
    if note:
        caption += element("span", xml_text(note), class_="chart-note")
    frames = _frames(drawing)
    labels = {frame.y_label for frame in frames}
    if len(frames) > 1 and len(labels) == 1 and labels.pop() in title:
        for frame in frames:
            frame.y_label = ""  # the title says it
    in_row = Counter(frame.top for frame in frames)
    columns = max(in_row.values(), default=1)
    panels = ""
    for place, frame in enumerate(frames):
        panels += panel_html(frame, sentence if not place else frame.title or title)
        if place + 1 < len(frames) and frames[place + 1].top != frame.top:
            # The next panel begins a row, as that of another experiment.
            panels += "<div></div>" * (columns - in_row[frame.top])
    small = columns >= _SMALL_FROM and not any(frame.is_named("y-ticks") for frame in frames)
    least = max(_SMALL_PANEL if small else _PANEL, *(frame.least_width for frame in frames), 0)
    return element(
        "figure",
        element("figcaption", caption)
        + _legend(drawing, frames)
        + element("div", panels, class_="panels", style=f"--columns:{columns};--least:{least:.0f}px"),
        class_="chart ends" if any("end-labels" in frame.parts for frame in frames) else "chart",
        id=f"chart-{number:d}",
        data_title=title,
    )


def _frames(drawing: Node) -> list[Frame]:
    """Return the panels; one without tick labels or axis label has those of the panel that it shares the axis with."""
    frames = [Frame(panel) for panel in drawing.of_class("panel")]
    for before, frame in pairwise(frames):
        frame.take_y_axis(before)
    for after, frame in pairwise(frames[::-1]):
        frame.take_x_label(after)
    return frames


def _legend(drawing: Node, frames: Sequence[Frame]) -> str:
    """Return the legend: a button for each entry that stands for runs.

    Names at the ends of lines are in it, too: a panel may be too narrow for them, and the keyboard reaches buttons.
    """
    entries = []
    shown = [entry for legend in drawing.of_class("legend") for entry in legend.of_class("entry")]
    shown += [label for frame in frames if "end-labels" in frame.parts for label in frame.parts["end-labels"].children]
    for entry in shown:
        swatch, text = entry.children[0], entry.children[-1]
        attributes = swatch.attributes
        if "end-label" in entry.classes:
            x, y = text.number("x"), number(text.number("y") - 4)
            ends = {"x1": number(x - 34), "x2": number(x - 6), "y1": y, "y2": y}
            attributes = attributes | ends | {"stroke-width": "1.8"}
        left, middle = text.number("x") - 34, text.number("y") - 4
        moved = {
            name: str(round(float(value) - (left if "x" in name else middle - 6), 1))
            if name in ("x", "y", "x1", "y1", "x2", "y2", "cx", "cy")
            else value
            for name, value in attributes.items()
        }
        drawn = element(
            "svg", element(swatch.tag, **moved), class_="swatch", width=_SWATCH_WIDTH, height=12, aria_hidden="true"
        )
        content = drawn + xml_text(text.text)
        runs = entry.attributes.get("data-runs", "")
        if runs:
            entries.append(element("button", content, type="button", class_="entry", data_runs=runs))
        else:
            entries.append(element("span", content, class_="entry"))
    return element("div", "".join(entries), class_="legend") if entries else ""
