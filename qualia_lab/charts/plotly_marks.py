"""Render the marks of a chart as traces of plotly, with every text escaped."""

from __future__ import annotations

import base64
import math
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.charts.colours import FILL, GRID, HEAT, INK, PALETTE, QUIET, REST
from qualia_lab.charts.layout import COLOUR_BAR, SMALL_SIZE, label_text
from qualia_lab.charts.marks import Band, Bars, Box, Heat, Line, Texts
from qualia_lab.charts.simplify import joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.charts.layout import Layout
    from qualia_lab.charts.marks import Mark, Numbers

# A figure of plotly does not know whether the theme around it is light or dark: its paper is transparent, and these
# colours of the SVG, which are for white paper, are replaced by others that are readable on both.
TEXT_COLOUR = "#737982"  # contrast 4.4 on white and 4.3 on the paper of JupyterLab's dark theme
_ON_ANY_PAPER = {
    INK: TEXT_COLOUR,
    QUIET: TEXT_COLOUR,
    GRID: "rgba(128,136,146,0.25)",
    REST: "rgba(128,136,146,0.5)",
    FILL: "rgba(0,114,178,0.15)",
    PALETTE[-1]: "#808080",
}
_OUTLINE = "rgba(255,255,255,0.6)"  # between marks that lie on each other
_ENCODED_FROM = 8  # arrays of this length or more are base64-encoded
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})


def plotly_text(text: str) -> str:
    """Escape a text so that plotly shows it literally, not as its pseudo-HTML or TeX."""
    return text.translate(_ESCAPES)


def encoded(numbers: Numbers) -> list[float | int | None] | dict[str, str]:
    """Encode numbers for plotly: short arrays as a list with null for NaN, long ones in base64."""
    if len(numbers) < _ENCODED_FROM:
        return [_number(value) for value in numbers.tolist()]
    dtype = "f8"
    with np.errstate(all="ignore"):
        finite = np.abs(numbers[np.isfinite(numbers)])
        if np.array_equal(numbers, np.floor(numbers)) and finite.size and finite.max() < 2**31:
            dtype = "i1" if finite.max() < 2**7 else "i2" if finite.max() < 2**15 else "i4"  # steps
        elif not finite.size or (finite.max() < 1e38 and finite[finite > 0].min(initial=1) > 1e-37):
            dtype = "f4"
    return {"dtype": dtype, "bdata": base64.b64encode(numbers.astype(f"<{dtype}").tobytes()).decode()}


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def fewer(marks: Sequence[Mark]) -> Iterator[Mark]:
    """Yield the marks, neighbouring lines of one style without hover texts as one: each trace costs plotly time."""
    for _, group in groupby(enumerate(marks), key=_style_of):
        same = [mark for _, mark in group]
        lines = [mark for mark in same if isinstance(mark, Line)]
        yield joined(lines) if len(lines) > 1 else same[0]


def _style_of(numbered: tuple[int, Mark]) -> tuple[object, ...]:
    """Return what neighbouring lines have to share to be drawn as one; unique for other marks."""
    place, mark = numbered
    if not isinstance(mark, Line) or mark.hover:
        return (place,)
    return mark.colour, mark.dash, mark.width, mark.label, mark.in_legend


def plotly_trace(mark: Mark, layout: Layout) -> dict[str, Any]:
    """Return a mark as a plotly trace."""
    if isinstance(mark, Band):
        return _band(mark)
    if isinstance(mark, Bars):
        return _bars(mark, layout)
    if isinstance(mark, Heat):
        return _heat(mark, layout)
    if isinstance(mark, Texts):
        return _texts(mark)
    if isinstance(mark, Box):
        return {
            "type": "box",
            "x": [mark.position],
            "lowerfence": [mark.low],
            "q1": [mark.q1],
            "median": [mark.median],
            "q3": [mark.q3],
            "upperfence": [mark.high],
            "width": 0.5,
            "line": {"color": TEXT_COLOUR, "width": 1.2},
            "fillcolor": plotly_colour(mark.colour),
            "hoverinfo": "y",
            "showlegend": False,
        }
    trace: dict[str, Any] = {
        "type": "scatter",
        "x": encoded(mark.x),
        "y": encoded(mark.y),
        "name": plotly_text(layout.legend_texts[mark.label]),
        "showlegend": bool(mark.label) and mark.in_legend and not layout.end_labels,
    }
    if isinstance(mark, Line):
        trace |= {
            "mode": "lines",
            "line": {"color": plotly_colour(mark.colour), "dash": mark.dash, "width": mark.width},
        }
        if mark.hover:
            # Names are taken from the trace and the axes; in a template, a `%{…}` in them would be evaluated.
            trace["hovertemplate"] = (
                "%{fullData.name}<br>%{xaxis.title.text} %{x}<br>%{yaxis.title.text} %{y:.6g}<extra></extra>"
            )
        else:
            trace["hoverinfo"] = "skip"
        return trace
    colours = [*map(plotly_colour, mark.colours)] if len(mark.colours) > 1 else plotly_colour(mark.colours[0])
    outline = {"circle": {"color": _OUTLINE, "width": 0.8}, "ring": {"width": 1.8}}.get(mark.symbol, {"width": 0})
    trace |= {
        "mode": "markers",
        "marker": {
            "color": colours,
            "symbol": "circle-open" if mark.symbol == "ring" else mark.symbol,
            "size": mark.size,
            "opacity": mark.opacity,
            "line": outline,
        },
        "cliponaxis": False,  # do not clip marks at the edge of the axes
    }
    if mark.texts:
        trace |= {"hovertext": [plotly_text(label_text(text)) for text in mark.texts], "hoverinfo": "text"}
    return trace


