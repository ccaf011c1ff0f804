"""Series of foreign figures (plotly, Vega) drawn as panels: lines, points and bars over numbers or categories."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import STYLES
from qualia_lab.charts.marks import Axis, Bars, Line, Panel, Points
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.marks import Mark, Numbers

_TICKS = 12
_POINTS = 20_000  # per series
_SERIES = 24  # per panel


@dataclass(frozen=True)
class Series:
    """One series of points; `kind` is how they are drawn."""

    name: str
    x: Sequence[Any]
    y: Sequence[Any]
    kind: str  # line, points, both, bars, horizontal bars


def panel_of_series(series: Sequence[Series], x_label: str, y_label: str, title: str = "") -> Panel | None:
    """Return a panel with the first 24 series; None if there is nothing to draw."""
    series = [entry for entry in series[:_SERIES] if len(entry.x) and len(entry.y)]
    x_numbers, x_ticks = _positions([entry.x for entry in series])
    y_numbers, y_ticks = _positions([entry.y for entry in series])
    marks: list[Mark] = []
    extent_x: list[Numbers] = []
    extent_y: list[Numbers] = []
    bars = [entry for entry in series if entry.kind in ("bars", "horizontal bars")]
    for index, (entry, x, y) in enumerate(zip(series, x_numbers, y_numbers, strict=True)):
        length = min(len(x), len(y), _POINTS)
        x, y = x[:length], y[:length]  # noqa: PLW2901
        colour = STYLES[index % len(STYLES)][0]
        label = entry.name if len(series) > 1 else ""
        if entry in bars:
            positions, ends = (y, x) if entry.kind == "horizontal bars" else (x, y)
            step = _step(positions)
            thickness = 0.8 * step / len(bars)
            positions = positions + (bars.index(entry) - (len(bars) - 1) / 2) * thickness
            marks.append(
                Bars(positions, ends, (colour,), vertical=entry.kind == "bars", thickness=thickness, label=label)
            )
            sides = np.concatenate([positions - step / 2, positions + step / 2])
            ends = np.concatenate([ends, [0.0]])
            extent_x.append(sides if entry.kind == "bars" else ends)
            extent_y.append(ends if entry.kind == "bars" else sides)
            continue
        if entry.kind in ("line", "both"):
            marks.append(Line(x, y, colour, label=label))
        if entry.kind in ("points", "both"):
            marks.append(Points(x, y, (colour,), label="" if entry.kind == "both" else label, size=6))
        extent_x.append(x)
        extent_y.append(y)
    x_limits, y_limits = _limits(extent_x), _limits(extent_y)
    if x_limits is None or y_limits is None:
        return None
    return Panel(Axis(x_label, x_limits, ticks=x_ticks), Axis(y_label, y_limits, ticks=y_ticks), tuple(marks), title)


def chart_of_panels(panels: Sequence[Panel], title: str, sentence: str) -> Chart | None:
    """Return the panels as one chart, two per row; None without a panel."""
    if not panels:
        return None
    rows = math.ceil(len(panels) / 2)
    height = 360 if rows == 1 else 300 * rows
    columns = 0 if rows == 1 else 2
    return Chart(title, tuple(panels), sentence, height=height, columns=columns, shared_y=False)


def _positions(values: Sequence[Sequence[Any]]) -> tuple[list[Numbers], tuple[tuple[float, str], ...]]:
    """Return the values as positions, and ticks if they are categories, that is, unless all are numbers."""
    if all(_is_number(value) for entry in values for value in entry[:_POINTS]):
        return [
            np.array([math.nan if v is None else float(v) for v in entry[:_POINTS]], np.float64) for entry in values
        ], ()
    names = list(dict.fromkeys(str(value) for entry in values for value in entry[:_POINTS]))
    position = {name: float(index) for index, name in enumerate(names)}
    stride = math.ceil(len(names) / _TICKS)
    shown_names = names[::stride]
    ticks = tuple(
        (position[name], text) for name, text in zip(shown_names, distinct_names(shown_names, width=24), strict=True)
    )
    return [np.array([position[str(value)] for value in entry[:_POINTS]], np.float64) for entry in values], ticks


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _step(positions: Numbers) -> float:
    gaps = np.diff(np.unique(positions[np.isfinite(positions)]))
    return float(gaps.min()) if len(gaps) else 1.0


def _limits(values: Sequence[Numbers]) -> tuple[float, float] | None:
    """Return the range of all values with padding; None if no value is finite and under 1e300."""
    all_values = np.concatenate(values) if values else np.array([])
    finite = all_values[np.isfinite(all_values) & (np.abs(all_values) < 1e300)]
    if not finite.size:
        return None
    low, high = float(finite.min()), float(finite.max())
    padding = (high - low) * 0.04 or max(abs(high) * 0.05, 0.5)
    return low - padding, high + padding
