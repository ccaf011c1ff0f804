"""Render a chart as plotly JSON, written directly so that the kernel never imports plotly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.charts.colours import GRID
from qualia_lab.charts.end_labels import BESIDE, LEADER
from qualia_lab.charts.layout import (
    EDGE,
    PANEL_TITLE_LINE,
    SMALL_SIZE,
    TEXT_SIZE,
    TITLE_SIZE,
    colours_of,
    compute_layout,
    legend_colours,
    shows_y_ticks,
)
from qualia_lab.charts.marks import Bars, Line, Points
from qualia_lab.charts.plotly_marks import TEXT_COLOUR, fewer, legend_entry, plotly_colour, plotly_text, plotly_trace

if TYPE_CHECKING:
    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.end_labels import EndLabel
    from qualia_lab.charts.layout import Layout
    from qualia_lab.charts.marks import Axis, Panel
    from qualia_lab.charts.ticks import Tick

_NO_PAPER = "rgba(0,0,0,0)"
FONT = "DejaVu Sans, Verdana, Helvetica Neue, Arial, sans-serif"
# By default, plotly.js 4 offers to send a figure to Plotly's server.
_CONFIG = {"displaylogo": False, "showTips": False, "showSendToCloud": False, "plotlyServerURL": ""}
_EVERY_AXIS = {
    "title": {"font": {"size": TEXT_SIZE, "color": TEXT_COLOUR}, "standoff": 6},
    "gridcolor": plotly_colour(GRID),
    "gridwidth": 1,
    "zeroline": False,
    "showline": False,
    "ticks": "",
    "nticks": 7,
    "exponentformat": "e",
}


def plotly_figure(chart: Chart) -> dict[str, Any]:
    """Return the figure for plotly.js: JSON with finite numbers only and every text escaped."""
    layout = compute_layout(chart)
    plotly_layout: dict[str, Any] = {
        "width": layout.width,
        "height": layout.height,
        "margin": {"l": layout.left, "r": layout.right, "t": layout.top, "b": layout.bottom, "pad": 0},
        "font": {"family": FONT, "size": SMALL_SIZE, "color": TEXT_COLOUR},
        "paper_bgcolor": _NO_PAPER,
        "plot_bgcolor": _NO_PAPER,
        "hovermode": "closest",
        "hoverlabel": {"namelength": -1},
        "title": {
            "text": "<br>".join(map(plotly_text, layout.title)),
            "font": {"size": TITLE_SIZE, "color": TEXT_COLOUR, "weight": 700},
            "x": EDGE / layout.width,
            "xanchor": "left",
            "y": 1 - EDGE / layout.height,
            "yanchor": "top",
        },
        "legend": {
            "x": 1 + 12 / (layout.width - layout.left - layout.right),
            "y": 1,
            "traceorder": "reversed",
            "font": {"size": SMALL_SIZE, "color": TEXT_COLOUR},
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
        for mark in fewer(panel.marks):
            trace = plotly_trace(mark, layout) | {"xaxis": f"x{axis_suffix}", "yaxis": f"y{axis_suffix}"}
            if isinstance(mark, Line | Points | Bars) and trace["showlegend"]:
                # A name is in the legend once; clicking it hides its marks in every panel.
                trace |= {"legendgroup": trace["name"], "showlegend": False}
                if trace["name"] not in in_legend and colours_of(mark) == {colours[mark.label]}:
                    trace["showlegend"] = True
                elif trace["name"] not in in_legend:
                    data.append(legend_entry(trace, colours[mark.label]))
                in_legend.add(trace["name"])
            data.append(trace)
    return {"data": data, "layout": plotly_layout, "config": _CONFIG}


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
        "font": {"size": TEXT_SIZE, "color": TEXT_COLOUR},
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
        "arrowcolor": plotly_colour(label.line.colour),
        "font": {"size": SMALL_SIZE, "color": TEXT_COLOUR},
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
        "font": {"size": SMALL_SIZE, "color": TEXT_COLOUR},
    }