def legend_entry(trace: Mapping[str, Any], colour: str) -> dict[str, Any]:
    """Return a trace without points, which is in the legend for traces of several colours."""
    kept = ("type", "mode", "name", "legendgroup", "xaxis", "yaxis", "orientation")
    entry = {name: trace[name] for name in kept if name in trace}
    entry |= {name: trace[name] | {"color": plotly_colour(colour)} for name in ("line", "marker") if name in trace}
    return entry | {"x": [None], "y": [None], "hoverinfo": "skip", "showlegend": True}


def _band(mark: Band) -> dict[str, Any]:
    """Return a band as closed polygons, one for each stretch in which both curves are finite."""
    x: list[Numbers] = []
    y: list[Numbers] = []
    finite = np.isfinite(mark.low) & np.isfinite(mark.high) & np.isfinite(mark.x)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], finite, [False])).astype(np.int8)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        x += [mark.x[start:end], mark.x[start:end][::-1], np.array([np.nan])]
        y += [mark.low[start:end], mark.high[start:end][::-1], np.array([np.nan])]
    empty: Numbers = np.array([], dtype=np.float64)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": encoded(np.concatenate(x) if x else empty),
        "y": encoded(np.concatenate(y) if y else empty),
        "fill": "toself",
        "fillcolor": _rgba(mark.colour, mark.opacity),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _bars(mark: Bars, layout: Layout) -> dict[str, Any]:
    base = np.zeros(len(mark.at)) if mark.base is None else mark.base
    lengths = encoded(mark.ends - base)
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "v" if mark.vertical else "h",
        "x": encoded(mark.at) if mark.vertical else lengths,
        "y": lengths if mark.vertical else encoded(mark.at),
        "base": encoded(base),
        "width": mark.thickness,
        "marker": {
            "color": [*map(plotly_colour, mark.colours)] if len(mark.colours) > 1 else plotly_colour(mark.colours[0]),
            "line": {"color": _OUTLINE, "width": 0.5},
        },
        "name": plotly_text(layout.legend_texts[mark.label]),
        "showlegend": bool(mark.label),
    }
    if mark.texts:
        trace |= {
            "hovertext": [plotly_text(label_text(text)) for text in mark.texts],
            "hoverinfo": "text",
            "textposition": "none",
        }
    return trace


def _heat(mark: Heat, layout: Layout) -> dict[str, Any]:
    return {
        "type": "heatmap",
        "x": encoded(mark.x_edges),
        "y": encoded(mark.y_edges),
        "z": [[_number(value) for value in row] for row in mark.values.tolist()],
        "colorscale": HEAT,
        "hoverongaps": False,
        "hovertemplate": "%{z:.6g}<extra></extra>",
        "showlegend": False,
        "colorbar": {
            "title": {"text": plotly_text(label_text(mark.label)), "side": "right", "font": {"color": TEXT_COLOUR}},
            "thickness": COLOUR_BAR,
            "len": 1,
            "outlinewidth": 0,
            "x": 1 + 12 / (layout.width - layout.left - layout.right),
            "xpad": 0,
            "ypad": 0,
            "nticks": 7,
        },
    }


def _texts(mark: Texts) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "text",
        "x": encoded(mark.x),
        "y": encoded(mark.y),
        "text": [plotly_text(label_text(text)) for text in mark.texts],
        "textposition": f"middle {_TEXT_SIDES[mark.align]}",
        "textfont": {"size": SMALL_SIZE, "color": plotly_colour(mark.colour)},
        "hoverinfo": "skip",
        "cliponaxis": False,
        "showlegend": False,
    }


# Left-aligned text is right of its point.
_TEXT_SIDES = {"left": "right", "center": "center", "right": "left"}


def plotly_colour(colour: str) -> str:
    """Return the colour that stands for one of the SVG where the paper may be dark."""
    return _ON_ANY_PAPER.get(colour, colour)


def _rgba(colour: str, opacity: float) -> str:
    """Return a colour such as `#0072B2` as rgba with the given opacity."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
