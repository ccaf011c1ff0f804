"""Draw the marks of a panel as SVG elements, in absolute pixels, cut at the axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.clipping import cut_area, cut_line, reduce_to_pixels, stretches
from qualia_lab.charts.colours import QUIET
from qualia_lab.charts.heat_colours import heat_colour
from qualia_lab.charts.layout import SMALL_SIZE, label_text
from qualia_lab.charts.marks import Band, Bars, Box, Heat, Line, Points, Texts
from qualia_lab.charts.svg_text import element, number, run_ids, tenths, text_element, xml_text
from qualia_lab.charts.ticks import positions_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from qualia_lab.charts import clipping
    from qualia_lab.charts.marks import Axis, Mark, Numbers, Panel

DASHES = {"solid": "", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3"}
_NO_OUTLINE = 5  # size of points that are too small for a white outline
_BOX_WIDTH = 0.5  # in units of the x axis
_TEXT_OFFSETS = {"left": 5, "center": 0, "right": -5}
_ANCHORS = {"left": "", "center": "middle", "right": "end"}


class PanelScale:
    """The scales of a panel: data values to pixels."""

    def __init__(self, panel: Panel, box: clipping.Box) -> None:
        self.box = box
        self._x, self._y = panel.x, panel.y

    @property
    def size_and_limits(self) -> tuple[object, ...]:
        """What two panels share if a line looks the same in both."""
        left, top, right, bottom = self.box
        axes = ((axis.limits, axis.log) for axis in (self._x, self._y))
        return (round(right - left, 3), round(bottom - top, 3), *axes)

    def x(self, values: Numbers | Sequence[float]) -> Numbers:
        """Return the pixels of values on the x axis."""
        return positions_in(self._x, values, self.box[0], self.box[2] - self.box[0])

    def y(self, values: Numbers | Sequence[float]) -> Numbers:
        """Return the pixels of values on the y axis, which goes up."""
        return positions_in(self._y, values, self.box[3], self.box[1] - self.box[3])

    def base(self, *, vertical: bool) -> float:
        """Return where bars start that have no base: 0, or the start of a log axis."""
        axis: Axis = self._y if vertical else self._x
        return axis.limits[0] if axis.log else 0.0

    def near(self, x: Numbers, y: Numbers, margin: float = 1.0) -> npt.NDArray[np.int64]:
        """Return the positions of the points that are inside the axes or on their edge."""
        left, top, right, bottom = self.box
        inside = (x >= left - margin) & (x <= right + margin) & (y >= top - margin) & (y <= bottom + margin)
        return np.flatnonzero(inside).astype(np.int64)


def draw_mark(mark: Mark, scale: PanelScale, names: Mapping[str, str]) -> str:
    """Return the elements of a mark.

    Args:
        mark: the mark.
        scale: the scales of its panel.
        names: the text to show for each label.
    """
    if isinstance(mark, Line):
        return _line(mark, scale, names)
    if isinstance(mark, Points):
        return _points(mark, scale)
    if isinstance(mark, Band):
        return _band(mark, scale)
    if isinstance(mark, Bars):
        return _bars(mark, scale)
    if isinstance(mark, Box):
        return _box(mark, scale)
    if isinstance(mark, Heat):
        return _heat(mark, scale)
    return _texts(mark, scale)


def _line(mark: Line, scale: PanelScale, names: Mapping[str, str]) -> str:
    x, y = cut_line(*reduce_to_pixels(scale.x(mark.x), scale.y(mark.y)), scale.box)
    path = _path(x, y)
    if not path:
        return ""
    return element(
        "path",
        class_="line",
        data_runs=run_ids([mark.runs]),
        data_label=names[mark.label] if mark.label else "",
        d=path,
        fill="none",
        stroke=mark.colour,
        stroke_width=mark.width,
        stroke_linejoin="round",
        stroke_linecap="butt" if mark.dash != "solid" else "round",
        stroke_dasharray=DASHES[mark.dash],
    )


def _path(x: Numbers, y: Numbers, *, closed: bool = False) -> str:
    """Return the path of a line with gaps, such as `M1 2l2 2 2-3`; a point by itself is a line of length 0.

    After the first point of a stretch each is written as its distance from the one before, which takes a third less.
    """
    parts = []
    for stretch in stretches(x, y):
        points = np.rint(np.column_stack((x[stretch], y[stretch])) * 10).astype(np.int64)
        points = points[np.r_[True, (points[1:] != points[:-1]).any(axis=1)]]
        first_x, first_y = map(tenths, points[0].tolist())
        steps = np.diff(points if len(points) > 1 else np.repeat(points, 2, axis=0), axis=0)
        moves = " ".join(map(tenths, steps.ravel().tolist())).replace(" -", "-")
        parts.append(f"M{first_x} {first_y}l{moves}{'Z' if closed else ''}")
    return "".join(parts)


def _band(mark: Band, scale: PanelScale) -> str:
    x, low, high = scale.x(mark.x), scale.y(mark.low), scale.y(mark.high)
    path = ""
    for stretch in stretches(x, low, high):
        outline = np.concatenate((x[stretch], x[stretch][::-1])), np.concatenate((low[stretch], high[stretch][::-1]))
        path += _path(*cut_area(*outline, scale.box), closed=True)
    if not path:
        return ""
    runs = run_ids([mark.runs])
    return element("path", class_="band", data_runs=runs, d=path, fill=mark.colour, fill_opacity=f"{mark.opacity:g}")


def _points(mark: Points, scale: PanelScale) -> str:
    """Return the points inside the axes; others have no place in the panel."""
    x, y = scale.x(mark.x), scale.y(mark.y)
    parts = []
    for place in scale.near(x, y).tolist():
        colour = mark.colours[place if len(mark.colours) > 1 else 0]
        title = element("title", xml_text(label_text(mark.texts[place]))) if mark.texts else ""
        common: dict[str, str | float] = {
            "class_": f"point {mark.symbol}",
            "data_runs": run_ids([mark.runs[place]]) if mark.runs else "",
        }
        if mark.symbol == "circle":
            parts.append(element("circle", title, **common, cx=x[place], cy=y[place], r=mark.size / 2, fill=colour))
        elif mark.symbol == "ring":
            radius = mark.size / 2 - 0.5
            parts.append(
                element("circle", title, **common, cx=x[place], cy=y[place], r=radius, fill="#FFFFFF", stroke=colour)
            )
        else:
            arm = number(mark.size * 0.4)
            cross = element("path", d=f"M-{arm} -{arm}L{arm} {arm}M-{arm} {arm}L{arm} -{arm}", stroke=colour)
            parts.append(element("svg", title + cross, **common, x=x[place], y=y[place], overflow="visible"))
    if not parts:
        return ""
    outline: dict[str, str | float] = {}
    if mark.symbol == "circle" and mark.size > _NO_OUTLINE:
        outline = {"stroke": "#FFFFFF", "stroke_width": 0.8}
    elif mark.symbol == "ring":
        outline = {"stroke_width": 1.8}
    elif mark.symbol == "x":
        outline = {"stroke_width": 2}
    opacity = f"{mark.opacity:g}" if mark.opacity < 1 else ""
    return element("g", "".join(parts), class_="points", opacity=opacity, **outline)


def _bars(mark: Bars, scale: PanelScale) -> str:
    base = np.full(len(mark.at), scale.base(vertical=mark.vertical)) if mark.base is None else mark.base
    along, across = (scale.y, scale.x) if mark.vertical else (scale.x, scale.y)
    half = mark.thickness / 2
    ends = along(base), along(mark.ends), across(mark.at - half), across(mark.at + half)
    parts = []
    for place in np.flatnonzero(np.isfinite(np.add.reduce(ends))).tolist():
        start, end, side, other = (float(value[place]) for value in ends)
        corners = (side, start, other, end) if mark.vertical else (start, side, end, other)
        title = element("title", xml_text(label_text(mark.texts[place]))) if mark.texts else ""
        runs = run_ids([mark.runs[place]]) if mark.runs else ""
        colour = mark.colours[place if len(mark.colours) > 1 else 0]
        parts.append(_rect(corners, scale.box, title, class_="bar", data_runs=runs, fill=colour))
    bars = "".join(parts)
    return element("g", bars, class_="bars", stroke="#FFFFFF", stroke_width=0.5) if bars else ""


def _rect(
    corners: tuple[float, float, float, float], box: clipping.Box, content: str = "", **attributes: str | float
) -> str:
    """Return the part of a rectangle that is inside the box; "" if there is none."""
    left, top, right, bottom = box
    (x0, x1), (y0, y1) = sorted(corners[::2]), sorted(corners[1::2])
    x0, x1, y0, y1 = max(x0, left), min(x1, right), max(y0, top), min(y1, bottom)
    if x1 < x0 or y1 < y0:
        return ""
    return element("rect", content, x=x0, y=y0, width=x1 - x0, height=y1 - y0, **attributes)


def _box(mark: Box, scale: PanelScale) -> str:
    half = _BOX_WIDTH / 2
    left, cap_left, middle, cap_right, right = scale.x(
        mark.position + np.array([-half, -half / 2, 0, half / 2, half])
    ).tolist()
    low, q1, median, q3, high = scale.y([mark.low, mark.q1, mark.median, mark.q3, mark.high]).tolist()
    lines = [
        (middle, low, middle, q1), (middle, q3, middle, high), (cap_left, low, cap_right, low),
        (cap_left, high, cap_right, high), (left, median, right, median),
    ]  # fmt: skip
    rect = _rect((left, q1, right, q3), scale.box, class_="box", fill=mark.colour)
    parts = [rect, *(element("line", x1=x1, y1=y1, x2=x2, y2=y2) for x1, y1, x2, y2 in lines)]
    runs = run_ids([mark.runs])
    return element("g", "".join(parts), class_="box-plot", data_runs=runs, stroke=QUIET, stroke_width=1.2)


def _heat(mark: Heat, scale: PanelScale) -> str:
    x, y = scale.x(mark.x_edges).tolist(), scale.y(mark.y_edges).tolist()
    finite = mark.values[np.isfinite(mark.values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    parts = []
    for row, column in zip(*(places.tolist() for places in np.nonzero(np.isfinite(mark.values))), strict=True):
        value = float(mark.values[row, column])
        title = element("title", xml_text(f"{value:.6g}"))
        corners = x[column], y[row], x[column + 1], y[row + 1]
        parts.append(_rect(corners, scale.box, title, class_="cell", fill=heat_colour(value, low, high)))
    return element("g", "".join(parts), class_="cells") if parts else ""


def _texts(mark: Texts, scale: PanelScale) -> str:
    x, y = scale.x(mark.x), scale.y(mark.y)
    parts = [
        text_element(label_text(mark.texts[place]), x[place], y[place], class_="label", dx=offset, dy=4)
        if (offset := _TEXT_OFFSETS[mark.align])
        else text_element(label_text(mark.texts[place]), x[place], y[place], class_="label", dy=4)
        for place in scale.near(x, y).tolist()
    ]
    if not parts:
        return ""
    return element(
        "g", "".join(parts), class_="labels", fill=mark.colour, font_size=SMALL_SIZE, text_anchor=_ANCHORS[mark.align]
    )
