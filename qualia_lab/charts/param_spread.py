"""How a metric spreads over the values of a param, from aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.charts.axes import fitting_axis, named_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, FILL, INK
from qualia_lab.charts.marks import Box, Line, Panel, Points
from qualia_lab.counts import counted
from qualia_lab.inventory import is_number
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.charts.marks import Mark

_BOX_FROM = 5  # runs; as where every run is drawn


def param_spread(values: pa.Table, ranges: pa.Table | None, param: str, metric: str, *, more: bool) -> Chart:
    """A box for each value of a param, or for each range where it has many numbers.

    values: `Engine.param_values`.  ranges: `Engine.param_ranges`, None where the values are few.
    more: whether there are more values than these. Boxes are quartiles; whiskers go to the lowest and the highest.
    """
    rows = values.to_pylist()
    in_ranges = ranges is not None and all(is_number(row["value"]) for row in rows) and ranges.num_rows > 1
    if in_ranges and ranges is not None:
        rows = ranges.to_pylist()
        names = [f"{number_text(row['first_param'])} … {number_text(row['last_param'])}" for row in rows]
    else:
        if all(is_number(row["value"]) for row in rows):
            rows.sort(key=lambda row: float(row["value"]))
        else:
            rows.sort(key=lambda row: str(row["value"]))
        names = [str(row["value"]) for row in rows]
    longest = max(8, 96 // max(1, len(rows)))
    heads = distinct_names(names, width=longest)
    ticks = [f"{head} (n={row['n']:,})" for head, row in zip(heads, rows, strict=True)]
    drawn = [(place, row) for place, row in enumerate(rows) if row["n"]]
    heights = np.array([row[name] for _, row in drawn for name in ("lowest", "highest")], dtype=np.float64)
    return Chart(
        title=f"{metric} by {param}",
        panels=(
            Panel(
                named_axis(param, ticks, room=5),
                fitting_axis(metric, heights),
                tuple(mark for one in drawn for mark in _marks(*one)),
            ),
        ),
        sentence=_sentence(names, rows, param, metric),
        note=_note(rows, in_ranges=in_ranges, more=more and not in_ranges),
        height=400,
    )


def _marks(place: int, row: dict[str, Any]) -> list[Mark]:
    """A box; of few runs, whose quartiles say little, the median and the ends."""
    x, median = float(place), row["median"]
    if row["n"] >= _BOX_FROM:
        return [Box(x, row["lowest"], row["q1"], median, row["q3"], row["highest"], FILL)]
    ends = Points(np.array([x, x]), np.array([row["lowest"], row["highest"]]), (DATA,), size=7)
    return [Line(np.array([x - 0.25, x + 0.25]), np.array([median, median]), INK, width=1.5, hover=False), ends]


def _note(rows: list[dict[str, Any]], *, in_ranges: bool, more: bool) -> str:
    """What is drawn and what is not."""
    drawn = f"n = {sum(row['n'] for row in rows):,}; boxes are quartiles, from {_BOX_FROM} runs on"
    notes = [f"{drawn}; whiskers and points are the lowest and the highest."]
    if in_ranges:
        notes.append("Ranges hold as many runs each.")
    if more:
        notes.append(f"Showing the {len(rows)} most frequent values.")
    odd = sum(row["runs"] - row["n"] for row in rows)
    if odd:
        notes.append(f"Not drawn: {counted(odd, 'run')} whose latest value is NaN or infinite.")
    return " ".join(notes)


def _sentence(names: list[str], rows: list[dict[str, Any]], param: str, metric: str) -> str:
    """The chart in words."""
    medians = "; ".join(
        f"{name}: {number_text(row['median'])} (n={row['n']:,})"
        for name, row in zip(names, rows, strict=True)
        if row["n"]
    )
    return f"{metric} by {param}. Medians: {medians}." if medians else f"{metric} by {param}: no run has both."
