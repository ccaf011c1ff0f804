"""One metric over its steps in small multiples: a panel per run or per configuration, the other runs grey behind."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.curves import STEP, align, as_drawn
from qualia_lab.charts.axes import direction, number_text, small_axis, told_apart
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import run_styles
from qualia_lab.charts.marks import Panel
from qualia_lab.charts.metric_history import (
    chosen_note,
    grey_line,
    history_axis,
    history_note,
    history_sentence,
    over_text,
    run_marks,
    usual_axis,
)
from qualia_lab.counts import counted
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.analysis.curves import Curves
    from qualia_lab.analysis.histories import Series
    from qualia_lab.charts.marks import Mark

MOST_PANELS = 24
PANEL_COLUMNS = 4  # of runs; a configuration's name needs more room
GROUP_COLUMNS = 3
ROW_HEIGHT = 150
_TITLE = 112  # characters that a row of titles has room for
_NAME = 12  # columns that a name has in a title, whatever else would stand there
_LINE_POINTS = 400  # of a run in its own panel
_PANEL_RUNS = 12  # of a configuration, past which no line can be told from another
_GREY_RUNS, _GREY_POINTS = 40, 40  # behind a panel: 24 panels of them are a third of a megabyte


@dataclass(frozen=True)
class RunGroup:
    """The runs of one panel, and its title.  uncounted: those of them that are not in the mean of the title."""

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
    limit: int = MOST_PANELS,
    columns: int | None = None,
    by: str = STEP,
    smooth: float = 0.0,
    drawn: Sequence[str] | None = None,
    order: Sequence[str] = (),
) -> Chart:
    """A panel per group, best mean last value first, all with the same axes; without groups a panel per run.

    Behind each panel stand all runs, of many an even choice, in grey. The other arguments are those of
    metric_history.
    """
    asked = list(labels) if drawn is None else list(drawn)
    curves = align(history, asked, key, by)
    found = as_drawn(curves)
    recorded = {one.run_id: one for one in found.series}
    names, order = told_apart(labels), order or list(labels)
    per_run = groups is None
    wanted = [RunGroup(names[run_id], (run_id,)) for run_id in asked] if groups is None else list(groups)
    present = _ranked(
        [one for one in wanted if any(run_id in recorded for run_id in one.run_ids)], recorded, greater_is_better
    )
    shown = present[:limit]
    lines, smoothed = _lines(curves, {run_id for group in shown for run_id in group.run_ids}, smooth)

    columns = max(1, min(columns or (PANEL_COLUMNS if per_run else GROUP_COLUMNS), len(shown)))
    x_axis = small_axis(history_axis(found), max(2, 12 // columns))
    y_axis, beyond = usual_axis(key, [one.y for one in found.series], log=log_y)
    y_axis = small_axis(y_axis, 4)
    behind = [found.series[place] for place in _even(len(found.series), _GREY_RUNS)]
    grey = grey_line(behind, points=_GREY_POINTS) if len(found.series) > 1 else None
    titles = _titles(shown, lines, _TITLE // columns)
    panels, fullest, uncounted = [], 0, 0
    for place, group in enumerate(shown):
        members = [lines[run_id] for run_id in group.run_ids if run_id in lines]
        there = [members[index] for index in _even(len(members), _PANEL_RUNS)]
        fullest = max(fullest, len(members))
        styles = run_styles([one.run_id for one in there], order)
        marks: list[Mark] = [grey] if grey else []
        for one in there:
            marks += run_marks(
                one,
                names[one.run_id],
                styles[one.run_id],
                y_axis,
                greater_is_better,
                smoothed=smoothed.get(one.run_id),
                in_legend=False,
            )
        lowest = place + columns >= len(shown)
        uncounted += len(members) - len(_that_count(group, lines))
        panels.append(Panel(x_axis if lowest else replace(x_axis, label=""), y_axis, tuple(marks), titles[place]))
    rows = math.ceil(len(shown) / columns)
    what = "run" if per_run else "configuration"
    return Chart(
        title=f"{key} over {over_text(found)}, a panel per {what}",
        panels=tuple(panels) or (Panel(x_axis, y_axis, ()),),
        sentence=history_sentence(
            found, _best_runs(found.series, greater_is_better), names, greater_is_better=greater_is_better
        ),
        note=" ".join(
            part
            for part in (
                chosen_note(len(asked), len(labels)),
                *_chosen((len(shown), len(present)), (len(behind), len(found.series)), what, greater_is_better),
                f"Not in their means: {counted(uncounted, 'run')} that did not finish." if uncounted else "",
                f"Drawn of each {what}: an even choice of {_PANEL_RUNS} runs." if fullest > _PANEL_RUNS else "",
                beyond,
                history_note(found, len(asked), smooth),
            )
            if part
        ),
        height=130 + ROW_HEIGHT * max(rows, 2),
        columns=columns,
    )


def _lines(curves: Curves, run_ids: set[str], smooth: float) -> tuple[dict[str, Series], dict[str, Series]]:
    """These runs as they are drawn in their panels, by run id; and smoothed, where that is asked for."""
    shown = replace(curves, curves=tuple(one for one in curves.curves if one.run_id in run_ids))
    raw = as_drawn(shown, most_points=_LINE_POINTS)
    smoothed = as_drawn(shown, most_points=_LINE_POINTS, smoothed=smooth).series if smooth else ()
    return {one.run_id: one for one in raw.series}, {one.run_id: one for one in smoothed}


def _ranked(groups: list[RunGroup], lines: Mapping[str, Series], greater_is_better: bool | None) -> list[RunGroup]:
    if greater_is_better is None:
        return groups
    sign = -1 if greater_is_better else 1
    lasts = {id(group): _mean_last(_that_count(group, lines)) for group in groups}
    return sorted(groups, key=lambda one: (math.isnan(lasts[id(one)]), sign * np.nan_to_num(lasts[id(one)])))


def _mean_last(runs: Sequence[Series]) -> float:
    lasts = [one.last for one in runs if np.isfinite(one.last)]
    return fmean(lasts) if lasts else math.nan


def _best_runs(series: Sequence[Series], greater_is_better: bool | None) -> list[Series]:
    sign = -1 if greater_is_better else 1
    return sorted(series, key=lambda one: (math.isnan(one.last), sign * np.nan_to_num(one.last)))


def _even(count: int, most: int) -> list[int]:
    """An even choice of at most so many places."""
    return list(range(count)) if count <= most else sorted({round(place) for place in np.linspace(0, count - 1, most)})


def _titles(groups: Sequence[RunGroup], lines: Mapping[str, Series], room: int) -> list[str]:
    """The panels' names with what they end at, in so many columns; different names stay different."""
    said = [_ending(_that_count(group, lines), sum(run_id in lines for run_id in group.run_ids)) for group in groups]
    said = [ending if room - len(ending) >= _NAME else "" for ending in said]
    names = distinct_names([group.title for group in groups], width=room - max(map(len, said), default=0))
    return [name + ending for name, ending in zip(names, said, strict=True)]


