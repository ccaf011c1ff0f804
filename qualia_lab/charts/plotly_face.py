"""A chart as plotly's JSON, written by hand: the kernel never imports plotly."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.charts.colours import GRID, HEAT, INK, QUIET
from qualia_lab.charts.frame import (
    COLOUR_BAR,
    EDGE,
    PANEL_TITLE,
    SMALL_SIZE,
    TEXT_SIZE,
    TITLE_SIZE,
    label_text,
    shows_y_ticks,
    take_frame,
    tick_texts,
)
from qualia_lab.charts.marks import Band, Bars, Box, Heat, Line, Texts

if TYPE_CHECKING:
    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.frame import Frame
    from qualia_lab.charts.marks import Axis, Mark, Numbers

FONT = "DejaVu Sans, Verdana, Helvetica Neue, Arial, sans-serif"
# plotly.js 4 offers to send a figure to its maker's server unless told not to.
_CONFIG = {"displaylogo": False, "showTips": False, "showSendToCloud": False, "plotlyServerURL": ""}
_LARGE = 64  # from so many numbers on they are packed
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})


def plotly_figure(chart: Chart) -> dict[str, Any]:
    """The figure as plotly.js takes it: finite JSON only, every text escaped."""
    frame = take_frame(chart)
    layout: dict[str, Any] = {
        "width": frame.width,
        "height": frame.height,
        "margin": {"l": frame.left, "r": frame.right, "t": frame.top, "b": frame.bottom, "pad": 0},
        "font": {"family": FONT, "size": SMALL_SIZE, "color": QUIET},
        "paper_bgcolor": "#FFFFFF",
        "plot_bgcolor": "#FFFFFF",
        "hovermode": "closest",
        "hoverlabel": {"namelength": -1},
        "title": {
            "text": plotly_text(frame.title),
            "font": {"size": TITLE_SIZE, "color": INK, "weight": 700},
            "x": EDGE / frame.width,
            "xanchor": "left",
            "y": 1 - EDGE / frame.height,
            "yanchor": "top",
        },
        "legend": {
            "x": 1 + 12 / (frame.width - frame.left - frame.right),
            "y": 1,
            "traceorder": "reversed",
            "font": {"size": SMALL_SIZE, "color": INK},
            "bgcolor": "rgba(0,0,0,0)",
        },
        "showlegend": True,
        "annotations": [_note(frame, titled=any(panel.title for panel in chart.panels))] if frame.note else [],
    }
    data = []
    named: set[str] = set()
    for index, panel in enumerate(chart.panels):
        number = "" if index == 0 else str(index + 1)
        x, y = _axis(panel.x, frame.x_labels[index]), _axis(panel.y, label_text(panel.y.label))
        layout[f"xaxis{number}"] = x | {"domain": list(frame.spans[index]), "anchor": f"y{number}"}
        layout[f"yaxis{number}"] = y | {"domain": list(frame.rises[index]), "anchor": f"x{number}"}
        if not shows_y_ticks(chart, index):
            layout[f"yaxis{number}"] |= {"showticklabels": False, "title": {"text": ""}}
        first = next(place for place, other in enumerate(chart.panels) if other.y == panel.y)
        if index != first and chart.shared_y:
            layout[f"yaxis{number}"]["matches"] = "y" if first == 0 else f"y{first + 1}"
        if panel.title:
            layout["annotations"].append(_panel_title(panel.title, number))
        for mark in panel.marks:
            trace = _trace(mark, frame) | {"xaxis": f"x{number}", "yaxis": f"y{number}"}
            if trace.get("showlegend"):
                # A name stands in the legend once, and hides its marks in every panel.
                trace |= {"legendgroup": trace["name"], "showlegend": trace["name"] not in named}
                named.add(trace["name"])
            data.append(trace)
    return {"data": data, "layout": layout, "config": _CONFIG}


def plotly_text(text: str) -> str:
    """Text that plotly shows as it is: its pseudo-HTML and its TeX are spelled as references."""
    return text.translate(_ESCAPES)


def plain(numbers: Numbers) -> list[float | int | None] | dict[str, str]:
    """Numbers as JSON can hold them: few as a list with null for NaN, many packed in base64."""
    if len(numbers) < _LARGE:
        return [_number(value) for value in numbers.tolist()]
    kind = "f8"
    with np.errstate(all="ignore"):
        finite = np.abs(numbers[np.isfinite(numbers)])
        if np.array_equal(numbers, np.floor(numbers)) and finite.size and finite.max() < 2**31:
            kind = "i4"  # steps
        elif not finite.size or (finite.max() < 1e38 and finite[finite > 0].min(initial=1) > 1e-37):
            kind = "f4"
    return {"dtype": kind, "bdata": base64.b64encode(numbers.astype(f"<{kind}").tobytes()).decode()}


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _trace(mark: Mark, frame: Frame) -> dict[str, Any]:
    """One mark as a trace."""
    if isinstance(mark, Band):
        return _band(mark)
    if isinstance(mark, Bars):
        return _bars(mark, frame)
    if isinstance(mark, Heat):
        return _heat(mark, frame)
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
            "line": {"color": QUIET, "width": 1.2},
            "fillcolor": mark.colour,
            "hoverinfo": "y",
            "showlegend": False,
        }
    trace: dict[str, Any] = {
        "type": "scatter",
        "x": plain(mark.x),
        "y": plain(mark.y),
        "name": plotly_text(frame.entries[mark.label]),
        "showlegend": bool(mark.label) and mark.in_legend,
    }
    if isinstance(mark, Line):
        trace |= {
            "mode": "lines",
            "line": {"color": mark.colour, "dash": mark.dash, "width": mark.width},
            "connectgaps": False,
        }
        if mark.hover:
            # Names stand in the trace and the axes: a template would read a `%{…}` in them.
            trace["hovertemplate"] = (
                "%{fullData.name}<br>%{xaxis.title.text} %{x}<br>%{yaxis.title.text} %{y:.6g}<extra></extra>"
            )
        else:
            trace["hoverinfo"] = "skip"
        return trace
    colours = mark.colours if len(mark.colours) > 1 else mark.colours[0]
    outline = {"color": "#FFFFFF", "width": 0.8} if mark.symbol == "circle" else {"width": 0}
    trace |= {
        "mode": "markers",
        "marker": {
            "color": colours,
            "symbol": mark.symbol,
            "size": mark.size,
            "opacity": mark.opacity,
            "line": outline,
        },
        "cliponaxis": False,  # a mark at the edge of the axes is seen whole
    }
    if mark.texts:
        trace |= {"hovertext": [plotly_text(label_text(text)) for text in mark.texts], "hoverinfo": "text"}
    return trace


def _band(mark: Band) -> dict[str, Any]:
    """Forth along the lower curve and back along the upper one, for each stretch in which both are there."""
    x: list[Numbers] = []
    y: list[Numbers] = []
    there = np.isfinite(mark.low) & np.isfinite(mark.high) & np.isfinite(mark.x)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], there, [False])).astype(np.int8)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        x += [mark.x[start:end], mark.x[start:end][::-1], np.array([np.nan])]
        y += [mark.low[start:end], mark.high[start:end][::-1], np.array([np.nan])]
    empty: Numbers = np.array([], dtype=np.float64)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": plain(np.concatenate(x) if x else empty),
        "y": plain(np.concatenate(y) if y else empty),
        "fill": "toself",
        "fillcolor": _clear(mark.colour, mark.opacity),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _bars(mark: Bars, frame: Frame) -> dict[str, Any]:
    base = np.zeros(len(mark.at)) if mark.base is None else mark.base
    lengths = plain(mark.ends - base)
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "v" if mark.standing else "h",
        "x": plain(mark.at) if mark.standing else lengths,
        "y": lengths if mark.standing else plain(mark.at),
        "base": plain(base),
        "width": mark.thick,
        "marker": {
            "color": list(mark.colours) if len(mark.colours) > 1 else mark.colours[0],
            "line": {"color": "#FFFFFF", "width": 0.5},
        },
        "name": plotly_text(frame.entries[mark.label]),
        "showlegend": bool(mark.label),
    }
    if mark.texts:
        trace |= {
            "hovertext": [plotly_text(label_text(text)) for text in mark.texts],
            "hoverinfo": "text",
            "textposition": "none",
        }
    return trace


def _heat(mark: Heat, frame: Frame) -> dict[str, Any]:
    return {
        "type": "heatmap",
        "x": plain(mark.x_edges),
        "y": plain(mark.y_edges),
        "z": [[_number(value) for value in row] for row in mark.values.tolist()],
        "colorscale": HEAT,
        "hoverongaps": False,
        "hovertemplate": "%{z:.6g}<extra></extra>",
        "showlegend": False,
        "colorbar": {
            "title": {"text": plotly_text(label_text(mark.label)), "side": "right", "font": {"color": INK}},
            "thickness": COLOUR_BAR,
            "len": 1,
            "outlinewidth": 0,
            "x": 1 + 12 / (frame.width - frame.left - frame.right),
            "xpad": 0,
            "ypad": 0,
            "nticks": 7,
        },
    }


def _texts(mark: Texts) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "text",
        "x": plain(mark.x),
        "y": plain(mark.y),
        "text": [plotly_text(label_text(text)) for text in mark.texts],
        "textposition": f"middle {_TEXT_SIDES[mark.align]}",
        "textfont": {"size": SMALL_SIZE, "color": mark.colour},
        "hoverinfo": "skip",
        "cliponaxis": False,
        "showlegend": False,
    }


# Text that is aligned to its left end stands right of its point.
_TEXT_SIDES = {"left": "right", "center": "center", "right": "left"}


def _clear(colour: str, opacity: float) -> str:
    """`#0072B2` as a colour that lets the grid through."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def _panel_title(title: str, number: str) -> dict[str, Any]:
    return {
        "text": plotly_text(label_text(title)),
        "xref": f"x{number} domain",
        "yref": f"y{number} domain",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": TEXT_SIZE, "color": INK},
    }


