"""One metric over its steps, one line per run."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.histories import metric_series, rank, reduce_points
from qualia_lab.charts.axes import count_text, direction, edge, fitting_axis, number_text, told_apart
from qualia_lab.charts.chart import Chart, Line, Panel, Points
from qualia_lab.charts.colours import REST, run_styles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from qualia_lab.analysis.histories import History, Series
    from qualia_lab.charts.chart import Axis, Dash, Mark, Numbers

_REST_POINTS = 100  # of a run that is drawn grey
_NO_NUMBERS: Numbers = np.array([], dtype=np.float64)
_X_LABELS = {
    "step": "step",
    "s": "time since first value (s)",
    "min": "time since first value (min)",
    "h": "time since first value (h)",
}


def metric_history(
    history: pa.Table,
    labels: Mapping[str, str],
    key: str,
    *,
    greater_is_better: bool | None = None,
    log_y: bool | None = None,
    limit: int = 20,
    drawn: Sequence[str] | None = None,
) -> Chart:
    """A metric's values over its steps.

    Args:
        history: schema.METRIC_HISTORY, of any runs and metrics.
        labels: what to call each run, by run id, in the order of the notebook, which also gives the colours.
        key: the metric.
        greater_is_better: which last value is best; None where that is not known.
        log_y: whether the y axis is logarithmic; None: when the values are positive and span two decades.
        limit: the best so many runs are coloured and named, the others are drawn grey.
        drawn: the runs that were chosen to stand for all where those are too many; the chart says so.
    """
    asked = list(labels) if drawn is None else list(drawn)
    found = metric_series(history, asked, key)
    ranked = rank(found, greater_is_better=greater_is_better)
    named, others = ranked[:limit], ranked[limit:]
    names, styles = told_apart(labels), run_styles([one.run_id for one in named], list(labels))

    x_axis = fitting_axis(_X_LABELS[found.x_unit], _all([one.x for one in ranked]), log=False, air=0.02)
    if found.x_unit == "step":
        x_axis = _whole_ticks(x_axis)
    y_axis = fitting_axis(key, _all([one.y for one in ranked]), log=log_y)
    marks: list[Mark] = []
    if others:
        marks.append(_grey(others))
    for one in reversed(named):  # the best is drawn last, over the others, and so stands first in the legend
        marks += _marks_of(one, names[one.run_id], styles[one.run_id], y_axis, greater_is_better)
    return Chart(
        title=f"{key} over {'steps' if found.x_unit == 'step' else 'time'}",
        panels=(Panel(x_axis, y_axis, tuple(marks)),),
        sentence=_sentence(found, ranked, names, greater_is_better=greater_is_better),
        note=_chosen(len(asked), len(labels))
        + _note(found, len(asked), len(named), greater_is_better=greater_is_better),
    )


def _marks_of(
    one: Series, name: str, style: tuple[str, Dash], y_axis: Axis, greater_is_better: bool | None
) -> list[Mark]:
    """A run's line, or point where it has only one, and crosses where a value is not finite."""
    colour, dash = style
    marks: list[Mark] = []
    if len(one.x) > 1:
        marks.append(Line(one.x, one.y, colour, label=name, dash=dash))
        lonely = _alone(one.y)
        if lonely.any():
            marks.append(Points(one.x[lonely], one.y[lonely], (colour,), size=5))
    elif np.isfinite(one.y).all():
        marks.append(Points(one.x, one.y, (colour,), label=name))
    if one.odd:
        texts = tuple(f"{name}: {value} at {x:g}" for x, value in zip(one.odd_x, one.odd_y, strict=True))
        heights = np.array([edge(value, y_axis, greater_is_better=greater_is_better) for value in one.odd_y])
        label = "" if marks else name
        marks.append(Points(one.odd_x, heights, (colour,), label=label, texts=texts, symbol="x", size=9))
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


def _grey(others: Sequence[Series]) -> Line:
    """All runs that are not told apart, as one line with gaps."""
    x, y = [], []
    for one in others:
        drawn = reduce_points(one.y, _REST_POINTS)
        x += [one.x[drawn], np.array([np.nan])]
        y += [one.y[drawn], np.array([np.nan])]
    label = count_text(len(others), "other run")
    return Line(np.concatenate(x), np.concatenate(y), REST, label=label, width=0.8, hover=False)


def _chosen(drawn: int, in_all: int) -> str:
    if drawn == in_all:
        return ""
    return f"Drawn: {drawn:,} of {in_all:,} runs, the best by latest value and an even choice of the others. "


def _note(history: History, asked: int, named: int, *, greater_is_better: bool | None) -> str:
    """What is not seen, and why."""
    series = history.series
    notes = []
    count = len(series)
    if named < count:
        by = f"best last value ({direction(greater_is_better)})" if greater_is_better is not None else "first in order"
        notes.append(f"Coloured: {named} of {count} runs, by {by}; the others are grey.")
    if count < asked:
        notes.append(f"Showing {count} of {asked} runs; {asked - count} never recorded {history.key}.")
    if odd := sum(one.odd for one in series):
        runs = sum(1 for one in series if one.odd)
        notes.append(f"Crosses at the edge: {count_text(odd, 'value')} of {count_text(runs, 'run')} NaN or infinite.")
    curves = {(one.x.tobytes(), one.y.tobytes()) for one in series if len(one.x) > 1}
    if (hidden := sum(len(one.x) > 1 for one in series) - len(curves)) > 0:
        notes.append(f"{count_text(hidden, 'line lies', 'lines lie')} under another: their values are the same.")
    if reduced := [one for one in series if one.reduced]:
        most = max(one.recorded for one in reduced)
        notes.append(
            f"Lines of {count_text(len(reduced), 'run')} with up to {most:,} points are reduced; "
            "first, last, and every high and low stay."
        )
    return " ".join(notes)


def _sentence(
    history: History, ranked: Sequence[Series], names: Mapping[str, str], *, greater_is_better: bool | None
) -> str:
    """The chart in words."""
    if not ranked:
        return f"{history.key}: no run recorded it."
    points = sum(one.recorded for one in ranked)
    said = f"{history.key} of {count_text(len(ranked), 'run')} over {count_text(points, 'recorded value')}."
    if greater_is_better is None or np.isnan(ranked[0].last):
        return said
    return f"{said} Best last value: {number_text(ranked[0].last)} ({names[ranked[0].run_id]})."


def _all(arrays: Sequence[Numbers]) -> Numbers:
    return np.concatenate(arrays) if arrays else _NO_NUMBERS
