"""Configurations side by side: every run a point, their mean and its 95 % interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.groups import short_labels
from qualia_lab.analysis.scores import statistic_label
from qualia_lab.charts.axes import direction, fitting_axis, named_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, GRID, INK
from qualia_lab.charts.marks import Line, Panel, Points
from qualia_lab.counts import counted
from qualia_lab.names import distinct_names
from qualia_lab.study.statuses import counts_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qualia_lab.analysis.groups import Group
    from qualia_lab.charts.marks import Mark, Numbers

MOST_GROUPS = 30
_ROW_HEIGHT = 24
_NAME = 44  # columns of a configuration's name
_UNDER = 0.24  # of a row: runs lie under their mean, which would hide them
_MANY = 12  # runs; more of them are drawn paler, so that where they crowd is seen


def group_means(
    groups: Sequence[Group],
    labels: Mapping[str, str],
    metric: str,
    *,
    statistic: str = "last",
    greater_is_better: bool | None = None,
) -> Chart:
    """A row per configuration, best mean first; past 30 the first ones, and the chart says so.

    labels: what to call each run, by run id.  greater_is_better: None where it is not known: then highest first.
    """
    scored = sorted((group for group in groups if group.values), key=lambda group: _place(group, greater_is_better))
    shown = scored[:MOST_GROUPS]
    names = short_labels([group.configuration for group in groups])
    heads = distinct_names([names[group.run_ids[0]] for group in shown], width=_NAME)
    ticks = [f"{head} ({_n(group)})" for head, group in zip(heads, shown, strict=True)]
    label = statistic_label(statistic, metric)
    way = direction(greater_is_better)
    seen, beyond = _seen(shown)
    x_axis = fitting_axis(f"{label} ({way})" if way else label, seen, log=False)
    return Chart(
        title=f"{label} of {counted(len(shown), 'configuration')}: runs, mean and 95 % interval",
        panels=(Panel(x_axis, named_axis("", ticks, downwards=True), _marks(shown, names, labels, x_axis.limits)),),
        sentence=_sentence(shown, names, label, way),
        note=_note(groups, scored, shown, beyond),
        height=max(180, 130 + _ROW_HEIGHT * len(shown)),
    )


def _seen(shown: Sequence[Group]) -> tuple[Numbers, int]:
    """The numbers that have to be on the axis, and how many intervals reach past it.

    An interval of two runs is easily twenty times as wide as they are apart: no more of one is shown than all runs
    span, on either side.
    """
    values = np.array([value for group in shown for value in group.values], dtype=np.float64)
    ends = np.array([(one.interval.low, one.interval.high) for one in shown if one.interval], dtype=np.float64)
    if not len(ends):
        return values, 0
    span = values.max() - values.min()
    low, high = values.min() - span, values.max() + span
    beyond = int(((ends[:, 0] < low) | (ends[:, 1] > high)).sum())
    return np.concatenate([values, np.clip(ends.ravel(), low, high)]), beyond


def _place(group: Group, greater_is_better: bool | None) -> float:
    mean = group.mean or 0.0
    return mean if greater_is_better is False else -mean


def _marks(
    shown: Sequence[Group], names: Mapping[str, str], labels: Mapping[str, str], limits: tuple[float, float]
) -> tuple[Mark, ...]:
    if not shown:
        return ()
    x, y = _spans([(*limits, row) for row in range(len(shown))])
    marks: list[Mark] = [Line(x, y, GRID, width=1, hover=False)]
    intervals = [
        (max(one.interval.low, limits[0]), min(one.interval.high, limits[1]), row)
        for row, one in enumerate(shown)
        if one.interval
    ]
    if intervals:
        x, y = _spans(intervals)
        marks.append(Line(x, y, DATA, label="95 % interval", width=3, hover=False))
    for many in (False, True):
        points = [
            (value, row, f"{labels[run_id]}: {number_text(value)}")
            for row, group in enumerate(shown)
            if (len(group.values) > _MANY) is many
            for run_id, value in zip(group.scored, group.values, strict=True)
        ]
        if points:
            marks.append(
                Points(
                    np.array([value for value, _, _ in points], dtype=np.float64),
                    np.array([row + _UNDER for _, row, _ in points], dtype=np.float64),
                    (INK,),
                    label="one run",
                    texts=tuple(text for _, _, text in points),
                    size=6,
                    opacity=0.25 if many else 0.55,
                )
            )
    means = np.array([group.mean for group in shown], dtype=np.float64)
    texts = tuple(f"{names[group.run_ids[0]]}: mean {_mean(group)} ({_n(group)})" for group in shown)
    marks.append(Points(means, np.arange(len(shown), dtype=np.float64), (DATA,), label="mean", texts=texts, size=9))
    return tuple(marks)


def _spans(spans: Sequence[tuple[float, float, int]]) -> tuple[Numbers, Numbers]:
    """Level lines from the first to the second number, each at a height of its own, with gaps between."""
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


def _note(groups: Sequence[Group], scored: Sequence[Group], shown: Sequence[Group], beyond: int) -> str:
    """What is not seen, and why."""
    notes = []
    if len(shown) < len(scored):
        notes.append(f"Showing the first {len(shown)} of {len(scored):,} configurations.")
    if len(scored) < len(groups):
        notes.append(f"{counted(len(groups) - len(scored), 'configuration')} without a value that counts left out.")
    notes += mean_notes(groups)
    hows = {group.interval.how for group in shown if group.interval}
    words = {"t": "Student's t", "bootstrap": "bootstrap from 10 runs on"}
    if hows:
        notes.append(f"Intervals of the mean: {' and '.join(words[how] for how in sorted(hows, reverse=True))}.")
    if beyond:
        notes.append(f"{counted(beyond, 'interval')} of few runs going on past the edge.")
    return " ".join(notes)


def mean_notes(groups: Sequence[Group]) -> list[str]:
    """Which runs are in none of these means, and which are in one though they did not finish."""
    return said_of(*([count for group in groups for count in getattr(group, of)] for of in ("left_out", "unfinished")))


def said_of(left_out: Iterable[tuple[str, int]], unfinished: Iterable[tuple[str, int]]) -> list[str]:
    """The same of such runs, counted by why."""
    notes = []
    if out := counts_text(left_out):
        notes.append(f"In no mean: {out}.")
    if counted := counts_text(unfinished):
        notes.append(f"Not finished, and in these means: {counted}.")
    return notes


def _sentence(shown: Sequence[Group], names: Mapping[str, str], label: str, way: str) -> str:
    """The chart in words."""
    if not shown:
        return f"{label}: no configuration has a finite value."
    first, last = shown[0], shown[-1]
    said_first = f"{names[first.run_ids[0]]} {_mean(first)} ({_n(first)})"
    if first is last:
        return f"{label} of 1 configuration: {said_first}."
    order = "best mean first" if way else "highest mean first"
    said_last = f"{names[last.run_ids[0]]} {_mean(last)} ({_n(last)})"
    return f"{label} of {len(shown)} configurations, {order}: {said_first} to {said_last}."
