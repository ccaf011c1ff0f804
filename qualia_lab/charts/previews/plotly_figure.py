"""Plotly figures converted to charts: lines, points, bars, histograms and heat maps; other kinds are not drawn."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.charts.marks import Axis, Heat, Panel
from qualia_lab.charts.previews.series_panels import Series, chart_of_panels, panel_of_series
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.chart import Chart

_PANELS = 6
_CELLS = 250_000
# The `dtype` values of plotly 6 for base64-encoded numbers, all little-endian.
_DTYPES = {"i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"}
_TAG = re.compile(r"<[^<>]{0,200}>")


def plotly_chart(traces: Sequence[dict[str, Any]], layout: dict[str, Any]) -> Chart | None:
    """Convert a figure to a chart; None if it has an unsupported trace. Raises ValueError for invalid data."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for trace in traces:
        groups.setdefault((str(trace.get("xaxis", "x")), str(trace.get("yaxis", "y"))), []).append(trace)
    panels = []
    for (x_axis, y_axis), group in list(groups.items())[:_PANELS]:
        x_label, y_label = _axis_title(layout, "xaxis", x_axis), _axis_title(layout, "yaxis", y_axis)
        panel = _panel(group, x_label, y_label)
        if panel is None:
            return None
        panels.append(panel)
    title = _title(layout.get("title")) or "a figure without a title"
    left_out = f", showing {_PANELS} of {len(groups)} pairs of axes" if len(groups) > _PANELS else ""
    return chart_of_panels(panels, title, f"{title}: {len(traces)} traces{left_out}")


def _panel(traces: Sequence[dict[str, Any]], x_label: str, y_label: str) -> Panel | None:
    if len(traces) == 1 and traces[0].get("type") == "heatmap":
        return _heat(traces[0], x_label, y_label)
    series = [_series(trace, index) for index, trace in enumerate(traces)]
    return panel_of_series([one for one in series if one], x_label, y_label) if all(series) else None


def _series(trace: dict[str, Any], index: int) -> Series | None:
    """Convert a trace to a series; None if its kind is unsupported."""
    kind = trace.get("type") or "scatter"
    x, y = _values(trace.get("x")), _values(trace.get("y"))
    name = _plain(str(trace.get("name") or f"trace {index + 1}"))
    if kind in ("scatter", "scattergl"):
        mode = str(trace.get("mode") or ("lines+markers" if len(y) < 20 else "lines"))
        series_kind = "both" if "lines" in mode and "markers" in mode else "points" if "markers" in mode else "line"
        return Series(name, x or range(len(y)), y, series_kind)
    if kind == "bar":
        horizontal = trace.get("orientation") == "h"
        if horizontal:
            return Series(name, x, y or range(len(x)), "horizontal bars")
        return Series(name, x or range(len(y)), y, "bars")
    if kind == "histogram" and (x or y) and all(isinstance(value, int | float) for value in x or y):
        counts, edges = np.histogram(np.array(x or y, np.float64), bins=min(max(len(x or y) // 5, 5), 40))
        middle = ((edges[1:] + edges[:-1]) / 2).tolist()
        return (
            Series(name, middle, counts.tolist(), "bars")
            if x
            else Series(name, counts.tolist(), middle, "horizontal bars")
        )
    return None


def _heat(trace: dict[str, Any], x_label: str, y_label: str) -> Panel | None:
    rows = trace.get("z")
    if isinstance(rows, dict):
        flat, shape = (
            _values(rows),
            [int(part) for part in str(rows.get("shape", "")).split(",") if part.strip().isdecimal()],
        )
        if len(shape) != 2 or shape[0] * shape[1] != len(flat):
            return None
        rows = [flat[row * shape[1] : (row + 1) * shape[1]] for row in range(shape[0])]
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list | dict) for row in rows):
        return None
    values = [_values(row) for row in rows]
    width = len(values[0])
    if not width or any(len(row) != width for row in values) or len(values) * width > _CELLS:
        return None
    z = np.array([[np.nan if cell is None else float(cell) for cell in row] for row in values], np.float64)
    x_ticks, y_ticks = _names(_values(trace.get("x")), width), _names(_values(trace.get("y")), len(values))
    mark = Heat(
        np.arange(width + 1, dtype=np.float64) - 0.5,
        np.arange(len(values) + 1, dtype=np.float64) - 0.5,
        z,
        _bar_title(trace.get("colorbar")),
    )
    return Panel(
        Axis(x_label, (-0.5, width - 0.5), ticks=x_ticks),
        Axis(y_label, (-0.5, len(values) - 0.5), ticks=y_ticks),
        (mark,),
    )


def _names(values: Sequence[Any], count: int) -> tuple[tuple[float, str], ...]:
    """Return at most twelve ticks for an axis of a heat map."""
    if len(values) != count:
        return ()
    stride = -(-count // 12)
    indices = range(0, count, stride)
    texts = distinct_names([_plain(str(values[index])) for index in indices], width=24)
    return tuple((float(index), text) for index, text in zip(indices, texts, strict=True))


def _values(data: Any) -> list[Any]:
    """Return a list, decoded from base64 if plotly 6 encoded it. Raises ValueError for invalid base64."""
    if isinstance(data, dict) and isinstance(data.get("bdata"), str) and data.get("dtype") in _DTYPES:
        try:
            return np.frombuffer(base64.b64decode(data["bdata"], validate=True), np.dtype(f"<{data['dtype']}")).tolist()  # type: ignore[no-any-return]
        except (binascii.Error, ValueError) as error:
            raise ValueError("its encoded numbers are invalid") from error
    return data if isinstance(data, list) else []


def _axis_title(layout: dict[str, Any], side: str, axis: str) -> str:
    axis_layout = layout.get(f"{side}{axis[1:]}")
    return _title(axis_layout.get("title")) if isinstance(axis_layout, dict) else ""


def _bar_title(bar: Any) -> str:
    return _title(bar.get("title")) if isinstance(bar, dict) else ""


def _title(title: Any) -> str:
    text = title.get("text") if isinstance(title, dict) else title
    return _plain(text) if isinstance(text, str) else ""


def _plain(text: str) -> str:
    """Remove plotly's pseudo-HTML from a text."""
    return " ".join(_TAG.sub(" ", text[:1000]).split())[:200]
