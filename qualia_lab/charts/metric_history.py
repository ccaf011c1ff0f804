"""One metric over its steps, over time or over another metric, one line per run."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.curves import STEP, TIME, align, as_drawn, usual_range
from qualia_lab.analysis.histories import History, rank, reduce_points
from qualia_lab.charts.axes import direction, edge, fitting_axis, number_text, told_apart
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import REST, faint, run_styles
from qualia_lab.charts.marks import Line, Panel, Points
from qualia_lab.counts import counted
from qualia_lab.names import aside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from qualia_lab.analysis.histories import Series
    from qualia_lab.analysis.seed_bands import SeedBands
    from qualia_lab.charts.marks import Axis, Dash, Mark, Numbers

_REST_POINTS = 100  # of a run that is drawn grey
_NO_NUMBERS: Numbers = np.array([], dtype=np.float64)


def metric_history(
    history: pa.Table,
    labels: Mapping[str, str],
    key: str,
    *,
    greater_is_better: bool | None = None,
    log_y: bool | None = None,
    limit: int = 20,
    drawn: Sequence[str] | None = None,
    by: str = STEP,
    smooth: float = 0.0,
    order: Sequence[str] = (),
) -> Chart:
    """A metric's values over its steps.

    Args:
        history: schema.METRIC_HISTORY, of any runs and metrics.
        labels: what to call each run, by run id, in the order of the notebook.
        key: the metric.
        greater_is_better: which last value is best; None where that is not known.
        log_y: whether the y axis is logarithmic; None: when the values are positive and span two decades.
        limit: the best so many runs are coloured and named, the others are drawn grey.
        drawn: the runs that were chosen to stand for all where those are too many; the chart says so.
        by: what x is: `step`, `relative`, `time` or another metric (see analysis.curves).
        smooth: from 0, not at all, to under 1; the values as recorded stay in sight, faint.
        order: all runs of the notebook, by whose places a run has its colour; () for those of labels.
    """
    asked = list(labels) if drawn is None else list(drawn)
    curves = align(history, asked, key, by)
    found = as_drawn(curves)
    ranked = rank(found, greater_is_better=greater_is_better)
    named, others = ranked[:limit], ranked[limit:]
    names, styles = told_apart(labels), run_styles([one.run_id for one in named], order or list(labels))
    smoothed = {one.run_id: one for one in as_drawn(curves, smoothed=smooth).series} if smooth else {}

    x_axis = history_axis(found)
    y_axis, beyond = usual_axis(key, [one.y for one in ranked], log=log_y)
    marks: list[Mark] = []
    if others:
        marks.append(grey_line(others, label=counted(len(others), "other run")))
    for one in reversed(named):  # the best is drawn last, over the others, and so stands first in the legend
        marks += run_marks(
            one, names[one.run_id], styles[one.run_id], y_axis, greater_is_better, smoothed=smoothed.get(one.run_id)
        )
    return Chart(
        title=f"{key} over {over_text(found)}",
        panels=(Panel(x_axis, y_axis, tuple(marks)),),
        sentence=history_sentence(found, ranked, names, greater_is_better=greater_is_better),
        note=" ".join(
            filter(
                None,
                (
                    chosen_note(len(asked), len(labels)),
                    beyond,
                    _note(found, len(asked), len(named), smooth, greater_is_better=greater_is_better),
                ),
            )
        ),
    )


def history_axis(found: History | SeedBands, x: Numbers | None = None) -> Axis:
    """The x axis of a history, with the unit in its label; x: what is drawn, by default all series."""
    if x is None:
        x = joined([one.x for one in found.series]) if isinstance(found, History) else _NO_NUMBERS
    axis = fitting_axis(_x_label(found), x, log=None if found.unit == "metric" else False, air=0.02)
    return _whole_ticks(axis) if found.unit == "step" else axis


def usual_axis(label: str, curves: Sequence[Numbers], *, log: bool | None) -> tuple[Axis, str]:
    """The y axis of curves, and what to say of values that it leaves out: those far from what most curves show.

    A logarithmic axis that was asked for leaves nothing out. None is chosen for a few values near zero alone: two
    decades have to lie above the lowest fiftieth of the values.
    """
    fences = None if log else usual_range(curves)
    if fences is None:
        return fitting_axis(label, joined(curves), log=_log(joined(curves), log)), ""
    low, high = fences
    inside = joined([y[(y >= low) & (y <= high)] for y in curves])
    axis = fitting_axis(label, inside, log=_log(inside, log))
    runs = sum(bool(np.any((y < low) | (y > high))) for y in curves)
    values = joined(curves)
    ends = [
        number_text(end)
        for end, out in ((np.nanmin(values), np.nanmin(values) < low), (np.nanmax(values), np.nanmax(values) > high))
        if out
    ]
    lines = counted(runs, "line leaves", "lines leave")
    return axis, f"{lines} the axes, reaching {' and '.join(ends)}; with log=True all is seen."


def _log(values: Numbers, log: bool | None) -> bool | None:
    """What was asked for; else False where the data ask for no logarithmic axis, None where they may."""
    finite = values[np.isfinite(values)]
    if log is not None or not len(finite):
        return log
    low = np.percentile(finite, 2, method="lower")
    return None if low > 0 and finite.max() / 100 >= low else False


def over_text(found: History | SeedBands) -> str:
    """What a history is over, in words for a title."""
    return "steps" if found.unit == "step" else found.by if found.unit == "metric" else "time"


def _x_label(found: History | SeedBands) -> str:
    if found.unit == "step":
        return STEP
    if found.unit == "metric":
        return found.by
    if found.by != TIME:
        return f"time since first value ({found.unit})"
    try:
        start = datetime.fromtimestamp((found.start or 0) / 1000, UTC)
    except (OverflowError, OSError, ValueError):  # a time that no calendar holds
        return f"time since the first value of all ({found.unit})"
    return f"time since {start:%Y-%m-%d %H:%M} UTC ({found.unit})"


def run_marks(
    one: Series,
    name: str,
    style: tuple[str, Dash],
    y_axis: Axis,
    greater_is_better: bool | None,
    *,
    smoothed: Series | None = None,
    in_legend: bool = True,
) -> list[Mark]:
    """A run's line, or point where it has only one, and crosses where a value is not finite.

    smoothed: the line that is drawn in place of it, which then stays behind, faint.
    """
    colour, dash = style
    marks: list[Mark] = []
    if len(one.x) > 1:
        if smoothed is not None:
            marks.append(Line(one.x, one.y, faint(colour), width=1, hover=False))
        line = smoothed or one
        marks.append(Line(line.x, line.y, colour, label=name, dash=dash, in_legend=in_legend))
        lonely = _alone(one.y) & (one.y >= y_axis.limits[0]) & (one.y <= y_axis.limits[1])
        if lonely.any():
            marks.append(Points(one.x[lonely], one.y[lonely], (colour,), size=5))
    elif np.isfinite(one.y).all():
        seen = np.clip(one.y, *y_axis.limits)  # where it is beyond, its text still says what it is
        text = f"{name}: {number_text(one.y[0])} at {one.x[0]:g}"
        marks.append(Points(one.x, seen, (colour,), label=name, texts=(text,), in_legend=in_legend))
    if one.odd:
        texts = tuple(f"{name}: {value} at {x:g}" for x, value in zip(one.odd_x, one.odd_y, strict=True))
        heights = np.array([edge(value, y_axis, greater_is_better=greater_is_better) for value in one.odd_y])
        label = "" if marks else name
        marks.append(
            Points(one.odd_x, heights, (colour,), label=label, texts=texts, symbol="x", size=9, in_legend=in_legend)
        )
    return marks


def _whole_ticks(axis: Axis) -> Axis:
    """The axis with a tick at each whole number where those are few: there is no step 1.5."""
    first, last = (math.ceil(axis.limits[0]), math.floor(axis.limits[1]))
    if last - first > 8:
        return axis
    return replace(axis, ticks=tuple((float(step), str(step)) for step in range(first, last + 1)))


def _alone(y: Numbers) -> npt.NDArray[np.bool_]:
    """Which finite values have no finite neighbour, so that no line is drawn to them."""
    finite = np.isfinite(y)
    padded = np.concatenate(([False], finite, [False]))
    return finite & ~padded[:-2] & ~padded[2:]


def grey_line(others: Sequence[Series], *, label: str = "", points: int = _REST_POINTS) -> Line:
    """Runs that are not told apart, as one line with gaps; points: of each run."""
    x, y = [], []
    for one in others:
        kept = reduce_points(one.y, points)
        x += [one.x[kept], np.array([np.nan])]
        y += [one.y[kept], np.array([np.nan])]
    return Line(joined(x), joined(y), REST, label=label, width=0.8, hover=False)


def chosen_note(drawn: int, in_all: int) -> str:
    """What is said where some runs stand for all; "" where all are drawn."""
    if drawn == in_all:
        return ""
    return f"Drawn: {drawn:,} of {in_all:,} runs, the best by latest value and an even choice of the others."


def _note(history: History, asked: int, named: int, smooth: float, *, greater_is_better: bool | None) -> str:
    """What is not seen, and why."""
    notes = []
    count = len(history.series)
    if named < count:
        by = chosen_by(greater_is_better)
        notes.append(f"Coloured: {named} of {count} runs, by {by}; the others are grey.")
    return " ".join([*notes, history_note(history, asked, smooth)]).strip()


def chosen_by(greater_is_better: bool | None) -> str:
    """How the runs that are told apart were chosen, in words."""
    if greater_is_better is None:
        return "first in order"
    return f"best last value ({direction(greater_is_better)})"


def history_note(history: History, asked: int, smooth: float) -> str:
    """Which runs and values are not in the lines, and how the lines differ from what was recorded."""
    series, notes = history.series, []
    if (count := len(series)) < asked:
        lacking = f" at a step that has {history.by} too" if history.unit == "metric" else ""
        notes.append(f"Showing {count} of {asked} runs; {asked - count} never recorded {history.key}{lacking}.")
    if history.unplaced:
        points = counted(history.unplaced, "value")
        notes.append(f"Left out: {points} at steps where {history.by} has no finite value.")
    if smooth:
        notes.append(
            f"Smoothed by {smooth:g} for the eye (moving average weighted by distance in x); "
            "faint: the values as they were recorded. No number here is a smoothed one."
        )
    if odd := sum(one.odd for one in series):
        runs = sum(1 for one in series if one.odd)
        notes.append(f"Crosses at the edge: {counted(odd, 'value')} of {counted(runs, 'run')} NaN or infinite.")
    curves = {(one.x.tobytes(), one.y.tobytes()) for one in series if len(one.x) > 1}
    if (hidden := sum(len(one.x) > 1 for one in series) - len(curves)) > 0:
        notes.append(f"{counted(hidden, 'line lies', 'lines lie')} under another: their values are the same.")
    if reduced := [one for one in series if one.reduced]:
        most = max(one.recorded for one in reduced)
        notes.append(
            f"Lines of {counted(len(reduced), 'run')} with up to {most:,} points are reduced; "
            "first, last, and every high and low stay."
        )
    return " ".join(notes)


def history_sentence(
    history: History, ranked: Sequence[Series], names: Mapping[str, str], *, greater_is_better: bool | None
) -> str:
    """The chart in words."""
    if not ranked:
        return f"{history.key}: no run recorded it."
    points = sum(one.recorded for one in ranked)
    said = f"{history.key} of {counted(len(ranked), 'run')} over {counted(points, 'recorded value')}."
    if greater_is_better is None or np.isnan(ranked[0].last):
        return said
    return f"{said} Best last value: {number_text(ranked[0].last)}{aside(names[ranked[0].run_id], ends=True)}."


def joined(arrays: Sequence[Numbers]) -> Numbers:
    """All numbers in one array."""
    return np.concatenate(arrays) if arrays else _NO_NUMBERS
