"""Charts of metric histories: lines, small multiples, and bands over seeds."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qualia_lab.analysis.curves import RELATIVE, STEP, TIME, align
from qualia_lab.analysis.findings.naming import narrow_names
from qualia_lab.analysis.histories import choose_drawn, real
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line
from qualia_lab.runs.leading import are_repeated
from qualia_lab.runs.message import ASIDE, Message
from qualia_lab.runs.values import excluded_counts
from qualia_lab.study.left_out import names_of
from qualia_lab.study.statuses import FINISHED, kind_of, statuses_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from qualia_lab.analysis.seed_bands import Middle, Spread
    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.history_panels import RunGroup
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Configuration, Task

# With more runs than this, lines in one panel are unreadable, and each run or configuration gets its own panel.
RUNS_IN_ONE_PANEL = 12

# Most lines in one chart: more cannot be distinguished, and the browser has to hold all of them.
RUNS_DRAWN = 1000
# Most configurations with a band: more cannot be distinguished, and the histories of all would have to be read.
CONFIGURATIONS_DRAWN = 60


class Look(NamedTuple):
    """Options for drawing histories; see `Plots.history`."""

    by: str
    smooth: float
    limit: int | None
    log: bool | None
    columns: int | None


def history_chart(loaded: Loaded, task: Task, metric: str, look: Look) -> Chart | Message:
    """A metric over its steps: a line per run of the task, or one panel per run or configuration."""
    from qualia_lab.charts.colours import LEADING
    from qualia_lab.charts.history_panels import MAX_PANELS, history_panels
    from qualia_lab.charts.metric_history import metric_history

    if not 0 <= look.smooth < 1:
        raise QualiaLabError(
            f"smooth={look.smooth} is out of range.", "Give a number from 0 (no smoothing) to under 1."
        )
    run_ids = competing(loaded, task)
    if _nothing_to_draw(loaded, metric, run_ids):
        return Message(f"{metric}: no run recorded it.")
    labels, better = loaded.labels_in(run_ids), loaded.aim(metric)
    in_one_panel = look.columns == 1 or (
        look.columns is None and (len(run_ids) <= RUNS_IN_ONE_PANEL or len(loaded.study.tasks) > 1)
    )
    groups, about_names = (None, "") if in_one_panel else _panel_groups(loaded, task)
    limit = look.limit if look.limit is not None else LEADING if in_one_panel else MAX_PANELS
    # A number of lines that the user asked for is of the best by this metric.
    order = loaded.colour_order(task) if look.limit is None or not in_one_panel else ()
    named = limit if groups is None else 0  # means of configurations must not be of their best runs only
    drawn = choose_drawn(
        run_ids, loaded.latest(metric, run_ids), named=named, most=max(RUNS_DRAWN, named), greater_is_better=better
    )
    history = _history_by(loaded, metric, look.by, drawn)
    subset = drawn if len(drawn) < len(run_ids) else None
    if in_one_panel:
        return metric_history(
            history,
            labels,
            metric,
            greater_is_better=better,
            log_y=look.log,
            limit=limit,
            by=look.by,
            smooth=look.smooth,
            drawn=subset,
            order=order,
            excluded=loaded.left_out,
        )
    chart = history_panels(
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
        drawn=subset,
        order=order,
    )
    return replace(chart, note=" ".join(filter(None, (about_names, chart.note))))


def bands_chart(
    loaded: Loaded, task: Task, metric: str, look: Look, *, middle: Middle, spread: Spread | None
) -> Chart | Message:
    """A metric over its steps, averaged over the runs of each configuration of the task."""
    from qualia_lab.analysis.seed_bands import seed_bands
    from qualia_lab.charts.colours import LEADING
    from qualia_lab.charts.seed_bands import seed_bands_chart

    if _nothing_to_draw(loaded, metric, competing(loaded, task)):
        return Message(f"{metric}: no run recorded it.")
    limit = LEADING if look.limit is None else look.limit
    study, status = loaded.study, statuses_of(loaded.tables)
    configurations = [one for each in study.in_task(task) if (one := each.without(loaded.left_out))]
    drawn = _best_configurations(loaded, configurations, metric, limit)
    run_ids = [run_id for one in drawn for run_id in one.run_ids]
    # The histories of all runs may be cached from another chart.
    read = run_ids if len(drawn) < len(configurations) else competing(loaded, task)
    in_time = look.by in (STEP, RELATIVE, TIME)
    history = loaded.histories.stream(read, metric) if in_time else _history_by(loaded, metric, look.by, read)
    curves = align(history, run_ids, metric, look.by)
    bands = seed_bands(curves, [one.run_ids for one in drawn], middle=middle, spread=spread)
    return seed_bands_chart(
        bands,
        drawn,
        loaded.colour_order(task) if look.limit is None else (),
        greater_is_better=loaded.aim(metric),
        log_y=look.log,
        limit=limit,
        total=len(configurations),
        left_out=excluded_counts(loaded, task),
        unfinished=[(status[run_id].lower(), 1) for run_id in run_ids if status[run_id] != FINISHED],
        run_names=names_of(loaded.tables),
    )


def competing(loaded: Loaded, task: Task) -> list[str]:
    """The runs of a task that are drawn side by side: without parents, parts, and runs that another run continued."""
    left_out = loaded.study.left_out
    return [run_id for run_id in task.run_ids if kind_of(left_out.get(run_id, "")) not in ASIDE]


def _nothing_to_draw(loaded: Loaded, metric: str, run_ids: Sequence[str]) -> bool:
    """Whether there are several tasks and no run of these has a finite value of the metric."""
    return len(loaded.study.tasks) > 1 and not np.isfinite(real(loaded.latest(metric, run_ids))).any()


def _history_by(loaded: Loaded, metric: str, by: str, run_ids: Sequence[str]) -> pa.Table:
    """The history of a metric and of the metric on the x axis, if any. Raises QualiaLabError if no run has that one."""
    if by in (STEP, RELATIVE, TIME):
        return loaded.history(metric, run_ids)
    if by not in loaded.metric_keys:
        raise QualiaLabError(
            f"No run recorded {one_line(by, 80)}, the requested x axis for {one_line(metric, 80)}.",
            f"Set by to {STEP}, {RELATIVE}, {TIME} or the name of a metric.",
        )
    return loaded.history([metric, by], run_ids)


def _best_configurations(
    loaded: Loaded, configured: Sequence[Configuration], metric: str, limit: int
) -> Sequence[Configuration]:
    """The best configurations by the mean of the latest values and an even sample of the others, if there are many."""
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


def _panel_groups(loaded: Loaded, task: Task) -> tuple[list[RunGroup] | None, str]:
    """One panel per configuration if there are at most two thirds as many as runs; else None, for a panel per run.

    The text is a sentence about the titles of the panels, or "".
    """
    from qualia_lab.charts.history_panels import GROUP_NAME_WIDTH, RunGroup

    left_out = loaded.left_out
    run_ids = set(competing(loaded, task))
    configured = [one for one in loaded.study.in_task(task) if not run_ids.isdisjoint(one.run_ids)]
    if not are_repeated(len(configured), len(run_ids)):
        return None, ""
    names, about_names = narrow_names(configured, GROUP_NAME_WIDTH, names_of(loaded.tables))
    groups = [
        RunGroup(
            names[one.run_ids[0]],
            tuple(run_id for run_id in one.run_ids if run_id in run_ids),
            frozenset(run_id for run_id in one.run_ids if run_id in run_ids and run_id in left_out),
        )
        for one in configured
    ]
    return groups, about_names
