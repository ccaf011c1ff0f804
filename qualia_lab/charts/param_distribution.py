"""How a metric is distributed over the values of a param."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.distributions import group_by_param, pair_up
from qualia_lab.charts.axes import direction, fitting_axis, named_axis, number_text, told_apart
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, FILL, INK
from qualia_lab.charts.even_choice import MOST_POINTS, drawn_note, even_by_value
from qualia_lab.charts.marks import Box, Line, Panel, Points
from qualia_lab.counts import counted
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.analysis.distributions import Group, Pairs
    from qualia_lab.charts.marks import Axis, Mark, Numbers

_MOST_GROUPS = 12
_MOST_NUMBERS = 6  # more different numbers than that are a scale, not groups
_BOX_FROM = 5  # runs; with fewer, quartiles say less than the points
_SPREAD = 0.16


def param_distribution(
    params: pa.Table,
    metrics: pa.Table,
    labels: Mapping[str, str],
    param: str,
    metric: str,
    *,
    greater_is_better: bool | None = None,
) -> Chart:
    """The latest value of a metric against a param.

    A numeric param with more than 6 values is drawn as a scatter, on a logarithmic axis over two decades; any other in
    groups: every run as a point, a box behind them from 5 runs on, else a line at the median.

    Args:
        params: schema.PARAMS.
        metrics: schema.METRICS.
        labels: what to call each run, by run id, in the order of the notebook.
        param: the param; its values are texts, and numbers where all of them are.
        metric: the metric.
        greater_is_better: the metric's direction; None where that is not known.
    """
    pairs = pair_up(params, metrics, list(labels), param, metric)
    names = told_apart(labels)
    y_axis = fitting_axis(metric, np.array(pairs.metric, dtype=np.float64), air=0.07)
    notes = [
        f"n = {len(pairs.run_ids)}" + (f", {direction(greater_is_better)}." if direction(greater_is_better) else ".")
    ]
    groups: tuple[Group, ...] = ()
    if pairs.numbers is not None and len(set(pairs.numbers)) > _MOST_NUMBERS:
        panel = _scatter(pairs, names, param, y_axis)
        drawn, in_all = min(MOST_POINTS, len(pairs.run_ids)), len(pairs.run_ids)
    else:
        groups = group_by_param(pairs)
        if len(groups) > _MOST_GROUPS:
            most = sorted(groups, key=lambda group: -len(group.run_ids))[:_MOST_GROUPS]
            notes.append(f"Showing the {_MOST_GROUPS} most frequent of {len(groups)} values.")
            groups = tuple(group for group in groups if group in most)
        panel = _groups(groups, names, param, y_axis)
        drawn = sum(min(len(group.run_ids), MOST_POINTS // len(groups)) for group in groups)
        in_all = sum(len(group.run_ids) for group in groups)
    notes += filter(None, [drawn_note(drawn, in_all, more="; boxes and medians are of all" if groups else "")])
    if missing := _missing(pairs, param, metric):
        notes.append(f"Not shown: {missing}.")
    return Chart(
        title=f"{metric} by {param}",
        panels=(panel,),
        sentence=_sentence(pairs, groups, param, metric),
        note=" ".join(notes),
        height=400,
    )


def _scatter(pairs: Pairs, names: Mapping[str, str], param: str, y_axis: Axis) -> Panel:
    x = np.array(pairs.numbers, dtype=np.float64)
    y = np.array(pairs.metric)
    chosen = even_by_value(pairs.metric)
    texts = tuple(
        f"{names[pairs.run_ids[place]]}: {number_text(pairs.metric[place])} at {pairs.params[place]}"
        for place in chosen
    )
    points = Points(x[chosen], y[chosen], (DATA,), texts=texts, opacity=_opacity(len(chosen)))
    return Panel(fitting_axis(param, x), y_axis, (points,))


def _groups(groups: Sequence[Group], names: Mapping[str, str], param: str, y_axis: Axis) -> Panel:
    """A column of points for each group, spread a little so that equal values are seen."""
    longest = max(8, 96 // max(1, len(groups)))
    heads = distinct_names([group.value for group in groups], width=longest)
    ticks = [f"{head} (n={len(group.run_ids)})" for head, group in zip(heads, groups, strict=True)]
    marks: list[Mark] = []
    for position, group in enumerate(groups):
        low, median, high = group.quartiles
        if len(group.run_ids) >= _BOX_FROM:
            reach = 1.5 * (high - low)
            inside = [value for value in group.metric if low - reach <= value <= high + reach]
            marks.append(Box(float(position), min(inside), low, median, high, max(inside), FILL))
        else:
            ends = np.array([position - 0.25, position + 0.25])
            marks.append(Line(ends, np.array([median, median]), INK, width=1.5, hover=False))
    for position, group in enumerate(groups):
        chosen = even_by_value(group.metric, MOST_POINTS // len(groups))
        texts = tuple(f"{names[group.run_ids[place]]}: {number_text(group.metric[place])}" for place in chosen)
        x = position + _spread(len(chosen))
        y = np.array(group.metric)[chosen]
        marks.append(Points(x, y, (DATA,), texts=texts, opacity=_opacity(len(x)), size=7))
    return Panel(named_axis(param, ticks, room=5), y_axis, tuple(marks))


def _spread(count: int) -> Numbers:
    """Distances from the middle of a group: the golden ratio's multiples lie evenly for any count, and never change."""
    if count < 3:
        return np.zeros(count)
    return np.array([(index * 0.6180339887 % 1 - 0.5) * 2 * _SPREAD for index in range(count)])


def _opacity(count: int) -> float:
    return 0.85 if count <= 100 else 0.5


def _missing(pairs: Pairs, param: str, metric: str) -> str:
    parts = [
        (pairs.without_param, f"without {param}"),
        (pairs.without_metric, f"without {metric}"),
        (pairs.not_finite, f"whose {metric} is NaN or infinite"),
    ]
    return ", ".join(f"{counted(count, 'run')} {what}" for count, what in parts if count)


def _sentence(pairs: Pairs, groups: Sequence[Group], param: str, metric: str) -> str:
    """The chart in words."""
    if not pairs.run_ids:
        return f"{metric} by {param}: no run has both."
    said = f"{metric} by {param}, {counted(len(pairs.run_ids), 'run')}."
    if not groups:
        return said
    medians = "; ".join(
        f"{group.value}: {number_text(group.quartiles[1])} (n={len(group.run_ids)})" for group in groups
    )
    return f"{said} Medians: {medians}."
