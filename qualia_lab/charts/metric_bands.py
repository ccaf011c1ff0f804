"""A metric over its steps as the spread of many runs, from aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.axes import fitting_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import STYLES
from qualia_lab.charts.marks import Band, Line, Panel
from qualia_lab.counts import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.charts.marks import Mark, Numbers


def metric_bands(table: pa.Table, metric: str, param: str = "") -> Chart:
    """The median of runs over steps, and their middle half as a band.

    table: `Engine.band`, or with a param `Engine.bands_by_param`: then a line and a band for each of its values.
    """
    rows = table.to_pylist()
    groups: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        groups.setdefault(f"{row['value']} (n={row['runs']:,})" if param else "", []).append(row)
    marks: list[Mark] = []
    heights = [np.zeros(0)]
    for (label, of_group), (colour, dash) in zip(
        reversed(groups.items()), reversed(STYLES[: len(groups)]), strict=True
    ):
        x = (_column(of_group, "first_step") + _column(of_group, "last_step")) / 2
        low, middle, high = (_column(of_group, name) for name in ("q1", "median", "q3"))
        heights += [low, high]
        marks += [Band(x, low, high, colour), Line(x, middle, colour, label=label, dash=dash)]
    steps = np.concatenate([_column(rows, "first_step"), _column(rows, "last_step")])
    return Chart(
        title=f"{metric} over steps" + (f", by {param}" if param else ""),
        panels=(
            Panel(fitting_axis("step", steps, log=False, air=0.02), fitting_axis(metric, _all(heights)), tuple(marks)),
        ),
        sentence=_sentence(groups, metric),
        note=_note(rows, grouped=bool(param)),
    )


def _column(rows: list[dict[str, float]], name: str) -> Numbers:
    return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)


def _all(heights: list[Numbers]) -> Numbers:
    found = np.concatenate(heights)
    return found[~np.isnan(found)]


def _note(rows: list[dict[str, float]], *, grouped: bool) -> str:
    """What is drawn, of how many, and what is left out."""
    if not rows:
        return "No run recorded it."
    counts = [int(row["n"]) for row in rows]
    low, high = min(counts), max(counts)
    of_each = " of each value" if grouped else ""
    n = f"n = {low:,}" if low == high else f"n = {low:,} to {high:,}"
    note = f"Line: median of the runs{of_each}; band: their middle half (25 % to 75 %). {n} runs at a place"
    odd = sum(int(row["not_finite"]) for row in rows)
    points = sum(int(row["points"]) for row in rows)
    note += f", {counted(points, 'point')} in all."
    if any(row["last_step"] > row["first_step"] for row in rows):
        note += " Neighbouring steps are joined: of each run the mean within them counts."
    return f"{note} Not drawn: {counted(odd, 'point')} NaN or infinite." if odd else note


def _sentence(groups: dict[str, list[dict[str, float]]], metric: str) -> str:
    """The chart in words."""
    said = []
    for label, rows in groups.items():
        ends = [row for row in rows if row["n"]]
        if ends:
            name = f"{label}: " if label else ""
            said.append(
                f"{name}median {number_text(ends[0]['median'])} at first, {number_text(ends[-1]['median'])} at last"
                f" (n={int(ends[-1]['n']):,})"
            )
    return f"{metric} over steps. {'; '.join(said)}." if said else f"{metric}: no run recorded a finite value."
