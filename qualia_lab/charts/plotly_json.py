"""Render a chart as plotly JSON, written directly so that the kernel never imports plotly."""

from __future__ import annotations

import base64
import math
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.charts.colours import FILL, GRID, HEAT, INK, PALETTE, QUIET, REST
from qualia_lab.charts.end_labels import BESIDE, LEADER
from qualia_lab.charts.layout import (
    COLOUR_BAR,
    EDGE,
    PANEL_TITLE_LINE,
    SMALL_SIZE,
    TEXT_SIZE,
    TITLE_SIZE,
    colours_of,
    compute_layout,
    label_text,
    legend_colours,
    shows_y_ticks,
)
from qualia_lab.charts.marks import Band, Bars, Box, Heat, Line, Points, Texts
from qualia_lab.charts.simplify import joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.end_labels import EndLabel
    from qualia_lab.charts.layout import Layout
    from qualia_lab.charts.marks import Axis, Mark, Numbers, Panel
    from qualia_lab.charts.ticks import Tick

# A figure of plotly does not know whether the theme around it is light or dark: its paper is transparent, and these
# colours of the SVG, which are for white paper, are replaced by others that are readable on both.
_TEXT = "#737982"  # contrast 4.4 on white and 4.3 on the paper of JupyterLab's dark theme
_ON_ANY_PAPER = {
    INK: _TEXT,
    QUIET: _TEXT,
    GRID: "rgba(128,136,146,0.25)",
    REST: "rgba(128,136,146,0.5)",
    FILL: "rgba(0,114,178,0.15)",
    PALETTE[-1]: "#808080",
}
_OUTLINE = "rgba(255,255,255,0.6)"  # between marks that lie on each other
_NO_PAPER = "rgba(0,0,0,0)"
FONT = "DejaVu Sans, Verdana, Helvetica Neue, Arial, sans-serif"
# By default, plotly.js 4 offers to send a figure to Plotly's server.
_CONFIG = {"displaylogo": False, "showTips": False, "showSendToCloud": False, "plotlyServerURL": ""}
_EVERY_AXIS = {
    "title": {"font": {"size": TEXT_SIZE, "color": _TEXT}, "standoff": 6},
    "gridcolor": _ON_ANY_PAPER[GRID],
    "gridwidth": 1,
    "zeroline": False,
    "showline": False,
    "ticks": "",
    "nticks": 7,
    "exponentformat": "e",
}
_ENCODED_FROM = 8  # arrays of this length or more are base64-encoded
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})


def plotly_figure(chart: Chart) -> dict[str, Any]:
    """Return the figure for plotly.js: JSON with finite numbers only and every text escaped."""
    layout = compute_layout(chart)
    plotly_layout: dict[str, Any] = {
        "width": layout.width,
        "height": layout.height,
        "margin": {"l": layout.left, "r": layout.right, "t": layout.top, "b": layout.bottom, "pad": 0},
        "font": {"family": FONT, "size": SMALL_SIZE, "color": _TEXT},
        "paper_bgcolor": _NO_PAPER,
        "plot_bgcolor": _NO_PAPER,
        "hovermode": "closest",
        "hoverlabel": {"namelength": -1},
        "title": {
            "text": "<br>".join(map(plotly_text, layout.title)),
            "font": {"size": TITLE_SIZE, "color": _TEXT, "weight": 700},
            "x": EDGE / layout.width,
            "xanchor": "left",
            "y": 1 - EDGE / layout.height,
            "yanchor": "top",
        },
        "legend": {
            "x": 1 + 12 / (layout.width - layout.left - layout.right),
            "y": 1,
            "traceorder": "reversed",
            "font": {"size": SMALL_SIZE, "color": _TEXT},
            "bgcolor": _NO_PAPER,
        },
        "showlegend": True,
        # What all axes have in common is written once.
        "template": {"layout": {"xaxis": _EVERY_AXIS, "yaxis": _EVERY_AXIS}},
        "annotations": [
            *([_note(layout)] if layout.note else []),
            *(_end_label(one, layout, chart.panels[0]) for one in layout.end_labels),
        ],
    }
    data = []
    in_legend: set[str] = set()
    colours = legend_colours(chart)
    for index, panel in enumerate(chart.panels):
        axis_suffix = "" if index == 0 else str(index + 1)
        x = _axis(panel.x, layout.x_labels[index], layout.x_ticks[index])
        y = _axis(panel.y, (layout.y_labels[index],), layout.y_ticks[index])
        plotly_layout[f"xaxis{axis_suffix}"] = x | {"domain": list(layout.x_spans[index]), "anchor": f"y{axis_suffix}"}
        plotly_layout[f"yaxis{axis_suffix}"] = y | {"domain": list(layout.y_spans[index]), "anchor": f"x{axis_suffix}"}
        if not shows_y_ticks(chart, index):
            plotly_layout[f"yaxis{axis_suffix}"] |= {"showticklabels": False, "title": {"text": ""}}
        first_with_axis = next(place for place, other in enumerate(chart.panels) if other.y == panel.y)
        if index != first_with_axis and chart.shared_y:
            plotly_layout[f"yaxis{axis_suffix}"]["matches"] = "y" if first_with_axis == 0 else f"y{first_with_axis + 1}"
        if layout.panel_titles[index]:
            plotly_layout["annotations"].append(_panel_title(layout.panel_titles[index], axis_suffix))
        for mark in _fewer(panel.marks):
            trace = _trace(mark, layout) | {"xaxis": f"x{axis_suffix}", "yaxis": f"y{axis_suffix}"}
            if isinstance(mark, Line | Points | Bars) and trace["showlegend"]:
                # A name is in the legend once; clicking it hides its marks in every panel.
                trace |= {"legendgroup": trace["name"], "showlegend": False}
                if trace["name"] not in in_legend and colours_of(mark) == {colours[mark.label]}:
                    trace["showlegend"] = True
                elif trace["name"] not in in_legend:
                    data.append(_legend_entry(trace, colours[mark.label]))
                in_legend.add(trace["name"])
            data.append(trace)
    return {"data": data, "layout": plotly_layout, "config": _CONFIG}


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


