"""A chart as plotly's JSON, written by hand: the kernel never imports plotly."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.charts.chart import Box, Line
from qualia_lab.charts.colours import GRID, INK, QUIET
from qualia_lab.charts.frame import EDGE, SMALL_SIZE, TEXT_SIZE, TITLE_SIZE, entry_text, label_text, take_frame

if TYPE_CHECKING:
    from qualia_lab.charts.chart import Axis, Chart, Mark, Numbers
    from qualia_lab.charts.frame import Frame

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
        "annotations": [_note(frame)] if frame.note else [],
    }
    data = []
    for index, (panel, span) in enumerate(zip(chart.panels, frame.spans, strict=True)):
        number = "" if index == 0 else str(index + 1)
        layout[f"xaxis{number}"] = _axis(panel.x) | {"domain": list(span), "anchor": f"y{number}"}
        layout[f"yaxis{number}"] = _axis(panel.y) | {"anchor": f"x{number}"}
        if index:
            layout[f"yaxis{number}"] |= {"showticklabels": False, "title": {"text": ""}, "matches": "y"}
        data += [_trace(mark) | {"xaxis": f"x{number}", "yaxis": f"y{number}"} for mark in panel.marks]
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


def _trace(mark: Mark) -> dict[str, Any]:
    """One mark as a trace."""
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
        "name": plotly_text(entry_text(mark.label)),
        "showlegend": bool(mark.label),
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


def _axis(axis: Axis) -> dict[str, Any]:
    low, high = axis.limits
    drawn: dict[str, Any] = {
        "title": {
            "text": plotly_text(label_text(axis.label)),
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
            "ticktext": [plotly_text(label_text(text)) for _, text in axis.ticks],
        }
    else:
        drawn |= {"nticks": 7, "exponentformat": "e"}
    return drawn


def _note(frame: Frame) -> dict[str, Any]:
    return {
        "text": "<br>".join(plotly_text(line) for line in frame.note),
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 1,
        "xshift": EDGE - frame.left,
        "yshift": 8,
        "xanchor": "left",
        "yanchor": "bottom",
        "align": "left",
        "showarrow": False,
        "font": {"size": SMALL_SIZE, "color": QUIET},
    }
