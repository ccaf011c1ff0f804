"""Chart of a metric against a param, as a scatter or as box plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.distributions import group_by_param, pair_up
from qualia_lab.analysis.findings.naming import short_values
from qualia_lab.charts.axes import category_axis, direction, distinct_labels, fit_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, FILL, INK
from qualia_lab.charts.marks import Box, Line, Panel, Points
from qualia_lab.charts.sampling import MAX_POINTS, sample_by_value, sample_note
from qualia_lab.charts.unfinished import mark_unfinished
from qualia_lab.counts import counted
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.analysis.distributions import Group, Pairs
    from qualia_lab.charts.marks import Axis, Mark, Numbers

_MAX_GROUPS = 12
_MAX_NUMBERS = 6  # with more distinct numbers, they are a scale, not groups
_BOX_FROM = 5  # runs; with fewer, quartiles say less than the points
_SPREAD = 0.16  # half of the width over which the points of a group are spread


def param_distribution(
    params: pa.Table,
    metrics: pa.Table,
    labels: Mapping[str, str],
    param: str,
    metric: str,
    *,
    greater_is_better: bool | None = None,
    unfinished: Mapping[str, str] | None = None,
) -> Chart:
    """Draw the latest value of a metric against a param.

    A numeric param with more than 6 values is drawn as a scatter, on a log axis if it spans two decades. Any other
    param is drawn in groups: a point per run, with a box plot behind 5 or more runs, else a line at the median.

    Args:
        params: schema.PARAMS.
        metrics: schema.METRICS.
        labels: the label of each run, by run id, in the order of the notebook.
        param: the param; treated as numeric if all of its values are numbers.
        metric: the metric.
        greater_is_better: the direction of the metric; None if it is not known.
        unfinished: the status of each run that did not finish, by run id; these are drawn as rings.
    """
    pairs = pair_up(params, metrics, list(labels), param, metric)
    names = distinct_labels(labels)
    y_axis = fit_axis(metric, np.array(pairs.metric, dtype=np.float64), padding=0.07)
    notes = [
        f"n = {len(pairs.run_ids)}" + (f", {direction(greater_is_better)}." if direction(greater_is_better) else ".")
    ]
    groups: tuple[Group, ...] = ()
    if pairs.numbers is not None and len(set(pairs.numbers)) > _MAX_NUMBERS:
        panel = _scatter(pairs, names, param, y_axis, unfinished or {})
        drawn_count, total = min(MAX_POINTS, len(pairs.run_ids)), len(pairs.run_ids)
    else:
        groups = group_by_param(pairs)
        if len(groups) > _MAX_GROUPS:
            largest = sorted(groups, key=lambda group: -len(group.run_ids))[:_MAX_GROUPS]
            notes.append(f"Showing the {_MAX_GROUPS} most frequent of {len(groups)} values.")
            groups = tuple(group for group in groups if group in largest)
        panel = _groups(groups, names, param, y_axis, unfinished or {})
        drawn_count = sum(min(len(group.run_ids), MAX_POINTS // len(groups)) for group in groups)
        total = sum(len(group.run_ids) for group in groups)
    notes += filter(
        None, [sample_note(drawn_count, total, more="; boxes and medians are computed from all" if groups else "")]
    )
    if missing := _missing(pairs, param, metric):
        notes.append(f"Not shown: {missing}.")
    return Chart(
        title=f"{metric} by {param}",
        panels=(panel,),
        sentence=_sentence(pairs, groups, param, metric),
        note=" ".join(notes),
        height=400,
    )


def _scatter(pairs: Pairs, names: Mapping[str, str], param: str, y_axis: Axis, unfinished: Mapping[str, str]) -> Panel:
    x = np.array(pairs.numbers, dtype=np.float64)
    y = np.array(pairs.metric)
    chosen = sample_by_value(pairs.metric)
    texts = tuple(
        f"{names[pairs.run_ids[index]]}: {number_text(pairs.metric[index])} at {pairs.params[index]}"
        for index in chosen
    )
    points = Points(
        x[chosen], y[chosen], (DATA,), texts=texts, opacity=_opacity(len(chosen)), runs=_runs(pairs.run_ids, chosen)
    )
    return Panel(fit_axis(param, x), y_axis, tuple(mark_unfinished(points, unfinished)))


def _groups(
    groups: Sequence[Group], names: Mapping[str, str], param: str, y_axis: Axis, unfinished: Mapping[str, str]
) -> Panel:
    """Return a panel with a column of points per group, jittered so that equal values are visible."""
    max_width = max(8, 96 // max(1, len(groups)))
    short = short_values(group.value for group in groups)
    cut_names = distinct_names([short[group.value] for group in groups], width=max_width)
    ticks = [f"{head} (n={len(group.run_ids)})" for head, group in zip(cut_names, groups, strict=True)]
    marks: list[Mark] = []
    for position, group in enumerate(groups):
        low, median, high = group.quartiles
        if len(group.run_ids) >= _BOX_FROM:
            whisker = 1.5 * (high - low)
            inside = [value for value in group.metric if low - whisker <= value <= high + whisker]
            marks.append(
                Box(float(position), min(inside), low, median, high, max(inside), FILL, " ".join(group.run_ids))
            )
        else:
            ends = np.array([position - 0.25, position + 0.25])
            marks.append(Line(ends, np.array([median, median]), INK, width=1.5, hover=False))
    for position, group in enumerate(groups):
        chosen = sample_by_value(group.metric, MAX_POINTS // len(groups))
        texts = tuple(f"{names[group.run_ids[index]]}: {number_text(group.metric[index])}" for index in chosen)
        x = position + _jitter(len(chosen))
        y = np.array(group.metric)[chosen]
        runs = _runs(group.run_ids, chosen)
        points = Points(x, y, (DATA,), texts=texts, opacity=_opacity(len(x)), size=7, runs=runs)
        marks += mark_unfinished(points, unfinished)
    return Panel(category_axis(param, ticks, min_slots=4), y_axis, tuple(marks))


def _jitter(count: int) -> Numbers:
    """Return jitter for the points of a group: multiples of the golden ratio, evenly spaced and reproducible."""
    if count < 3:
        return np.zeros(count)
    return np.array([(index * 0.6180339887 % 1 - 0.5) * 2 * _SPREAD for index in range(count)])


def _runs(run_ids: Sequence[str], chosen: Sequence[int]) -> tuple[str, ...]:
    return tuple(run_ids[index] for index in chosen)


def _opacity(count: int) -> float:
    return 0.85 if count <= 100 else 0.5


def _missing(pairs: Pairs, param: str, metric: str) -> str:
    parts = [
        (pairs.without_param, f"without {param}"),
        (pairs.without_metric, f"without {metric}"),
        (pairs.not_finite, f"with NaN or infinite {metric}"),
    ]
    return ", ".join(f"{counted(count, 'run')} {what}" for count, what in parts if count)


def _sentence(pairs: Pairs, groups: Sequence[Group], param: str, metric: str) -> str:
    """Describe the chart in words."""
    if not pairs.run_ids:
        return f"{metric} by {param}: no run has both."
    text = f"{metric} by {param}, {counted(len(pairs.run_ids), 'run')}."
    if not groups:
        return text
    medians = "; ".join(
        f"{group.value}: {number_text(group.quartiles[1])} (n={len(group.run_ids)})" for group in groups
    )
    return f"{text} Medians: {medians}."
