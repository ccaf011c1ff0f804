"""Box plots of a metric over the values of a param, from aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.analysis.findings.naming import short_values
from qualia_lab.charts.axes import category_axis, fit_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, FILL, INK
from qualia_lab.charts.marks import Box, Line, Panel, Points
from qualia_lab.counts import counted
from qualia_lab.inventory import is_number
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.charts.marks import Mark

_BOX_FROM = 5  # runs; the same as in `param_distribution`


def param_spread(values: pa.Table, ranges: pa.Table | None, param: str, metric: str, *, more: bool) -> Chart:
    """Draw a box for each value of a param, or for each range of a numeric param with many values.

    Boxes are quartiles; whiskers extend to the lowest and the highest value.

    Args:
        values: the result of `Engine.param_values`.
        ranges: the result of `Engine.param_ranges`; None if there are few values.
        param: the name of the param.
        metric: the name of the metric.
        more: whether the param has more values than those in `values`.
    """
    rows = values.to_pylist()
    in_ranges = ranges is not None and all(is_number(row["value"]) for row in rows) and ranges.num_rows > 1
    if in_ranges and ranges is not None:
        rows = ranges.to_pylist()
        ends = [(number_text(row["first_param"]), number_text(row["last_param"])) for row in rows]
        names = [first if first == last else f"{first} … {last}" for first, last in ends]
    else:
        if all(is_number(row["value"]) for row in rows):
            rows.sort(key=lambda row: float(row["value"]))
        else:
            rows.sort(key=lambda row: str(row["value"]))
        short = short_values(str(row["value"]) for row in rows)
        names = [short[str(row["value"])] for row in rows]
    # A range is two numbers, in two lines if they do not fit beside each other; a piece of one says nothing.
    heads = names if in_ranges else distinct_names(names, width=max(8, 96 // max(1, len(rows))))
    ticks = [f"{head} (n={row['n']:,})" for head, row in zip(heads, rows, strict=True)]
    drawn = [(place, row) for place, row in enumerate(rows) if row["n"]]
    extremes = np.array([row[name] for _, row in drawn for name in ("lowest", "highest")], dtype=np.float64)
    return Chart(
        title=f"{metric} by {param}",
        panels=(
            Panel(
                category_axis(param, ticks, min_slots=4),
                fit_axis(metric, extremes),
                tuple(mark for one in drawn for mark in _marks(*one)),
            ),
        ),
        sentence=_sentence(names, rows, param, metric),
        note=_note(rows, in_ranges=in_ranges, more=more and not in_ranges),
        height=400,
    )


def _marks(position: int, row: dict[str, Any]) -> list[Mark]:
    """Return a box, or for fewer than 5 runs the median and the extremes."""
    x, median = float(position), row["median"]
    if row["n"] >= _BOX_FROM:
        return [Box(x, row["lowest"], row["q1"], median, row["q3"], row["highest"], FILL)]
    ends = Points(np.array([x, x]), np.array([row["lowest"], row["highest"]]), (DATA,), size=7)
    return [Line(np.array([x - 0.25, x + 0.25]), np.array([median, median]), INK, width=1.5, hover=False), ends]


def _note(rows: list[dict[str, Any]], *, in_ranges: bool, more: bool) -> str:
    """Say what is drawn and what is not."""
    drawn = f"n = {sum(row['n'] for row in rows):,}; boxes are quartiles, from {_BOX_FROM} runs on"
    notes = [f"{drawn}; whiskers and points are the lowest and the highest."]
    if in_ranges:
        notes.append("Each range holds the same number of runs.")
    if more:
        notes.append(f"Showing the {len(rows)} most frequent values.")
    not_finite = sum(row["runs"] - row["n"] for row in rows)
    if not_finite:
        notes.append(f"Not drawn: {counted(not_finite, 'run')} with a NaN or infinite latest value.")
    return " ".join(notes)


def _sentence(names: list[str], rows: list[dict[str, Any]], param: str, metric: str) -> str:
    """Describe the chart in words."""
    medians = "; ".join(
        f"{name}: {number_text(row['median'])} (n={row['n']:,})"
        for name, row in zip(names, rows, strict=True)
        if row["n"]
    )
    return f"{metric} by {param}. Medians: {medians}." if medians else f"{metric} by {param}: no run has both."