def _axis(axis: Axis, label: str) -> dict[str, Any]:
    low, high = axis.limits
    drawn: dict[str, Any] = {
        "title": {
            "text": plotly_text(label),
            "font": {"size": TEXT_SIZE, "color": INK},
            "standoff": 6,
        },
        "type": "log" if axis.log else "linear",
        "range": [math.log10(low), math.log10(high)] if axis.log else [low, high],
        "gridcolor": GRID,
        "gridwidth": 1,
        "zeroline": False,
        "showline": False,
        "ticks": "",
    }
    if axis.ticks:
        drawn |= {
            "tickmode": "array",
            "tickvals": [position for position, _ in axis.ticks],
            "ticktext": [plotly_text(text) for text in tick_texts(axis)],
        }
    else:
        drawn |= {"nticks": 7, "exponentformat": "e"}
    return drawn


def _note(frame: Frame, *, titled: bool) -> dict[str, Any]:
    return {
        "text": "<br>".join(plotly_text(line) for line in frame.note),
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 1,
        "xshift": EDGE - frame.left,
        "yshift": 8 + (PANEL_TITLE if titled else 0),
        "xanchor": "left",
        "yanchor": "bottom",
        "align": "left",
        "showarrow": False,
        "font": {"size": SMALL_SIZE, "color": QUIET},
    }
