"""Small multiples of one metric over its steps: a panel per run or configuration, the other runs grey behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.curves import STEP, align, as_drawn
from qualia_lab.charts.axes import compact_axis, direction, distinct_labels, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import GREY, QUIET, run_styles
from qualia_lab.charts.marks import Panel
from qualia_lab.charts.metric_history import (
    background_lines,
    history_axis,
    history_note,
    history_sentence,
    robust_axis,
    run_marks,
    subset_note,
    x_axis_text,
)
from qualia_lab.charts.simplify import joined
from qualia_lab.counts import counted
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.analysis.curves import Curves
    from qualia_lab.analysis.histories import Series
    from qualia_lab.charts.marks import Mark

MAX_PANELS = 24
PANEL_COLUMNS = 4  # for runs; the name of a configuration needs a wider panel
GROUP_COLUMNS = 3
ROW_HEIGHT = 150
_TITLE_ROW_WIDTH = 180  # characters of all titles in a row together, each in up to two lines
GROUP_NAME_WIDTH = 42  # characters of the name of a group, beside its last value
_MIN_NAME_WIDTH = 12  # characters reserved for the name in a title
_LINE_POINTS = 400  # per run in its own panel
_PANEL_RUNS = 12  # per configuration; with more, the lines cannot be distinguished
_GREY_RUNS, _GREY_POINTS = 24, 60  # behind each panel; in 24 panels they are a third of a megabyte


@dataclass(frozen=True)
class RunGroup:
    """The runs of one panel, and its title.

    Attributes:
        title: the title.
        run_ids: the runs that are drawn.
        uncounted: those of them that are not in the mean in the title.
    """

    title: str
    run_ids: tuple[str, ...]
    uncounted: frozenset[str] = frozenset()


def history_panels(
    history: pa.Table,
    labels: Mapping[str, str],
    key: str,
    groups: Sequence[RunGroup] | None = None,
    *,
    greater_is_better: bool | None = None,
    log_y: bool | None = None,
    limit: int = MAX_PANELS,
    columns: int | None = None,
    by: str = STEP,
    smooth: float = 0.0,
    drawn: Sequence[str] | None = None,
    order: Sequence[str] = (),
) -> Chart:
    """Draw a panel per group, or per run if no groups are given, best mean last value first, with equal axes.

    All runs, or an even sample of many, are drawn in grey behind each panel.

    Args:
        history: schema.METRIC_HISTORY, of any runs and metrics.
        labels: the label of each run, by run id, in the order of the notebook.
        key: the metric.
        groups: the runs and the title of each panel; None for a panel per run.
        greater_is_better: the direction of the metric; None if it is not known.
        log_y: whether the y axis is logarithmic; None for automatic.
        limit: the maximum number of panels.
        columns: panels per row; None for 4 with runs and 3 with groups.
        by: the x axis: `step`, `relative`, `time` or another metric (see analysis.curves).
        smooth: strength of the smoothing, from 0 (none) to below 1; the recorded values stay visible, faint.
        drawn: the runs of a sample, if there are too many runs; the note says so.
        order: the runs of the notebook, the leading ones first, which are coloured (see colours.run_styles); () to
            colour the first panels.
    """
    requested = list(labels) if drawn is None else list(drawn)
    curves = align(history, requested, key, by)
    histories = as_drawn(curves)
    recorded = {series.run_id: series for series in histories.series}
    names = distinct_labels(labels)
    per_run = groups is None
    requested_groups = [RunGroup(names[run_id], (run_id,)) for run_id in requested] if groups is None else list(groups)
    present = _ranked(
        [group for group in requested_groups if any(run_id in recorded for run_id in group.run_ids)],
        recorded,
        greater_is_better,
    )
    shown = present[:limit]
    lines, smoothed = _lines(curves, {run_id for group in shown for run_id in group.run_ids}, smooth)

    columns = max(1, min(columns or (PANEL_COLUMNS if per_run else GROUP_COLUMNS), len(shown)))
    x_axis = compact_axis(history_axis(histories), max(2, 12 // columns))
    y_axis, outlier_note = robust_axis(key, [series.y for series in histories.series], log=log_y)
    y_axis = compact_axis(y_axis, 4)
    behind = [histories.series[index] for index in _even_indices(len(histories.series), _GREY_RUNS)]
    grey = joined(background_lines(behind, y_axis, points=_GREY_POINTS)) if len(histories.series) > 1 else None
    titles = _titles(shown, lines, _TITLE_ROW_WIDTH // columns)
    panels, max_runs, uncounted_runs = [], 0, 0
    for index, group in enumerate(shown):
        members = [lines[run_id] for run_id in group.run_ids if run_id in lines]
        drawn_series = [members[position] for position in _even_indices(len(members), _PANEL_RUNS)]
        max_runs = max(max_runs, len(members))
        styles = run_styles(
            [series.run_id for series in drawn_series], order or [" ".join(one.run_ids) for one in shown]
        )
        marks: list[Mark] = [grey] if grey else []
        for series in drawn_series:
            marks += run_marks(
                series,
                names[series.run_id],
                (QUIET, "solid") if styles[series.run_id] == GREY else styles[series.run_id],
                y_axis,
                greater_is_better,
                smoothed=smoothed.get(series.run_id),
                in_legend=False,
            )
        in_last_row = index + columns >= len(shown)
        uncounted_runs += len(members) - len(_counted_series(group, lines))
        panels.append(Panel(x_axis if in_last_row else replace(x_axis, label=""), y_axis, tuple(marks), titles[index]))
    rows = math.ceil(len(shown) / columns)
    what = "run" if per_run else "configuration"
    return Chart(
        title=f"{key} over {x_axis_text(histories)}, a panel per {what}",
        panels=tuple(panels) or (Panel(x_axis, y_axis, ()),),
        sentence=history_sentence(
            histories, _best_runs(histories.series, greater_is_better), names, greater_is_better=greater_is_better
        ),
        note=" ".join(
            part
            for part in (
                subset_note(len(requested), len(labels)),
                *_panel_notes(
                    (len(shown), len(present)), (len(behind), len(histories.series)), what, greater_is_better
                ),
                f"Not in their means: {counted(uncounted_runs, 'run')} that did not finish." if uncounted_runs else "",
                f"Drawn of each {what}: an even sample of {_PANEL_RUNS} runs." if max_runs > _PANEL_RUNS else "",
                outlier_note,
                history_note(histories, len(requested), smooth),
            )
            if part
        ),
        height=130 + ROW_HEIGHT * max(rows, 2),
        columns=columns,
    )


def _lines(curves: Curves, run_ids: set[str], smooth: float) -> tuple[dict[str, Series], dict[str, Series]]:
    """Return the series of these runs by run id, and the smoothed ones if `smooth` is not 0."""
    shown = replace(curves, curves=tuple(one for one in curves.curves if one.run_id in run_ids))
    raw = as_drawn(shown, most_points=_LINE_POINTS)
    smoothed = as_drawn(shown, most_points=_LINE_POINTS, smoothed=smooth).series if smooth else ()
    return {one.run_id: one for one in raw.series}, {one.run_id: one for one in smoothed}


def _ranked(groups: list[RunGroup], lines: Mapping[str, Series], greater_is_better: bool | None) -> list[RunGroup]:
    if greater_is_better is None:
        return groups
    sign = -1 if greater_is_better else 1
    mean_lasts = {id(group): _mean_last(_counted_series(group, lines)) for group in groups}
    return sorted(
        groups, key=lambda group: (math.isnan(mean_lasts[id(group)]), sign * np.nan_to_num(mean_lasts[id(group)]))
    )


def _mean_last(runs: Sequence[Series]) -> float:
    lasts = [one.last for one in runs if np.isfinite(one.last)]
    return fmean(lasts) if lasts else math.nan


def _best_runs(series: Sequence[Series], greater_is_better: bool | None) -> list[Series]:
    sign = -1 if greater_is_better else 1
    return sorted(series, key=lambda one: (math.isnan(one.last), sign * np.nan_to_num(one.last)))


def _even_indices(count: int, max_count: int) -> list[int]:
    """Return at most `max_count` evenly spaced indices below `count`."""
    return (
        list(range(count))
        if count <= max_count
        else sorted({round(place) for place in np.linspace(0, count - 1, max_count)})
    )


def _titles(groups: Sequence[RunGroup], lines: Mapping[str, Series], width: int) -> list[str]:
    """Return panel titles of at most `width` characters: name and last value; different names stay different."""
    endings = [
        _ending(_counted_series(group, lines), sum(run_id in lines for run_id in group.run_ids)) for group in groups
    ]
    endings = [ending if width - len(ending) >= _MIN_NAME_WIDTH else "" for ending in endings]
    names = distinct_names([group.title for group in groups], width=width - max(map(len, endings), default=0))
    return [name + ending for name, ending in zip(names, endings, strict=True)]


def _counted_series(group: RunGroup, lines: Mapping[str, Series]) -> list[Series]:
    """Return the runs of a group that are in the mean in its title."""
    return [lines[run_id] for run_id in group.run_ids if run_id in lines and run_id not in group.uncounted]


def _ending(runs: Sequence[Series], line_count: int) -> str:
    """Format the mean last value of these runs, and how many of the lines in the panel it includes."""
    last = _mean_last(runs)
    text = f" · {'NaN' if math.isnan(last) else number_text(last)}" if runs else ""
    if line_count > 1:
        n = sum(1 for one in runs if np.isfinite(one.last))
        text += f" (n={n})" if n == line_count else f" (n={n} of {line_count})"
    return text


def _panel_notes(
    panels: tuple[int, int], grey: tuple[int, int], what: str, greater_is_better: bool | None
) -> list[str]:
    """Say how the panels are sorted, how many are left out, and which runs are behind them."""
    (shown, present), (behind, series) = panels, grey
    direction_words = direction(greater_is_better)
    order = f"best last value first ({direction_words})" if direction_words else "in the order of the runs"
    text = f"Panels: {order}; behind each the others in grey"
    if behind < series:
        text += f", {behind} of {counted(series, 'run')}, evenly sampled"
    notes = [f"{text}. In the titles: the last value" + (", the mean of n runs." if what != "run" else ".")]
    if shown < present:
        notes.append(f"Showing {shown} of {counted(present, what)}.")
    return notes
