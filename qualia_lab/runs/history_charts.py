"""Metric histories as charts: lines, small multiples, bands over seeds, and the machine's own."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qualia_lab.analysis.curves import RELATIVE, STEP, TIME, align
from qualia_lab.analysis.groups import short_labels
from qualia_lab.analysis.histories import choose_drawn, real
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line
from qualia_lab.runs.said import ASIDE, Said
from qualia_lab.runs.values import aside_of
from qualia_lab.study.statuses import FINISHED, kind_of, statuses_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from qualia_lab.analysis.seed_bands import Middle, Spread
    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.history_panels import RunGroup
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Configuration, Task

# Past so many runs lines on one another say little, and each run or configuration has a panel of its own.
RUNS_IN_ONE_PANEL = 12

# Lines of one chart; past so many none can be told from another, and the browser has to hold them all.
RUNS_DRAWN = 1000
# Configurations of which a band is computed; past so many none can be told from another, and all have to be read.
CONFIGURATIONS_DRAWN = 60


class Look(NamedTuple):
    """How histories are drawn: see `Plots.history`."""

    by: str
    smooth: float
    limit: int | None
    log: bool | None
    columns: int | None
    charts: int = 1  # of so many experiments under one another, which share the NAMED lines


NAMED = 20  # lines with a colour and a place in the legend


def history_chart(loaded: Loaded, task: Task, metric: str, look: Look) -> Chart | Said:
    """A metric over its steps: a line per run of the task, or panels of them."""
    from qualia_lab.charts.history_panels import MAX_PANELS, history_panels
    from qualia_lab.charts.metric_history import metric_history

    if not 0 <= look.smooth < 1:
        raise QualiaLabError(f"{look.smooth} is no smoothing.", "Give a number from 0, not at all, to under 1.")
    run_ids = competing(loaded, task)
    if _nothing_to_draw(loaded, metric, run_ids):
        return Said(f"{metric}: no run recorded it.")
    labels, better = loaded.labels_in(run_ids), loaded.better(metric)
    alone = look.columns == 1 or (
        look.columns is None and (len(run_ids) <= RUNS_IN_ONE_PANEL or len(loaded.study.tasks) > 1)
    )
    groups = None if alone else _panel_groups(loaded, task)
    limit = look.limit if look.limit is not None else NAMED // look.charts if alone else MAX_PANELS
    named = limit if groups is None else 0  # no means of the best runs alone
    drawn = choose_drawn(
        run_ids, loaded.latest(metric, run_ids), named=named, most=max(RUNS_DRAWN, named), greater_is_better=better
    )
    history = _history_by(loaded, metric, look.by, drawn)
    some = drawn if len(drawn) < len(run_ids) else None
    if alone:
        return metric_history(
            history,
            labels,
            metric,
            greater_is_better=better,
            log_y=look.log,
            limit=limit,
            by=look.by,
            smooth=look.smooth,
            drawn=some,
            order=loaded.tables.run_ids,
        )
    return history_panels(
        history,
        labels,
        metric,
        groups,
        greater_is_better=better,
        log_y=look.log,
        limit=limit,
        columns=look.columns,
        by=look.by,
        smooth=look.smooth,
        drawn=some,
        order=loaded.tables.run_ids,
    )


def bands_chart(
    loaded: Loaded, task: Task, metric: str, look: Look, *, middle: Middle, spread: Spread | None
) -> Chart | Said:
    """A metric over its steps, averaged over the runs of each configuration of the task."""
    from qualia_lab.analysis.seed_bands import seed_bands
    from qualia_lab.charts.seed_bands import MAX_NAMED, seed_bands_chart

    if _nothing_to_draw(loaded, metric, competing(loaded, task)):
        return Said(f"{metric}: no run recorded it.")
    limit = MAX_NAMED if look.limit is None else look.limit
    study, status = loaded.study, statuses_of(loaded.tables)
    everything = [one for each in study.in_task(task) if (one := each.without(loaded.left_out))]
    configured = _best_configurations(loaded, everything, metric, limit)
    run_ids = [run_id for one in configured for run_id in one.run_ids]
    # Those of all runs are there already when another chart has shown them.
    read = run_ids if len(configured) < len(everything) else competing(loaded, task)
    in_time = look.by in (STEP, RELATIVE, TIME)
    history = loaded.histories.stream(read, metric) if in_time else _history_by(loaded, metric, look.by, read)
    curves = align(history, run_ids, metric, look.by)
    found = seed_bands(curves, [one.run_ids for one in configured], middle=middle, spread=spread)
    return seed_bands_chart(
        found,
        configured,
        loaded.tables.run_ids,
        greater_is_better=loaded.better(metric),
        log_y=look.log,
        limit=limit,
        total=len(everything),
        left_out=aside_of(loaded, task),
        unfinished=[(status[run_id].lower(), 1) for run_id in run_ids if status[run_id] != FINISHED],
    )


def competing(loaded: Loaded, task: Task) -> list[str]:
    """The runs of a task that are drawn beside each other: no parents, no parts, none that another one continued."""
    left_out = loaded.study.left_out
    return [run_id for run_id in task.run_ids if kind_of(left_out.get(run_id, "")) not in ASIDE]


def _nothing_to_draw(loaded: Loaded, metric: str, run_ids: Sequence[str]) -> bool:
    """Whether this is one of several tasks, in which no run has a number of the metric that another has."""
    return len(loaded.study.tasks) > 1 and not np.isfinite(real(loaded.latest(metric, run_ids))).any()


def _history_by(loaded: Loaded, metric: str, by: str, run_ids: Sequence[str]) -> pa.Table:
    """The history of a metric, and of the one that is its x. Raises QualiaLabError where no run has that one."""
    if by in (STEP, RELATIVE, TIME):
        return loaded.history(metric, run_ids)
    if by not in loaded.metric_keys:
        raise QualiaLabError(
            f"No run recorded {one_line(by, 80)}, over which {one_line(metric, 80)} was to be drawn.",
            f"by is {STEP}, {RELATIVE}, {TIME} or the name of a metric.",
        )
    return loaded.history([metric, by], run_ids)


def _best_configurations(
    loaded: Loaded, configured: Sequence[Configuration], metric: str, limit: int
) -> Sequence[Configuration]:
    """Of very many configurations the best ones by the mean of the latest values, and an even choice of others."""
    latest = dict(zip(loaded.tables.run_ids, real(loaded.latest(metric)).tolist(), strict=True))
    finite = [[latest[run_id] for run_id in one.run_ids if math.isfinite(latest[run_id])] for one in configured]
    means = np.array([fmean(values) if values else math.nan for values in finite])
    places = choose_drawn(
        [str(place) for place in range(len(configured))],
        means,
        named=limit,
        most=max(CONFIGURATIONS_DRAWN, limit),
        greater_is_better=loaded.better(metric),
    )
    return [configured[int(place)] for place in places]


def _panel_groups(loaded: Loaded, task: Task) -> list[RunGroup] | None:
    """The configurations as panels, where two thirds as many hold all runs; else None, a panel per run."""
    from qualia_lab.charts.history_panels import RunGroup

    left_out = loaded.left_out
    there = set(competing(loaded, task))
    configured = [one for one in loaded.study.in_task(task) if not there.isdisjoint(one.run_ids)]
    if len(configured) < 2 or len(configured) * 3 > len(there) * 2:
        return None
    names = short_labels(configured)
    return [
        RunGroup(
            names[one.run_ids[0]],
            tuple(run_id for run_id in one.run_ids if run_id in there),
            frozenset(run_id for run_id in one.run_ids if run_id in there and run_id in left_out),
        )
        for one in configured
    ]
