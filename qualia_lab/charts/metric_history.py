"""Chart of one metric over its steps, over time or over another metric, one line per run."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.curves import STEP, TIME, align, as_drawn, usual_range
from qualia_lab.analysis.histories import History, rank
from qualia_lab.charts.axes import direction, distinct_labels, edge, fit_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import LEADING, REST, chosen_styles, faint, order_used
from qualia_lab.charts.marks import Line, Panel, Points
from qualia_lab.charts.simplify import simplify
from qualia_lab.counts import counted
from qualia_lab.names import aside

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from qualia_lab.analysis.histories import Series
    from qualia_lab.analysis.seed_bands import SeedBands
    from qualia_lab.charts.marks import Axis, Dash, Mark, Numbers

_REST_POINTS = 100  # per run that is drawn grey
_REST_TOLERANCE = 0.004  # of the y axis; about a pixel
_NO_NUMBERS: Numbers = np.array([], dtype=np.float64)


def metric_history(
    history: pa.Table,
    labels: Mapping[str, str],
    key: str,
    *,
    greater_is_better: bool | None = None,
    log_y: bool | None = None,
    limit: int = LEADING,
    drawn: Sequence[str] | None = None,
    by: str = STEP,
    smooth: float = 0.0,
    order: Sequence[str] = (),
    excluded: Collection[str] = (),
) -> Chart:
    """Draw the values of a metric over its steps.

    Args:
        history: schema.METRIC_HISTORY, of any runs and metrics.
        labels: the label of each run, by run id, in the order of the notebook.
        key: the metric.
        greater_is_better: the direction of the metric; None if it is not known.
        log_y: whether the y axis is logarithmic; None for logarithmic if the values are positive and span two decades.
        limit: how many of the leading runs are coloured and named; the others are grey.
        drawn: the runs of a sample, if there are too many runs; the note says so.
        by: the x axis: `step`, `relative`, `time` or another metric (see analysis.curves).
        smooth: strength of the smoothing, from 0 (none) to below 1; the recorded values stay visible, faint.
        order: the runs of the notebook, the leading ones first, which are coloured (see colours.run_styles); () to
            colour the best by this metric.
        excluded: runs that take part in no comparison; none of them is called best.
    """
    requested = list(labels) if drawn is None else list(drawn)
    curves = align(history, requested, key, by)
    histories = as_drawn(curves)
    ranked = rank(histories, greater_is_better=greater_is_better)
    order = order_used([series.run_id for series in ranked], order, limit)
    styles = chosen_styles([series.run_id for series in ranked], order, limit)
    highlighted = [series for series in ranked if series.run_id in styles]
    background = [series for series in ranked if series.run_id not in styles]
    names = distinct_labels(labels)
    smoothed = {series.run_id: series for series in as_drawn(curves, smoothed=smooth).series} if smooth else {}

    x_axis = history_axis(histories)
    y_axis, outlier_note = robust_axis(key, [series.y for series in ranked], log=log_y)
    marks: list[Mark] = []
    if background:
        marks += background_lines(background, y_axis, label=counted(len(background), "other run"))
    for series in reversed(highlighted):  # the best is drawn last, on top, and so comes first in the legend
        marks += run_marks(
            series,
            names[series.run_id],
            styles[series.run_id],
            y_axis,
            greater_is_better,
            smoothed=smoothed.get(series.run_id),
        )
    return Chart(
        title=f"{key} over {x_axis_text(histories)}",
        panels=(Panel(x_axis, y_axis, tuple(marks)),),
        names_at_ends=True,
        sentence=history_sentence(histories, ranked, names, excluded, greater_is_better=greater_is_better),
        note=" ".join(
            filter(
                None,
                (
                    subset_note(len(requested), len(labels)),
                    outlier_note,
                    _note(histories, len(requested), len(highlighted), smooth, chosen_by(order, greater_is_better)),
                ),
            )
        ),
    )


def history_axis(histories: History | SeedBands, x: Numbers | None = None) -> Axis:
    """Return the x axis of histories, with the unit in its label, fitted to `x` or by default to all series."""
    if x is None:
        x = concatenated([one.x for one in histories.series]) if isinstance(histories, History) else _NO_NUMBERS
    axis = fit_axis(_x_label(histories), x, log=None if histories.unit == "metric" else False, padding=0.02)
    return _whole_ticks(axis) if histories.unit == "step" else axis


def robust_axis(label: str, curves: Sequence[Numbers], *, log: bool | None) -> tuple[Axis, str]:
    """Return a y axis without outliers, and the sentence that names the values outside it.

    If `log` is true, nothing is left out. If `log` is None, the axis is logarithmic only if the values above the lowest
    2 % span two decades, so a few values near zero are not enough.
    """
    fences = None if log else usual_range(curves)
    if fences is None:
        return fit_axis(label, concatenated(curves), log=_log(concatenated(curves), log)), ""
    low, high = fences
    inside = concatenated([y[(y >= low) & (y <= high)] for y in curves])
    axis = fit_axis(label, inside, log=_log(inside, log))
    outside = sum(bool(np.any((y < low) | (y > high))) for y in curves)
    values = concatenated(curves)
    ends = [
        number_text(end)
        for end, is_outside in (
            (np.nanmin(values), np.nanmin(values) < low),
            (np.nanmax(values), np.nanmax(values) > high),
        )
        if is_outside
    ]
    lines = counted(outside, "line leaves", "lines leave")
    return axis, f"{lines} the axes, reaching {' and '.join(ends)}; log=True shows everything."


def _log(values: Numbers, log: bool | None) -> bool | None:
    """Return `log` if it is set, False if the data do not need a log axis, else None (decided by `fit_axis`)."""
    finite = values[np.isfinite(values)]
    if log is not None or not len(finite):
        return log
    low = np.percentile(finite, 2, method="lower")
    return None if low > 0 and finite.max() / 100 >= low else False


def x_axis_text(histories: History | SeedBands) -> str:
    """Name the x axis of a history for a title: `steps`, `time` or the metric."""
    return "steps" if histories.unit == "step" else histories.by if histories.unit == "metric" else "time"


def _x_label(histories: History | SeedBands) -> str:
    if histories.unit == "step":
        return STEP
    if histories.unit == "metric":
        return histories.by
    if histories.by != TIME:
        return f"time since first value ({histories.unit})"
    try:
        start = datetime.fromtimestamp((histories.start or 0) / 1000, UTC)
    except (OverflowError, OSError, ValueError):  # outside the range of datetime
        return f"time since the first value of all ({histories.unit})"
    return f"time since {start:%Y-%m-%d %H:%M} UTC ({histories.unit})"


def run_marks(
    series: Series,
    name: str,
    style: tuple[str, Dash],
    y_axis: Axis,
    greater_is_better: bool | None,
    *,
    smoothed: Series | None = None,
    in_legend: bool = True,
) -> list[Mark]:
    """Return the marks of a run: a line, or a single point, and crosses for non-finite values.

    If `smoothed` is given, it is drawn as the line, and the recorded values are drawn faint behind it.
    """
    colour, dash = style
    marks: list[Mark] = []
    if len(series.x) > 1:
        if smoothed is not None:
            marks.append(Line(series.x, series.y, faint(colour), width=1, hover=False, runs=series.run_id))
        line = smoothed or series
        marks.append(Line(line.x, line.y, colour, label=name, dash=dash, in_legend=in_legend, runs=series.run_id))
        isolated = _isolated(series.y) & (series.y >= y_axis.limits[0]) & (series.y <= y_axis.limits[1])
        if isolated.any():
            runs = (series.run_id,) * int(isolated.sum())
            marks.append(Points(series.x[isolated], series.y[isolated], (colour,), size=5, runs=runs))
    elif np.isfinite(series.y).all():
        clipped = np.clip(series.y, *y_axis.limits)  # an outlier is drawn at the edge; its text has the true value
        text = f"{name}: {number_text(series.y[0])} at {series.x[0]:g}"
        runs = (series.run_id,)
        marks.append(Points(series.x, clipped, (colour,), label=name, texts=(text,), in_legend=in_legend, runs=runs))
    if series.odd:
        texts = tuple(f"{name}: {value} at {x:g}" for x, value in zip(series.odd_x, series.odd_y, strict=True))
        heights = np.array([edge(value, y_axis, greater_is_better=greater_is_better) for value in series.odd_y])
        label = "" if marks else name
        marks.append(
            Points(
                series.odd_x,
                heights,
                (colour,),
                label=label,
                texts=texts,
                symbol="x",
                size=9,
                in_legend=in_legend,
                runs=(series.run_id,) * len(texts),
            )
        )
    return marks


def _whole_ticks(axis: Axis) -> Axis:
    """Return the axis with a tick at each integer if there are at most nine, since there is no step 1.5."""
    first, last = (math.ceil(axis.limits[0]), math.floor(axis.limits[1]))
    if last - first > 8:
        return axis
    return replace(axis, ticks=tuple((float(step), str(step)) for step in range(first, last + 1)))


def _isolated(y: Numbers) -> npt.NDArray[np.bool_]:
    """Return a mask of the finite values without a finite neighbour, to which no line is drawn."""
    finite = np.isfinite(y)
    padded = np.concatenate(([False], finite, [False]))
    return finite & ~padded[:-2] & ~padded[2:]


def background_lines(
    histories: Sequence[Series], y_axis: Axis, *, label: str = "", points: int = _REST_POINTS
) -> list[Line]:
    """Return runs that are not highlighted as grey lines of few points, close to the data as the axis shows them."""
    lines = []
    low, high = (math.log10(limit) for limit in y_axis.limits) if y_axis.log else y_axis.limits
    for series in histories:
        with np.errstate(all="ignore"):
            shown = np.log10(np.where(series.y > 0, series.y, np.nan)) if y_axis.log else series.y
        x, y = simplify(series.x, shown, (high - low) * _REST_TOLERANCE, points)
        y = 10**y if y_axis.log else y
        lines.append(Line(x, y, REST, label=label, width=0.8, hover=False, runs=series.run_id))
    return lines


def subset_note(drawn: int, total: int) -> str:
    """Say that only a sample of the runs is drawn; "" if all are."""
    if drawn == total:
        return ""
    return f"Drawn: {drawn:,} of {total:,} runs, the best by latest value and an even sample of the others."


def _note(history: History, requested: int, highlighted: int, smooth: float, criterion: str) -> str:
    """Say what is not shown, and why."""
    notes = []
    count = len(history.series)
    if highlighted < count:
        notes.append(f"Coloured: {highlighted} of {count} runs, {criterion}; the others are grey.")
    return " ".join([*notes, history_note(history, requested, smooth)]).strip()


def chosen_by(order: Sequence[str], greater_is_better: bool | None) -> str:
    """Say how the highlighted runs were chosen."""
    if order:
        return "the same in all charts"
    if greater_is_better is None:
        return "first in order"
    return f"by best last value ({direction(greater_is_better)})"


def history_note(history: History, requested: int, smooth: float) -> str:
    """Say which runs and values are not in the lines, and how the lines differ from the recorded values."""
    series, notes = history.series, []
    if (count := len(series)) < requested:
        condition = f" at a step that also has {history.by}" if history.unit == "metric" else ""
        notes.append(
            f"Showing {count} of {requested} runs; {requested - count} never recorded {history.key}{condition}."
        )
    if history.unplaced:
        points = counted(history.unplaced, "value")
        notes.append(f"Left out: {points} at steps where {history.by} has no finite value.")
    if smooth:
        notes.append(
            f"Lines smoothed by {smooth:g} (moving average weighted by distance in x); "
            "faint: the recorded values. All numbers are computed from recorded values."
        )
    if not_finite := sum(one.odd for one in series):
        runs = sum(1 for one in series if one.odd)
        notes.append(f"Crosses at the edge: {counted(not_finite, 'value')} of {counted(runs, 'run')} NaN or infinite.")
    curves = {(one.x.tobytes(), one.y.tobytes()) for one in series if len(one.x) > 1}
    if (hidden := sum(len(one.x) > 1 for one in series) - len(curves)) > 0:
        notes.append(f"{counted(hidden, 'line is', 'lines are')} hidden under another with the same values.")
    if reduced := [one for one in series if one.reduced]:
        max_points = max(one.recorded for one in reduced)
        notes.append(
            f"Lines of {counted(len(reduced), 'run')} with up to {max_points:,} points are reduced; "
            "first, last, and every high and low are kept."
        )
    return " ".join(notes)


def history_sentence(
    history: History,
    ranked: Sequence[Series],
    names: Mapping[str, str],
    excluded: Collection[str] = (),
    *,
    greater_is_better: bool | None,
) -> str:
    """Describe the chart in words."""
    if not ranked:
        return f"{history.key}: no run recorded it."
    points = sum(one.recorded for one in ranked)
    text = f"{history.key} of {counted(len(ranked), 'run')} over {counted(points, 'recorded value')}."
    best = next((one for one in ranked if one.run_id not in excluded and not np.isnan(one.last)), None)
    if greater_is_better is None or best is None:
        return text
    return f"{text} Best last value: {number_text(best.last)}{aside(names[best.run_id], ends=True)}."


def concatenated(arrays: Sequence[Numbers]) -> Numbers:
    """Concatenate arrays; [] gives an empty array."""
    return np.concatenate(arrays) if arrays else _NO_NUMBERS
