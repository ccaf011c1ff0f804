"""Chart of configurations side by side: a point for each run, the mean and its 95 % interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings.naming import narrow_names
from qualia_lab.analysis.groups import short_labels
from qualia_lab.analysis.scores import statistic_label
from qualia_lab.charts.axes import category_axis, direction, fit_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, GRID, INK, QUIET, REST, run_styles
from qualia_lab.charts.marks import Line, Panel, Points
from qualia_lab.counts import counted
from qualia_lab.study.statuses import counts_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qualia_lab.analysis.groups import Group
    from qualia_lab.charts.marks import Mark, Numbers

MAX_GROUPS = 30
_ROW_HEIGHT = 24
_NAME_WIDTH = 44  # characters of the name of a configuration
_RUN_OFFSET = 0.24  # of a row: runs are drawn below their mean, which would hide them
_PALE_FROM = 12  # runs; more are drawn paler, so that dense regions stay visible


def group_means(
    groups: Sequence[Group],
    labels: Mapping[str, str],
    metric: str,
    *,
    statistic: str = "last",
    greater_is_better: bool | None = None,
    limit: int = MAX_GROUPS,
    ranked: Mapping[str, str] | None = None,
    beside: tuple[Mapping[str, str], str] | None = None,
    order: Sequence[str] = (),
    run_names: Mapping[str, str] | None = None,
) -> Chart:
    """Draw a row per configuration, best mean first; of more than `limit` the first ones, as the note says.

    Args:
        groups: the configurations with the values of their runs.
        labels: the label of each run, by run id.
        metric: the name of the metric.
        statistic: the statistic of the metric's history that the values are.
        greater_is_better: the direction of the metric; None if it is not known, then the highest mean comes first.
        limit: the most rows.
        ranked: the name of each group, by its first run, if the groups are sorted already; None to sort and name them.
        beside: the names beside the rows, by the first run of each group, and a sentence about them for the note; None
            for the fewest factors that distinguish the groups.
        order: the runs of the notebook, the leading ones first; a configuration has the colour of its first run (see
            colours.run_styles), and one that does not lead is grey. () for one colour.
        run_names: the name of each run as it was logged, for configurations that have few factors in common.
    """
    scored = [group for group in groups if group.values]
    if ranked is None:
        scored.sort(key=lambda group: _sort_key(group, greater_is_better))
    names = short_labels([group.configuration for group in scored]) if ranked is None else ranked
    shown = scored[:limit]
    beside_names, about_names = beside or narrow_names(
        [group.configuration for group in scored], _NAME_WIDTH, run_names
    )
    ticks = [f"{beside_names[group.run_ids[0]]} ({_n(group)})" for group in shown]
    label = statistic_label(statistic, metric)
    direction_words = direction(greater_is_better)
    firsts = [group.run_ids[0] for group in shown]
    colours = [DATA] * len(shown)
    if order:
        colours = [QUIET if colour == REST else colour for colour, _ in run_styles(firsts, order).values()]
    axis_values, cut_off = _axis_values(shown)
    x_axis = fit_axis(f"{label} ({direction_words})" if direction_words else label, axis_values, log=False)
    return Chart(
        title=f"{label} of {counted(len(shown), 'configuration')}: runs, mean and 95 % interval",
        panels=(
            Panel(
                x_axis, category_axis("", ticks, downwards=True), _marks(shown, names, labels, x_axis.limits, colours)
            ),
        ),
        sentence=_sentence(shown, names, label, _order_text(shown, direction_words, ranked=ranked is not None)),
        note=" ".join(filter(None, (about_names, _note(groups, scored, shown, cut_off)))),
        height=max(180, 130 + _ROW_HEIGHT * len(shown)),
    )


def _axis_values(shown: Sequence[Group]) -> tuple[Numbers, int]:
    """Return the numbers that the axis has to contain, and how many intervals extend beyond it.

    The interval of two runs is easily twenty times as wide as the distance between them, so intervals are clipped to
    the range of all runs, extended by its width on either side.
    """
    values = np.array([value for group in shown for value in group.values], dtype=np.float64)
    ends = np.array([(one.interval.low, one.interval.high) for one in shown if one.interval], dtype=np.float64)
    if not len(ends):
        return values, 0
    span = values.max() - values.min()
    low, high = values.min() - span, values.max() + span
    cut_off = int(((ends[:, 0] < low) | (ends[:, 1] > high)).sum())
    return np.concatenate([values, np.clip(ends.ravel(), low, high)]), cut_off


def _sort_key(group: Group, greater_is_better: bool | None) -> float:
    mean = group.mean or 0.0
    return mean if greater_is_better is False else -mean


def _marks(
    shown: Sequence[Group],
    names: Mapping[str, str],
    labels: Mapping[str, str],
    limits: tuple[float, float],
    colours: Sequence[str],
) -> tuple[Mark, ...]:
    if not shown:
        return ()
    x, y = _segments([(*limits, row) for row in range(len(shown))])
    marks: list[Mark] = [Line(x, y, GRID, width=1, hover=False)]
    intervals = [
        (max(one.interval.low, limits[0]), min(one.interval.high, limits[1]), row)
        for row, one in enumerate(shown)
        if one.interval
    ]
    if intervals:
        marks += [
            Line(
                np.array([low, high]),
                np.array([row, row], np.float64),
                colours[row],
                label="95 % interval",
                width=3,
                hover=False,
                runs=" ".join(shown[row].run_ids),
            )
            for low, high, row in reversed(intervals)
        ]
    for crowded in (False, True):
        points = [
            (value, row, f"{labels[run_id]}: {number_text(value)}", run_id)
            for row, group in enumerate(shown)
            if (len(group.values) > _PALE_FROM) is crowded
            for run_id, value in zip(group.scored, group.values, strict=True)
        ]
        if points:
            marks.append(
                Points(
                    np.array([value for value, *_ in points], dtype=np.float64),
                    np.array([row + _RUN_OFFSET for _, row, *_ in points], dtype=np.float64),
                    (INK,),
                    label="one run",
                    texts=tuple(text for *_, text, _ in points),
                    size=6,
                    opacity=0.25 if crowded else 0.55,
                    runs=tuple(run_id for *_, run_id in points),
                )
            )
    means = np.array([group.mean for group in shown], dtype=np.float64)
    texts = tuple(f"{names[group.run_ids[0]]}: mean {_mean(group)} ({_n(group)})" for group in shown)
    runs = tuple(" ".join(group.run_ids) for group in shown)
    at = np.arange(len(shown), dtype=np.float64)
    marks.append(Points(means, at, tuple(colours), label="mean", texts=texts, size=9, runs=runs))
    return tuple(marks)


def _segments(spans: Sequence[tuple[float, float, int]]) -> tuple[Numbers, Numbers]:
    """Return horizontal segments (x start, x end, y) as one line with NaN gaps."""
    ends = [end for low, high, row in spans for end in ((low, row), (high, row), (math.nan, math.nan))]
    x, y = np.array(ends, dtype=np.float64).T
    return x, y


def _n(group: Group) -> str:
    n, runs = len(group.values), len(group.run_ids)
    return f"n={n}" if n == runs else f"n={n} of {runs}"


def _mean(group: Group) -> str:
    text = number_text(group.mean if group.mean is not None else math.nan)
    if group.interval is None:
        return text
    return f"{text}, 95 % {number_text(group.interval.low)} to {number_text(group.interval.high)}"


def _note(groups: Sequence[Group], scored: Sequence[Group], shown: Sequence[Group], cut_off: int) -> str:
    """Say what is not shown, and why."""
    notes = []
    if len(shown) < len(scored):
        notes.append(f"Showing the first {len(shown)} of {len(scored):,} configurations.")
    if len(scored) < len(groups):
        notes.append(f"{counted(len(groups) - len(scored), 'configuration')} left out: no usable value.")
    notes += mean_notes(groups)
    methods = {group.interval.how for group in shown if group.interval}
    method_names = {"t": "Student's t", "bootstrap": "bootstrap from 10 runs on"}
    if methods:
        notes.append(
            f"Intervals of the mean: {' and '.join(method_names[method] for method in sorted(methods, reverse=True))}."
        )
    if cut_off:
        notes.append(f"{counted(cut_off, 'interval')} of few runs cut off at the edge.")
    return " ".join(notes)


def mean_notes(groups: Sequence[Group]) -> list[str]:
    """Say which runs are in none of these means, and which unfinished runs are."""
    return exclusion_notes(
        *([count for group in groups for count in getattr(group, field)] for field in ("left_out", "unfinished"))
    )


def exclusion_notes(left_out: Iterable[tuple[str, int]], unfinished: Iterable[tuple[str, int]]) -> list[str]:
    """Return those sentences from (reason, number of runs) pairs."""
    notes = []
    if excluded := counts_text(left_out):
        notes.append(f"In no mean: {excluded}.")
    if included := counts_text(unfinished):
        notes.append(f"Not finished, and in these means: {included}.")
    return notes


def _order_text(shown: Sequence[Group], direction_words: str, *, ranked: bool) -> str:
    """Say how the rows are sorted; groups that are ranked may have those that ran once at the end."""
    order = "best mean first" if direction_words else "highest mean first"
    mixed = ranked and len({len(group.values) > 1 for group in shown}) > 1
    return f"{order}, those that ran once after the others" if mixed else order


def _sentence(shown: Sequence[Group], names: Mapping[str, str], label: str, order: str) -> str:
    """Describe the chart in words."""
    if not shown:
        return f"{label}: no configuration has a finite value."
    first, last = shown[0], shown[-1]
    first_text = f"{names[first.run_ids[0]]} {_mean(first)} ({_n(first)})"
    if first is last:
        return f"{label} of 1 configuration: {first_text}."
    last_text = f"{names[last.run_ids[0]]} {_mean(last)} ({_n(last)})"
    return f"{label} of {len(shown)} configurations, {order}: {first_text} to {last_text}."