def _fewer(marks: Sequence[Mark]) -> Iterator[Mark]:
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


def _trace(mark: Mark, layout: Layout) -> dict[str, Any]:
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
            "line": {"color": _TEXT, "width": 1.2},
            "fillcolor": _colour(mark.colour),
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
            "line": {"color": _colour(mark.colour), "dash": mark.dash, "width": mark.width},
        }
        if mark.hover:
            # Names are taken from the trace and the axes; in a template, a `%{…}` in them would be evaluated.
            trace["hovertemplate"] = (
                "%{fullData.name}<br>%{xaxis.title.text} %{x}<br>%{yaxis.title.text} %{y:.6g}<extra></extra>"
            )
        else:
            trace["hoverinfo"] = "skip"
        return trace
    colours = [*map(_colour, mark.colours)] if len(mark.colours) > 1 else _colour(mark.colours[0])
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


def _legend_entry(trace: Mapping[str, Any], colour: str) -> dict[str, Any]:
    """Return a trace without points, which is in the legend for traces of several colours."""
    kept = ("type", "mode", "name", "legendgroup", "xaxis", "yaxis", "orientation")
    entry = {name: trace[name] for name in kept if name in trace}
    entry |= {name: trace[name] | {"color": _colour(colour)} for name in ("line", "marker") if name in trace}
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
            "color": [*map(_colour, mark.colours)] if len(mark.colours) > 1 else _colour(mark.colours[0]),
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
            "title": {"text": plotly_text(label_text(mark.label)), "side": "right", "font": {"color": _TEXT}},
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
        "textfont": {"size": SMALL_SIZE, "color": _colour(mark.colour)},
        "hoverinfo": "skip",
        "cliponaxis": False,
        "showlegend": False,
    }


# Left-aligned text is right of its point.
_TEXT_SIDES = {"left": "right", "center": "center", "right": "left"}


def _colour(colour: str) -> str:
    """Return the colour that stands for one of the SVG where the paper may be dark."""
    return _ON_ANY_PAPER.get(colour, colour)


def _rgba(colour: str, opacity: float) -> str:
    """Return a colour such as `#0072B2` as rgba with the given opacity."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def _panel_title(lines: tuple[str, ...], number: str) -> dict[str, Any]:
    return {
        "text": "<br>".join(map(plotly_text, lines)),
        "align": "left",
        "xref": f"x{number} domain",
        "yref": f"y{number} domain",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": TEXT_SIZE, "color": _TEXT},
    }


def _end_label(label: EndLabel, layout: Layout, panel: Panel) -> dict[str, Any]:
    """Return the name of a line as an annotation at its end, which moves with it when the reader zooms."""
    last = np.flatnonzero(np.isfinite(label.line.x) & np.isfinite(label.line.y))[-1]
    x, y = float(label.line.x[last]), float(label.line.y[last])
    inner = layout.width - layout.left - layout.right
    return {
        "text": plotly_text(layout.legend_texts[label.line.label]),
        "x": math.log10(x) if panel.x.log else x,
        "y": math.log10(y) if panel.y.log else y,
        "ax": BESIDE if label.inside else LEADER + (1 - label.x) * inner,
        "ay": label.at - label.y,
        "xanchor": "left",
        "showarrow": True,
        "arrowhead": 0,
        "arrowwidth": 1,
        "arrowcolor": _colour(label.line.colour),
        "font": {"size": SMALL_SIZE, "color": _TEXT},
    }


def _axis(axis: Axis, label: tuple[str, ...], ticks: tuple[Tick, ...]) -> dict[str, Any]:
    low, high = axis.limits
    plotly_axis: dict[str, Any] = {
        "title": {"text": "<br>".join(map(plotly_text, label))},
        "type": "log" if axis.log else "linear",
        "range": [math.log10(low), math.log10(high)] if axis.log else [low, high],
    }
    if axis.ticks:
        plotly_axis |= {
            "tickmode": "array",
            "tickvals": [tick.position for tick in ticks],
            "ticktext": ["<br>".join(map(plotly_text, tick.lines)) for tick in ticks],
        }
    return plotly_axis


def _note(layout: Layout) -> dict[str, Any]:
    panel_title = PANEL_TITLE_LINE * max(map(len, layout.panel_titles)) + 8 if any(layout.panel_titles) else 0
    return {
        "text": "<br>".join(plotly_text(line) for line in layout.note),
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 1,
        "xshift": EDGE - layout.left,
        "yshift": 8 + panel_title,
        "xanchor": "left",
        "yanchor": "bottom",
        "align": "left",
        "showarrow": False,
        "font": {"size": SMALL_SIZE, "color": _TEXT},
    }