def _that_count(group: RunGroup, lines: Mapping[str, Series]) -> list[Series]:
    """The runs of a group that are in the mean of its title."""
    return [lines[run_id] for run_id in group.run_ids if run_id in lines and run_id not in group.uncounted]


def _ending(runs: Sequence[Series], lines: int) -> str:
    """What they end at, and of how many of the panel's lines that is the mean."""
    last = _mean_last(runs)
    said = "" if math.isnan(last) else f" · {number_text(last)}"
    if lines > 1:
        n = sum(1 for one in runs if np.isfinite(one.last))
        said += f" (n={n})" if n == lines else f" (n={n} of {lines})"
    return said


def _chosen(panels: tuple[int, int], grey: tuple[int, int], what: str, greater_is_better: bool | None) -> list[str]:
    """How the panels stand, which are left out, and what is behind them."""
    (shown, present), (behind, series) = panels, grey
    way = direction(greater_is_better)
    order = f"best last value first ({way})" if way else "in the order of the runs"
    said = f"Panels: {order}; behind each the others in grey"
    if behind < series:
        said += f", an even choice of {behind} of {counted(series, 'run')}"
    notes = [f"{said}. In the titles: the last value" + (", the mean of n runs." if what != "run" else ".")]
    if shown < present:
        notes.append(f"Showing {shown} of {counted(present, what)}.")
    return notes
