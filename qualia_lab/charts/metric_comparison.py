"""Chart of the latest metric values of runs side by side: a row per run, a panel per metric."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.distributions import latest_values
from qualia_lab.charts.axes import category_axis, distinct_labels, edge, fit_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import GRID, QUIET, chosen_styles
from qualia_lab.charts.marks import Line, Panel, Points
from qualia_lab.counts import counted
from qualia_lab.names import aside
from qualia_lab.study.statuses import counts_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.charts.marks import Axis, Mark

MAX_ROWS = 30
_BEST_ROWS = 20  # best runs, if not all fit; the other rows are the worst runs
MAX_PANELS = 4
_ROW_HEIGHT = 22


def metric_comparison(
    metrics: pa.Table,
    labels: Mapping[str, str],
    keys: Sequence[str],
    *,
    greater_is_better: Mapping[str, bool | None] | None = None,
    order: Sequence[str] = (),
    excluded: Mapping[str, str] | None = None,
) -> Chart:
    """Draw the latest value of each metric for each run, sorted by the first metric.

    Args:
        metrics: schema.METRICS, of any runs and metrics.
        labels: the label of each run, by run id, in the order of the notebook.
        keys: the metrics, at least one; rows are sorted by the first, best first, or highest first if its direction is
            not known.
        greater_is_better: the direction of each metric; None or absent if it is not known.
        order: the runs of the notebook, the leading ones first, which are coloured (see colours.run_styles); () to
            colour the first rows.
        excluded: why a run takes part in no comparison, by run id; these come last.

    Raises:
        ValueError: `keys` is empty.
    """
    if not keys:
        raise ValueError("a comparison needs at least one metric")
    keys, left_out = list(keys[:MAX_PANELS]), len(keys) - MAX_PANELS
    directions = dict(greater_is_better or {})
    values = {key: latest_values(metrics, labels, key) for key in keys}
    excluded = excluded or {}
    ordered = _best_first(values[keys[0]], labels, directions.get(keys[0]), excluded)
    rows: list[str | None] = list(ordered)
    if len(ordered) > MAX_ROWS:
        rows = [*ordered[:_BEST_ROWS], None, *ordered[_BEST_ROWS - MAX_ROWS :]]
    names = distinct_labels(labels)
    hidden = len(ordered) - MAX_ROWS
    y_axis = category_axis("", [names[row] if row else f"… {hidden} more" for row in rows], downwards=True)
    colours = {run_id: colour for run_id, (colour, _) in chosen_styles(ordered, order).items()}
    panels = []
    for key in keys:
        shown = np.array([values[key].get(row, math.nan) for row in rows if row])
        x_axis = fit_axis(_with_arrow(key, directions.get(key)), shown, padding=0.08)
        panels.append(
            Panel(
                x_axis, y_axis, _dots(rows, values[key], x_axis, names, colours, greater_is_better=directions.get(key))
            )
        )
    first, count = keys[0], len(ordered)
    order = "highest first" if directions.get(first) is None else "best first"
    return Chart(
        title=f"{first} of {counted(count, 'run')}, {order}"
        + (f", beside {_enumerated(keys[1:])}" if keys[1:] else ""),
        panels=tuple(panels),
        sentence=_sentence(
            first, [row for row in ordered if row not in excluded] or ordered, values[first], names, order
        ),
        note=" ".join(
            filter(None, (_note(keys, values, ordered, len(labels), left_out), _excluded_note(ordered, excluded)))
        ),
        height=max(180, 130 + _ROW_HEIGHT * len(rows)),
    )


def _best_first(
    values: Mapping[str, float],
    labels: Mapping[str, str],
    greater_is_better: bool | None,
    excluded: Collection[str],
) -> list[str]:
    """Return the runs that have the metric, best first; NaN, infinity in the worse direction and `excluded` last."""
    sign = 1 if greater_is_better is False else -1

    def sort_key(run_id: str) -> tuple[bool, bool, float]:
        value = values[run_id]
        return run_id in excluded, math.isnan(value), 0.0 if math.isnan(value) else sign * value

    return sorted((run_id for run_id in labels if run_id in values), key=sort_key)


def _dots(
    rows: Sequence[str | None],
    values: Mapping[str, float],
    axis: Axis,
    names: Mapping[str, str],
    colours: Mapping[str, str],
    *,
    greater_is_better: bool | None,
) -> tuple[Mark, ...]:
    """Draw a dot per run on a thin line that leads to its name, or a cross if its value is not finite."""
    marks: list[Mark] = []
    low, high = axis.limits
    ends = [end for row in range(len(rows)) if rows[row] for end in ((low, row), (high, row), (np.nan, np.nan))]
    if ends:
        x, y = np.array(ends, dtype=np.float64).T
        marks.append(Line(x, y, GRID, width=1, hover=False))
    for symbol, is_shown in (("circle", math.isfinite), ("x", lambda value: not math.isfinite(value))):
        matching = [(index, row) for index, row in enumerate(rows) if row and row in values and is_shown(values[row])]
        if matching:
            marks.append(
                Points(
                    np.array(
                        [
                            values[row]
                            if symbol == "circle"
                            else edge(values[row], axis, greater_is_better=greater_is_better)
                            for _, row in matching
                        ]
                    ),
                    np.array([float(index) for index, _ in matching]),
                    tuple(colours.get(row, QUIET) for _, row in matching),
                    texts=tuple(f"{names[row]}: {number_text(values[row])}" for _, row in matching),
                    symbol=symbol,  # type: ignore[arg-type]
                    size=10,
                    runs=tuple(row for _, row in matching),
                )
            )
    return tuple(marks)


def _with_arrow(key: str, greater_is_better: bool | None) -> str:
    if greater_is_better is None:
        return key
    return f"{key} (higher is better →)" if greater_is_better else f"{key} (← lower is better)"


def _note(
    keys: Sequence[str],
    values: Mapping[str, Mapping[str, float]],
    ordered: Sequence[str],
    run_count: int,
    left_out: int,
) -> str:
    """Say what is not shown, and why."""
    notes = []
    if len(ordered) > MAX_ROWS:
        notes.append(f"Showing {MAX_ROWS} of {len(ordered)} runs: the first {_BEST_ROWS} and the last 10.")
    if len(ordered) < run_count:
        notes.append(f"{run_count - len(ordered)} of {counted(run_count, 'run')} never recorded {keys[0]}.")
    if not_finite := sum(not math.isfinite(value) for key in keys for value in values[key].values()):
        notes.append(f"Crosses at the edge: {counted(not_finite, 'value')} NaN or infinite.")
    if left_out > 0:
        notes.append(f"Showing {len(keys)} of {len(keys) + left_out} metrics.")
    return " ".join(notes)


def _excluded_note(ordered: Sequence[str], excluded: Mapping[str, str]) -> str:
    """Say how many of the last rows take part in no comparison, and why; "" if none."""
    reasons = Counter(excluded[row] for row in ordered if row in excluded)
    if not reasons or len(reasons) == len(ordered):
        return ""
    total = sum(reasons.values())
    rows = "The last row takes" if total == 1 else f"The last {total:,} rows take"
    return f"{rows} part in no comparison: {counts_text(reasons.items())}."


def _sentence(
    key: str, ordered: Sequence[str], values: Mapping[str, float], names: Mapping[str, str], order: str
) -> str:
    """Describe the chart in words."""
    if not ordered:
        return f"{key}: no run recorded it."
    first, last = ordered[0], ordered[-1]
    text = f"{key} of {counted(len(ordered), 'run')}, {order}: {number_text(values[first])}"
    if first == last:
        return f"{text}{aside(names[first], ends=True)}."
    return f"{text}{aside(names[first])} to {number_text(values[last])}{aside(names[last], ends=True)}."


def _enumerated(keys: Sequence[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{', '.join(keys[:-1])} and {keys[-1]}"
