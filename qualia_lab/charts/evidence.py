"""Small charts of the evidence for one finding: curves with a marked step, values by level, two values, or shares."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.curves import STEP, align, as_drawn
from qualia_lab.charts.axes import category_axis, fit_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, FINDING, QUIET, REST
from qualia_lab.charts.marks import Axis, Bars, Line, Panel, Points
from qualia_lab.charts.metric_history import history_axis, robust_axis, run_marks
from qualia_lab.charts.ticks import round_ticks
from qualia_lab.counts import counted
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.charts.marks import Mark

WIDTH, HEIGHT = 320, 160  # pixels
_ROW = 28  # pixels for a level, with its name above its runs where a page is narrow
_MEAN = 0.25  # of a row on either side of it, below its name
MOST_CURVES = 3  # runs of a finding that are drawn in colour
MOST_OTHERS = 12  # other runs behind them
MOST_LEVELS = 5
_TICKS = 4
NAME_WIDTH = 28  # characters


def curves_evidence(
    history: pa.Table,
    key: str,
    steps: Mapping[str, int | None],
    others: Sequence[str],
    labels: Mapping[str, str],
    *,
    greater_is_better: bool | None,
    dashed: str | None = None,
) -> Chart | None:
    """Draw the curves of some runs in colour before other runs in grey, with a dot at the step that the finding names.

    Args:
        history: schema.METRIC_HISTORY of the runs.
        key: the metric.
        steps: the step of each run of the finding; None for a run without one.
        others: other runs of the same task.
        labels: the label of each run, by run id.
        greater_is_better: the direction of the metric; None if it is not known.
        dashed: another metric of the same runs, drawn dashed.

    Returns:
        The chart; None if no run of the finding has a curve.
    """
    drawn = as_drawn(align(history, [*steps, *others], key, STEP))
    lines = {series.run_id: series for series in drawn.series if len(series.x) > 1}
    named = [run_id for run_id in steps if run_id in lines]
    if not named:
        return None
    second = as_drawn(align(history, named, dashed, STEP)).series if dashed is not None else ()
    values = [lines[run_id].y for run_id in [*named, *(one for one in others if one in lines)]]
    y_axis, _ = robust_axis(key, [*values, *(series.y for series in second)], log=None)
    behind = [lines[run_id] for run_id in others if run_id in lines]
    marks: list[Mark] = [
        Line(series.x, series.y, REST, width=0.8, hover=False, runs=series.run_id) for series in behind
    ]
    marks += [
        Line(series.x, series.y, FINDING, dash="dash", hover=False, runs=series.run_id)
        for series in second
        if len(series.x) > 1
    ]
    for run_id in reversed(named):
        series, label = lines[run_id], labels[run_id]
        marks += run_marks(series, label, (FINDING, "solid"), y_axis, greater_is_better, in_legend=False)
        step = steps[run_id]
        if step is None:
            continue
        place = int(np.abs(series.x - step).argmin())
        if np.isfinite(series.y[place]):
            text = f"{label}: {number_text(series.y[place])} at {series.x[place]:g}"
            height = float(np.clip(series.y[place], *y_axis.limits))
            marks.append(_points([(float(series.x[place]), height, run_id)], (FINDING,), (text,), size=9))
    marked = f", marked at step {steps[named[0]]:,}" if steps[named[0]] is not None else ""
    before = f" before {counted(len(behind), 'other run')}" if behind else ""
    sentence = f"{key} of {labels[named[0]]}{marked}{before}."
    if len(named) > 1:
        sentence = f"{key} of {len(named)} runs of this finding{before}."
    return _small(Panel(history_axis(drawn), y_axis, tuple(marks)), sentence)


def levels_evidence(
    levels: Sequence[tuple[str, Mapping[str, float]]],
    key: str,
    labels: Mapping[str, str],
    stand_out: Collection[str] = (),
) -> Chart | None:
    """Draw the runs of at most five levels or configurations in a row each, with their mean.

    Args:
        levels: the name of each level, and the values of its runs by run id.
        key: the metric.
        labels: the label of each run, by run id.
        stand_out: the runs drawn in another colour.

    Returns:
        The chart; None if no run has a value.
    """
    shown = [(name, values) for name, values in levels if values][:MOST_LEVELS]
    if not shown:
        return None
    points = [(value, float(row), run_id) for row, (_, values) in enumerate(shown) for run_id, value in values.items()]
    names = distinct_names([name for name, _ in shown], width=NAME_WIDTH)
    ticks = [f"{name} (n={len(values)})" for name, (_, values) in zip(names, shown, strict=True)]
    marks: list[Mark] = [
        _points(
            points,
            tuple(FINDING if run_id in stand_out else DATA for *_, run_id in points),
            tuple(f"{labels[run_id]}: {number_text(x)}" for x, _, run_id in points),
            opacity=0.6,
        )
    ]
    for row, (_, values) in enumerate(shown):
        if len(values) > 1:
            mean = float(np.mean(list(values.values())))
            ends = np.array([row - _MEAN, row + _MEAN])
            marks.append(Line(np.array([mean, mean]), ends, QUIET, width=2, hover=False))
    axis = fit_axis(key, np.array([x for x, *_ in points], np.float64), log=False)
    first, last = shown[0][0], shown[-1][0]
    span = first if first == last else f"{first} to {last}"
    sentence = f"{key} of {counted(len(points), 'run')} by row: {span}; lines are means."
    chart = _small(Panel(axis, category_axis("", ticks, downwards=True), tuple(marks)), sentence)
    return replace(chart, height=max(HEIGHT, 76 + _ROW * len(shown)))


def pairs_evidence(
    points: Mapping[str, tuple[float, float]],
    names: tuple[str, str],
    labels: Mapping[str, str],
    stand_out: Collection[str] = (),
) -> Chart | None:
    """Draw a point per run at two of its values.

    Args:
        points: both values by run id.
        names: what the values on x and on y are.
        labels: the label of each run, by run id.
        stand_out: the runs drawn in another colour.

    Returns:
        The chart; None if there is no point.
    """
    if not points:
        return None
    order = sorted(points, key=lambda run_id: run_id in stand_out)  # these are drawn last, on top
    x, y = np.array([points[run_id] for run_id in order], np.float64).T
    marks = _points(
        [(*points[run_id], run_id) for run_id in order],
        tuple(FINDING if run_id in stand_out else DATA if not stand_out else REST for run_id in order),
        tuple(
            f"{labels[run_id]}: {number_text(points[run_id][0])}, {number_text(points[run_id][1])}" for run_id in order
        ),
        opacity=0.8,
    )
    sentence = f"{names[1]} against {names[0]} of {counted(len(order), 'run')}."
    return _small(Panel(fit_axis(names[0], x), fit_axis(names[1], y, log=False), (marks,)), sentence)


def shares_evidence(shares: Sequence[tuple[str, int, int]], what: str) -> Chart:
    """Draw shares as bars.

    Args:
        shares: the name, the part and the whole of each.
        what: what the share is of.
    """
    ends = np.array([100 * part / whole for _, part, whole in shares], np.float64)
    texts = tuple(f"{name}: {part:,} of {whole:,}" for name, part, whole in shares)
    names = distinct_names([name for name, *_ in shares], width=NAME_WIDTH)
    ticks = [f"{name} ({part:,} of {whole:,})" for name, (_, part, whole) in zip(names, shares, strict=True)]
    bars = Bars(
        np.arange(len(shares), dtype=np.float64), ends, (FINDING, DATA)[: len(shares)], thickness=0.3, texts=texts
    )
    panel = Panel(Axis(f"{what}, %", (0, 100)), category_axis("", ticks, downwards=True), (bars,))
    return _small(panel, f"{what}: {'; '.join(texts)}.")


def _points(
    at: Sequence[tuple[float, float, str]],
    colours: tuple[str, ...],
    texts: tuple[str, ...],
    *,
    size: float = 7,
    opacity: float = 1.0,
) -> Points:
    x, y, runs = zip(*at, strict=True)
    return Points(
        np.array(x, np.float64), np.array(y, np.float64), colours, texts=texts, size=size, opacity=opacity, runs=runs
    )


def _small(panel: Panel, sentence: str) -> Chart:
    """Return the chart of one panel, with more numbers on its x axis than a panel of this width has by default."""
    if not panel.x.ticks and not panel.x.log:
        panel = replace(panel, x=replace(panel.x, ticks=tuple(round_ticks(panel.x.limits, _TICKS))))
    return Chart(title="", panels=(panel,), sentence=sentence, width=WIDTH, height=HEIGHT)
