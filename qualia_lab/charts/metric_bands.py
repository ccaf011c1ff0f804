"""Chart of the spread of a metric over its steps for many runs, from aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.axes import fit_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import STYLES
from qualia_lab.charts.marks import Band, Line, Panel
from qualia_lab.counts import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.charts.marks import Mark, Numbers


def metric_bands(table: pa.Table, metric: str, param: str = "") -> Chart:
    """Draw the median of the runs over steps, with the interquartile range as a band.

    Args:
        table: the result of `Engine.band`, or of `Engine.bands_by_param` if a param is given.
        metric: the name of the metric.
        param: the param, each value of which gets a line and a band; "" for one band of all runs.
    """
    rows = table.to_pylist()
    groups: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        groups.setdefault(f"{row['value']} (n={row['runs']:,})" if param else "", []).append(row)
    marks: list[Mark] = []
    band_values = [np.zeros(0)]
    for (label, group_rows), (colour, dash) in zip(
        reversed(groups.items()), reversed(STYLES[: len(groups)]), strict=True
    ):
        x = (_column(group_rows, "first_step") + _column(group_rows, "last_step")) / 2
        low, middle, high = (_column(group_rows, name) for name in ("q1", "median", "q3"))
        band_values += [low, high]
        marks += [Band(x, low, high, colour), Line(x, middle, colour, label=label, dash=dash)]
    steps = np.concatenate([_column(rows, "first_step"), _column(rows, "last_step")])
    return Chart(
        title=f"{metric} over steps" + (f", by {param}" if param else ""),
        panels=(
            Panel(
                fit_axis("step", steps, log=False, padding=0.02),
                fit_axis(metric, _without_nan(band_values)),
                tuple(marks),
            ),
        ),
        names_at_ends=True,
        sentence=_sentence(groups, metric),
        note=_note(rows, grouped=bool(param)),
    )


def _column(rows: list[dict[str, float]], name: str) -> Numbers:
    return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)


def _without_nan(arrays: list[Numbers]) -> Numbers:
    values = np.concatenate(arrays)
    return values[~np.isnan(values)]


def _note(rows: list[dict[str, float]], *, grouped: bool) -> str:
    """Say what is drawn, for how many runs, and what is left out."""
    if not rows:
        return "No run recorded it."
    counts = [int(row["n"]) for row in rows]
    low, high = min(counts), max(counts)
    per_value = " of each value" if grouped else ""
    n = f"n = {counted(low, 'run')}" if low == high else f"n = {low:,} to {counted(high, 'run')}"
    note = f"Line: median of the runs{per_value}; band: the interquartile range (25 % to 75 %). {n} at each position"
    not_finite = sum(int(row["not_finite"]) for row in rows)
    points = sum(int(row["points"]) for row in rows)
    note += f", {counted(points, 'point')} in all."
    if any(row["last_step"] > row["first_step"] for row in rows):
        note += " Neighbouring steps are binned; each run counts with its mean in a bin."
    return f"{note} Not drawn: {counted(not_finite, 'point')} NaN or infinite." if not_finite else note


def _sentence(groups: dict[str, list[dict[str, float]]], metric: str) -> str:
    """Describe the chart in words."""
    parts = []
    for label, rows in groups.items():
        non_empty = [row for row in rows if row["n"]]
        if non_empty:
            name = f"{label}: " if label else ""
            parts.append(
                f"{name}median {number_text(non_empty[0]['median'])} at first, "
                f"{number_text(non_empty[-1]['median'])} at last (n={int(non_empty[-1]['n']):,})"
            )
    return f"{metric} over steps. {'; '.join(parts)}." if parts else f"{metric}: no run recorded a finite value."
