"""A panel of a chart as fluid HTML: its plot area, and the texts around it."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from qualia_lab.charts.svg_text import element, number, xml_text
from qualia_lab.escaping import one_line
from qualia_lab.notebook.page.frame import BETWEEN_TEXTS, reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qualia_lab.notebook.page.drawing import Node
    from qualia_lab.notebook.page.frame import Frame

_STEP = 80  # pixels; thresholds of container queries in figure.css are multiples of it
_WIDEST_QUERY = 1600
_LONG_NAMES = 0.4  # of the width of a panel; longer names of rows move above their rows
_NARROWEST = 200  # pixels; no panel is narrower
_WIDEST_PLACE = 180  # pixels of a name on the x axis: two box plots are not as wide as a page
_LEFT_BELOW_NAMES = 8  # left margin in pixels if the names stand above their rows, as in figure.css
# How a coordinate of the drawing becomes a percentage of the plot area.
_PERCENT: dict[str, Callable[[Frame, float], str]] = {
    **dict.fromkeys(("x", "x1", "x2", "cx"), lambda frame, value: frame.x(value)),
    **dict.fromkeys(("y", "y1", "y2", "cy"), lambda frame, value: frame.y(value)),
    "width": lambda frame, value: frame.x(value, size=True),
    "height": lambda frame, value: frame.y(value, size=True),
}


def panel_html(frame: Frame, words: str) -> str:
    """Return a panel.

    Args:
        frame: the panel.
        words: what it shows, for readers who do not see it.
    """
    top, right, bottom, left = frame.margins
    size = (
        f"--top:{top:.0f}px;--right:{right:.0f}px;--bottom:{bottom:.0f}px;--left:{left:.0f}px;"
        f"--height:{frame.height:.0f}px;--narrowest:{frame.least_width:.0f}px"
    )
    if frame.is_named("x-ticks"):
        size += f";--needed:{max(1, frame.least_width):.0f}"  # without a unit, so that print.css can divide by it
    plot = element(
        "svg",
        "".join((
            _grid(frame),
            _x_ticks(frame),
            _y_ticks(frame),
            _y_label(frame, left),
            "".join(_marks(frame)),
            _end_labels(frame),
            _colour_bar(frame),
        )),
        class_=f"plot above-{threshold}" if (threshold := _names_above(frame)) else "plot",
        role="img",
        aria_label=one_line(words),
        style=size,
        **{name.replace("-", "_"): value for name, value in frame.attributes.items() if name.startswith("data-")},
    )  # fmt: skip
    title = element("div", xml_text(frame.title), class_="panel-title") if frame.title else ""
    label = element("div", xml_text(frame.x_label), class_="x-label") if frame.x_label else ""
    widest = f"--widest:{width:.0f}px" if (width := _widest(frame)) else ""
    return element("div", title + plot + label, class_="panel", style=widest)


def _widest(frame: Frame) -> float:
    """Return the width of a panel with names on its x axis, beyond which it is not stretched; 0 for none."""
    if not frame.is_named("x-ticks"):
        return 0
    low, high = map(float, frame.attributes["data-x"].split(" ")[:2])
    _, right, _, left = frame.margins
    return left + right + max(1, abs(high - low)) * _WIDEST_PLACE


def _grid(frame: Frame) -> str:
    """Return the grid; its lines are rounded to whole pixels by the browser, because the width is not known here."""
    if "grid" not in frame.parts:
        return ""
    grid = frame.parts["grid"]
    lines = "".join(_placed(frame, line) for line in grid.children)
    return element("g", lines, **_kept(grid), shape_rendering="crispEdges")


def _x_ticks(frame: Frame) -> str:
    """Return the tick labels of the x axis; numbers that do not fit into a narrow panel have a class `from-WIDTH`."""
    if "x-ticks" not in frame.parts:
        return ""
    group, texts = frame.parts["x-ticks"], frame.texts("x-ticks")
    from_widths = [0] * len(texts) if frame.is_named("x-ticks") else _from_widths(frame, texts)
    below = frame.top + frame.height
    shown = [
        element(
            "text",
            xml_text(node.text),
            x=frame.x(node.number("x")),
            y="100%",
            dy=node.number("y") - below,
            class_=f"from-{from_width}" if from_width else "",
        )
        for node, from_width in zip(texts, from_widths, strict=True)
    ]
    return element("g", "".join(shown), **_kept(group))


def _from_widths(frame: Frame, texts: Sequence[Node]) -> list[int]:
    """Return for each number on the x axis the width of the panel from which on it fits; 0 if it always does.

    Narrower panels have every second number, then every fourth, and so on.
    """
    _, right, _, left = frame.margins
    above = _names_above(frame)
    order = sorted(range(len(texts)), key=lambda place: texts[place].number("x"))
    widths = [0] * len(texts)
    stride = 1
    while stride < len(order):
        needed = 0.0
        for one, other in pairwise(order[::stride]):
            share = (texts[other].number("x") - texts[one].number("x")) / frame.width
            text_space = reach(texts[one])[1] + reach(texts[other])[0] + BETWEEN_TEXTS
            needed = max(needed, text_space / share if share > 0 else math.inf)
        for place in order[stride :: 2 * stride]:
            fits_below_names = needed + right < (1 - _LONG_NAMES) * above
            widths[place] = _threshold(needed + right + (_LEFT_BELOW_NAMES if fits_below_names else left))
        stride *= 2
    return widths


def _names_above(frame: Frame) -> int:
    """Return the width of the panel below which the names of its rows stand above them; 0 for always beside them."""
    threshold = _threshold(frame.names_width / _LONG_NAMES) if frame.is_named("y-ticks") else 0
    return threshold if threshold > _NARROWEST else 0


def _threshold(width: float) -> int:
    """Return the next multiple of 80 for which figure.css has a query."""
    return min(_WIDEST_QUERY, _STEP * math.ceil(width / _STEP)) if math.isfinite(width) else _WIDEST_QUERY


def _y_ticks(frame: Frame) -> str:
    if "y-ticks" not in frame.parts:
        return ""
    shown = [
        element("text", xml_text(node.text), x=0, dx=-8, y=frame.y_of_tick(node.number("y")), dy=4)
        for node in frame.texts("y-ticks")
    ]
    return element("g", "".join(shown), **_kept(frame.parts["y-ticks"]))


def _y_label(frame: Frame, left: float) -> str:
    if not frame.y_label:
        return ""
    text = element("text", xml_text(frame.y_label), text_anchor="middle", transform="rotate(-90)")
    return element("svg", text, x=12 - left, y="50%", overflow="visible", class_="y-label")


def _marks(frame: Frame) -> Iterator[str]:
    """Yield the marks: neighbouring lines and bands stretched together, and the others placed by percentages."""
    paths: list[str] = []
    for node in frame.parts["marks"].children if "marks" in frame.parts else ():
        if node.tag == "path":
            paths.append(_repeated(node) if node.is_repeated else element("path", **_kept(node)))
            continue
        if node.tag == "use":  # a line of another panel, in the area of that panel
            yield _stretched(frame, paths)
            paths = []
            link = element("use", class_="line", href=node.attributes["href"], stroke=node.attributes["stroke"])
            yield _stretched(frame, [link], (node.number("x"), node.number("y")))
            continue
        yield _stretched(frame, paths)
        paths = []
        yield _placed(frame, node)
    yield _stretched(frame, paths)


def _repeated(node: Node) -> str:
    """Return a line that has its colour from around it: rules of style sheets do not reach where it is referred to."""
    attributes = _kept(node)
    path = element("path", **{**attributes, "stroke": "", "vector_effect": "non-scaling-stroke"})
    return element("g", path, stroke=attributes.get("stroke", ""))


def _stretched(frame: Frame, paths: Sequence[str], moved: tuple[float, float] = (0, 0)) -> str:
    left, top = frame.left - moved[0], frame.top - moved[1]
    area = f"{number(left)} {number(top)} {number(frame.width)} {number(frame.height)}"
    return element("svg", "".join(paths), class_="lines", viewBox=area, preserveAspectRatio="none") if paths else ""


def _placed(frame: Frame, node: Node) -> str:
    """Return an element and its content, with coordinates of the drawing as percentages of the plot area."""
    attributes = {
        name: _PERCENT[name](frame, float(value)) if name in _PERCENT else value for name, value in _kept(node).items()
    }
    is_cross = node.tag == "svg"  # its content is around its own position, in pixels
    content = "".join(
        element(child.tag, xml_text(child.text), **_kept(child)) if is_cross else _placed(frame, child)
        for child in node.children
    )
    return element(node.tag, content or xml_text(node.text), **attributes)


def _kept(node: Node) -> dict[str, str]:
    """Return the checked attributes of a node as arguments of `element`."""
    return {"class_" if name == "class" else name.replace("-", "_"): value for name, value in node.attributes.items()}


def _end_labels(frame: Frame) -> str:
    """Return the names of lines: right of the plot area, or beside an end that is early."""
    if "end-labels" not in frame.parts:
        return ""
    group, right = frame.parts["end-labels"], frame.left + frame.width
    names = []
    for label in group.children:
        to_edge, *to_names, text = label.children
        if to_names:
            line = _kept(to_names[0]) | {"x1": "0", "x2": number(to_names[0].number("x2") - right)}
            line |= {name: frame.y(to_names[0].number(name)) for name in ("y1", "y2")}
            name = element(
                "text",
                xml_text(text.text),
                x=text.number("x") - right,
                y=frame.y(text.number("y")),
                dy=text.number("dy"),
            )
            shown = _placed(frame, to_edge)
            shown += element("svg", element("line", **line) + name, x="100%", overflow="visible")
        else:
            shown = _placed(frame, text)
        names.append(element("g", shown, **_kept(label)))
    return element("g", "".join(names), **_kept(group))


def _colour_bar(frame: Frame) -> str:
    """Return the colour bar of a heat map, right of the plot area: pixels across, percentages upright."""
    if "colour-bar" not in frame.parts:
        return ""
    bar, right = frame.parts["colour-bar"], frame.left + frame.width
    parts = []
    for node in bar.children:
        attributes = _kept(node)
        x = node.number("x") - right
        if node.tag == "rect":
            attributes |= {
                "x": number(x),
                "y": frame.y(node.number("y")),
                "height": frame.y(node.number("height"), size=True),
            }
            parts.append(element("rect", **attributes))
        elif "transform" in attributes:
            text = element("text", xml_text(node.text), text_anchor="middle", transform="rotate(-90)")
            parts.append(element("svg", text, x=x, y="50%", overflow="visible"))
        else:
            attributes |= {"x": number(x), "y": frame.y(node.number("y"))}
            parts.append(element("text", xml_text(node.text), **attributes))
    return element("svg", "".join(parts), class_="colour-bar", x="100%", overflow="visible")
