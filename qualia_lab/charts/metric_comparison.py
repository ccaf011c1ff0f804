"""Latest metrics of runs side by side: one row per run, one panel per metric."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.distributions import latest_values
from qualia_lab.charts.axes import edge, fitting_axis, named_axis, number_text, told_apart
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import GRID, REST, run_styles
from qualia_lab.charts.marks import Line, Panel, Points
from qualia_lab.counts import counted
from qualia_lab.names import aside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.charts.marks import Axis, Mark

MOST_ROWS = 30
_BEST_ROWS = 20  # of them, when not all fit; the others are the worst
MOST_PANELS = 4
MOST_COLOURS = 20
_ROW_HEIGHT = 22


def metric_comparison(
    metrics: pa.Table,
    labels: Mapping[str, str],
    keys: Sequence[str],
    *,
    greater_is_better: Mapping[str, bool | None] | None = None,
    order: Sequence[str] = (),
) -> Chart:
    """The latest value of some metrics per run, sorted by the first metric.

    Args:
        metrics: schema.METRICS, of any runs and metrics.
        labels: what to call each run, by run id, in the order of the notebook.
        keys: the metrics, at least one; the first sorts, best first, or highest first where no direction is known.
        greater_is_better: the direction of each metric, None or absent where it is not known.
        order: all runs of the notebook, by whose places a run has its colour; () for those of labels.

    Raises:
        ValueError: no metric is named.
    """
    if not keys:
        raise ValueError("a comparison needs at least one metric")
    keys, left_out = list(keys[:MOST_PANELS]), len(keys) - MOST_PANELS
    directions = dict(greater_is_better or {})
    values = {key: latest_values(metrics, labels, key) for key in keys}
    ordered = _best_first(values[keys[0]], labels, directions.get(keys[0]))
    rows: list[str | None] = list(ordered)
    if len(ordered) > MOST_ROWS:
        rows = [*ordered[:_BEST_ROWS], None, *ordered[_BEST_ROWS - MOST_ROWS :]]
    names = told_apart(labels)
    hidden = len(ordered) - MOST_ROWS
    y_axis = named_axis("", [names[row] if row else f"… {hidden} more" for row in rows], downwards=True)
    styles = run_styles(ordered[:MOST_COLOURS], order or list(labels))
    colours = {run_id: colour for run_id, (colour, _) in styles.items()}
    panels = []
    for key in keys:
        shown = np.array([values[key].get(row, math.nan) for row in rows if row])
        x_axis = fitting_axis(_with_arrow(key, directions.get(key)), shown, air=0.08)
        panels.append(
            Panel(
                x_axis, y_axis, _dots(rows, values[key], x_axis, names, colours, greater_is_better=directions.get(key))
            )
        )
    first, count = keys[0], len(ordered)
    order = "highest first" if directions.get(first) is None else "best first"
    return Chart(
        title=f"{first} of {counted(count, 'run')}, {order}" + (f", beside {_listed(keys[1:])}" if keys[1:] else ""),
        panels=tuple(panels),
        sentence=_sentence(first, ordered, values[first], names, order),
        note=_note(keys, values, ordered, len(labels), left_out),
        height=max(180, 130 + _ROW_HEIGHT * len(rows)),
    )


def _best_first(values: Mapping[str, float], labels: Mapping[str, str], greater_is_better: bool | None) -> list[str]:
    """The runs that have the metric, sorted; those whose value is NaN or infinite the wrong way stand last."""
    sign = 1 if greater_is_better is False else -1

    def place(run_id: str) -> tuple[bool, float]:
        value = values[run_id]
        return math.isnan(value), 0.0 if math.isnan(value) else sign * value

    return sorted((run_id for run_id in labels if run_id in values), key=place)


def _dots(
    rows: Sequence[str | None],
    values: Mapping[str, float],
    axis: Axis,
    names: Mapping[str, str],
    colours: Mapping[str, str],
    *,
    greater_is_better: bool | None,
) -> tuple[Mark, ...]:
    """A dot for each run on a thin line that leads the eye to its name; a cross where the value is not finite."""
    marks: list[Mark] = []
    low, high = axis.limits
    ends = [end for row in range(len(rows)) if rows[row] for end in ((low, row), (high, row), (np.nan, np.nan))]
    if ends:
        x, y = np.array(ends, dtype=np.float64).T
        marks.append(Line(x, y, GRID, width=1, hover=False))
    for symbol, is_shown in (("circle", math.isfinite), ("x", lambda value: not math.isfinite(value))):
        here = [(index, row) for index, row in enumerate(rows) if row and row in values and is_shown(values[row])]
        if here:
            marks.append(
                Points(
                    np.array(
                        [
                            values[row]
                            if symbol == "circle"
                            else edge(values[row], axis, greater_is_better=greater_is_better)
                            for _, row in here
                        ]
                    ),
                    np.array([float(index) for index, _ in here]),
                    tuple(colours.get(row, REST if symbol == "circle" else "#4D4D4D") for _, row in here),
                    texts=tuple(f"{names[row]}: {number_text(values[row])}" for _, row in here),
                    symbol=symbol,  # type: ignore[arg-type]
                    size=10,
                )
            )
    return tuple(marks)


def _with_arrow(key: str, greater_is_better: bool | None) -> str:
    if greater_is_better is None:
        return key
    return f"{key} (higher is better →)" if greater_is_better else f"{key} (← lower is better)"


def _note(
    keys: Sequence[str], values: Mapping[str, Mapping[str, float]], ordered: Sequence[str], asked: int, left_out: int
) -> str:
    """What is not seen, and why."""
    notes = []
    if len(ordered) > MOST_ROWS:
        notes.append(f"Showing {MOST_ROWS} of {len(ordered)} runs: the first {_BEST_ROWS} and the last 10.")
    if len(ordered) < asked:
        notes.append(f"{asked - len(ordered)} of {counted(asked, 'run')} never recorded {keys[0]}.")
    if odd := sum(not math.isfinite(value) for key in keys for value in values[key].values()):
        notes.append(f"Crosses at the edge: {counted(odd, 'value')} NaN or infinite.")
    if left_out > 0:
        notes.append(f"Showing {len(keys)} of {len(keys) + left_out} metrics.")
    return " ".join(notes)


def _sentence(
    key: str, ordered: Sequence[str], values: Mapping[str, float], names: Mapping[str, str], order: str
) -> str:
    """The chart in words."""
    if not ordered:
        return f"{key}: no run recorded it."
    first, last = ordered[0], ordered[-1]
    said = f"{key} of {counted(len(ordered), 'run')}, {order}: {number_text(values[first])}"
    if first == last:
        return f"{said}{aside(names[first], ends=True)}."
    return f"{said}{aside(names[first])} to {number_text(values[last])}{aside(names[last], ends=True)}."


def _listed(keys: Sequence[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{', '.join(keys[:-1])} and {keys[-1]}"
