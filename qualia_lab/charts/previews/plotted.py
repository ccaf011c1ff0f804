"""What figures of strangers are made of here: numbers or names along an axis, in lines, points and bars."""

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
_POINTS = 20_000
_SERIES = 24


@dataclass(frozen=True)
class Series:
    """One set of points. `kind`: as what they are drawn; bars lie when the names are on the y axis."""

    name: str
    x: Sequence[Any]
    y: Sequence[Any]
    kind: str  # line, points, both, bars, lying


def drawn_panel(series: Sequence[Series], x_label: str, y_label: str, title: str = "") -> Panel | None:
    """A panel of these series, those past the 24th left out; None where there is nothing to draw."""
    series = [one for one in series[:_SERIES] if len(one.x) and len(one.y)]
    x_numbers, x_ticks = _along([one.x for one in series])
    y_numbers, y_ticks = _along([one.y for one in series])
    marks: list[Mark] = []
    seen_x: list[Numbers] = []
    seen_y: list[Numbers] = []
    bars = [one for one in series if one.kind in ("bars", "lying")]
    for index, (one, x, y) in enumerate(zip(series, x_numbers, y_numbers, strict=True)):
        length = min(len(x), len(y), _POINTS)
        x, y = x[:length], y[:length]  # noqa: PLW2901
        colour = STYLES[index % len(STYLES)][0]
        label = one.name if len(series) > 1 else ""
        if one in bars:
            at, ends = (y, x) if one.kind == "lying" else (x, y)
            step = _step(at)
            thick = 0.8 * step / len(bars)
            at = at + (bars.index(one) - (len(bars) - 1) / 2) * thick
            marks.append(Bars(at, ends, (colour,), standing=one.kind == "bars", thick=thick, label=label))
            around = np.concatenate([at - step / 2, at + step / 2])
            ends = np.concatenate([ends, [0.0]])
            seen_x.append(around if one.kind == "bars" else ends)
            seen_y.append(ends if one.kind == "bars" else around)
            continue
        if one.kind in ("line", "both"):
            marks.append(Line(x, y, colour, label=label))
        if one.kind in ("points", "both"):
            marks.append(Points(x, y, (colour,), label="" if one.kind == "both" else label, size=6))
        seen_x.append(x)
        seen_y.append(y)
    x_limits, y_limits = _limits(seen_x), _limits(seen_y)
    if x_limits is None or y_limits is None:
        return None
    return Panel(Axis(x_label, x_limits, ticks=x_ticks), Axis(y_label, y_limits, ticks=y_ticks), tuple(marks), title)


def drawn_chart(panels: Sequence[Panel], title: str, sentence: str) -> Chart | None:
    """The panels as one chart, two in a row; None where there are none."""
    if not panels:
        return None
    rows = math.ceil(len(panels) / 2)
    height = 360 if rows == 1 else 300 * rows
    columns = 0 if rows == 1 else 2
    return Chart(title, tuple(panels), sentence, height=height, columns=columns, shared_y=False)


def _along(values: Sequence[Sequence[Any]]) -> tuple[list[Numbers], tuple[tuple[float, str], ...]]:
    """The values as positions, and ticks where they are names: numbers only where all are."""
    if all(_is_number(value) for one in values for value in one[:_POINTS]):
        return [
            np.array([math.nan if v is None else float(v) for v in one[:_POINTS]], np.float64) for one in values
        ], ()
    names = list(dict.fromkeys(str(value) for one in values for value in one[:_POINTS]))
    position = {name: float(index) for index, name in enumerate(names)}
    every = math.ceil(len(names) / _TICKS)
    there = names[::every]
    ticks = tuple((position[name], text) for name, text in zip(there, distinct_names(there, width=24), strict=True))
    return [np.array([position[str(value)] for value in one[:_POINTS]], np.float64) for one in values], ticks


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _step(at: Numbers) -> float:
    gaps = np.diff(np.unique(at[np.isfinite(at)]))
    return float(gaps.min()) if len(gaps) else 1.0


def _limits(values: Sequence[Numbers]) -> tuple[float, float] | None:
    """The range of all values with a little room; None without a finite one, or where it is too wide to be drawn."""
    every = np.concatenate(values) if values else np.array([])
    finite = every[np.isfinite(every) & (np.abs(every) < 1e300)]
    if not finite.size:
        return None
    low, high = float(finite.min()), float(finite.max())
    room = (high - low) * 0.04 or max(abs(high) * 0.05, 0.5)
    return low - room, high + room
