"""Curves: the points of one metric for each run over steps, time or another metric, optionally smoothed for display."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qualia_lab.analysis.histories import MOST_POINTS, History, real, take_series

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from qualia_lab.analysis.histories import Numbers, Unit

    Whole = npt.NDArray[np.int64]

_POINTS_AT_ONCE = 1 << 16

STEP, RELATIVE, TIME = "step", "relative", "time"


@dataclass(frozen=True, slots=True)
class Curve:
    """Every recorded point of one metric of one run, by x.

    Attributes:
        run_id: the run.
        x: shape (points,), in the unit of its Curves.
        y: shape (points,); NaN and infinite values are included.
    """

    run_id: str
    x: Numbers
    y: Numbers


@dataclass(frozen=True)
class Curves:
    """One metric of several runs over a common x axis, in the order of the runs; runs without a point are left out.

    Attributes:
        key: the key of the metric.
        by: the x axis: `step`, `relative` (time since the run's first point), `time` (since the first point of all
            runs), or the key of the metric whose values are x.
        unit: the unit of x; `metric` where x is a metric.
        curves: one curve per run.
        start: where x is `time`, the first point of all runs in milliseconds since 1970, UTC.
        unplaced: how many points have no x, because the other metric has no finite value at their step.
    """

    key: str
    by: str
    unit: Unit
    curves: tuple[Curve, ...]
    start: int | None = None
    unplaced: int = 0


def align(history: pa.Table | Iterable[pa.RecordBatch], run_ids: Sequence[str], key: str, by: str = STEP) -> Curves:
    """Extract the curves of one metric from metric histories.

    Where every step of every run is 0 and some run has several points, `step` becomes `relative`. Points with the same
    x are all kept, in MLflow's order: by step, time and value. Where x is another metric, it is that metric's last
    value at the same step of the same run; values are neither interpolated nor carried forward.

    Args:
        history: a table of schema.METRIC_HISTORY or its batches; it has to be a table where `by` is a metric, because
            it is then read twice.
        run_ids: the runs, in the order of the result.
        key: the key of the metric.
        by: the x axis; see `Curves`.

    Returns:
        The curves.
    """
    owner, steps, times, values = _points(history, run_ids, key)
    spans = _spans(owner, len(run_ids))
    unplaced, start = 0, None
    unit: Unit = "step"
    if by == STEP and not steps.any() and any(end - begin > 1 for begin, end in spans):
        by = RELATIVE
    if by == STEP:
        x = steps
    elif by in (RELATIVE, TIME):
        order = np.lexsort((times, owner))
        times, values = times[order], values[order]
        x = times.copy()
        if by == TIME and len(x):
            start = int(times.min())
            x = x - times.min()
        for begin, end in spans if by == RELATIVE else ():
            x[begin:end] -= x[begin]
        x, unit = _in_unit(x / 1000)
    else:
        unit = "metric"
        x = _values_at(_points(history, run_ids, by), owner, steps, len(run_ids))
        placed = np.isfinite(x)
        unplaced = int(len(x) - placed.sum())
        owner, x, values = owner[placed], x[placed], values[placed]
        order = np.lexsort((x, owner))
        x, values = x[order], values[order]
        spans = _spans(owner, len(run_ids))
    curves = tuple(Curve(run_ids[owner[begin]], x[begin:end], values[begin:end]) for begin, end in spans)
    return Curves(key, by, unit, curves, start, unplaced)


def as_drawn(found: Curves, *, most_points: int = MOST_POINTS, smoothed: float = 0.0) -> History:
    """The curves reduced to the points that are drawn, and smoothed before that where `smoothed` is above 0.

    Args:
        found: the curves.
        most_points: the largest number of points drawn per series.
        smoothed: the weight of `smooth`, from 0 (none) to below 1; only the drawn y change.

    Returns:
        One series per curve.
    """
    distance = median_distance(found.curves) if smoothed else 1.0
    series = tuple(
        take_series(
            one.run_id, one.x, smooth(one.x, one.y, smoothed, distance) if smoothed else one.y, most_points, raw=one.y
        )
        for one in found.curves
    )
    return History(found.key, found.unit, series, found.by, found.start, found.unplaced)


def smooth(x: Numbers, y: Numbers, weight: float, distance: float = 1.0) -> Numbers:
    """The exponential moving average weighted by distance in x; for display only, never before a statistic.

    The value at x_i is sum_j w_j y_j / sum_j w_j over all finite y_j up to it, with w_j = weight ** ((x_i - x_j) /
    distance). Where neighbouring points are `distance` apart, this is TensorBoard's average with its correction for the
    start; where they are not, a gap decays in proportion to its length: Eckner (2012), "Algorithms for Unevenly Spaced
    Time Series". The "time weighted EMA" of Weights & Biases is of this kind.

    Args:
        x: shape (points,), non-decreasing.
        y: shape (points,); values that are not finite stay unchanged and have no weight.
        weight: the weight of the previous average per `distance`, from 0 to below 1.
        distance: the distance in x over which `weight` applies.

    Returns:
        The smoothed values, shape (points,).
    """
    smoothed = y.copy()
    total = weights = 0.0
    before = None
    for index in np.flatnonzero(np.isfinite(y)):
        if before is not None:
            fade = weight ** ((x[index] - x[before]) / distance)
            total, weights = total * fade, weights * fade
        total, weights = total + y[index], weights + 1.0
        smoothed[index] = total / weights
        before = index
    return smoothed


def median_distance(curves: Sequence[Curve]) -> float:
    """The median distance in x between neighbouring points with different x, over all curves; 1 without such points."""
    gaps = [np.diff(one.x) for one in curves]
    apart = np.concatenate(gaps) if gaps else np.zeros(0)
    apart = apart[apart > 0]
    return float(np.median(apart)) if len(apart) else 1.0


def usual_range(curves: Sequence[Numbers]) -> tuple[float, float] | None:
    """The lower and upper fence around the values that most of the curves show, for the y axis.

    The lowest and the highest value of each curve are taken. At either end a fifth of them, at least one, is ignored;
    the fence lies three times the range of the others beyond them. So one diverging run does not flatten all others,
    and curves that all start high are shown completely.

    Args:
        curves: the y values of each curve.

    Returns:
        The fences; None where no value lies beyond them, or where there are fewer than four curves with finite values.
    """
    finite = [y[np.isfinite(y)] for y in curves]
    lows = np.sort([y.min() for y in finite if len(y)])
    highs = np.sort([y.max() for y in finite if len(y)])
    if len(lows) < 4:
        return None
    left_out = max(1, len(lows) // 5)
    low, high = float(lows[left_out]), float(highs[-1 - left_out])
    reach = 3 * (high - low)
    fences = (low - reach, high + reach)
    return fences if lows[0] < fences[0] or highs[-1] > fences[1] else None


def _points(
    history: pa.Table | Iterable[pa.RecordBatch], run_ids: Sequence[str], key: str
) -> tuple[Whole, Numbers, Numbers, Numbers]:
    """The points of one metric, sorted by run and in MLflow's order: index of the run, step, time (ms) and value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted_runs = pa.array(list(run_ids), pa.string())
    columns: list[npt.NDArray[Any]] = [np.empty(0, np.int64), *(np.empty(0) for _ in range(3))]
    count = 0
    for batch in history.to_batches(max_chunksize=_POINTS_AT_ONCE) if isinstance(history, pa.Table) else history:
        owners = pc.index_in(batch["run_id"], value_set=wanted_runs)
        wanted = pc.and_(pc.equal(batch["key"], key), pc.is_valid(owners))
        rows, owners = batch.filter(wanted), owners.filter(wanted)
        place = slice(count, count := count + rows.num_rows)
        for column in columns:  # grown in place: millions of points are never held twice
            if count > len(column):
                column.resize(max(count, len(column) * 5 // 4), refcheck=False)
        columns[0][place] = owners.to_numpy(zero_copy_only=False)
        columns[1][place], columns[2][place] = (
            rows[name].to_numpy(zero_copy_only=False) for name in ("step", "timestamp")
        )
        columns[3][place] = real(rows["value"].fill_null(np.nan).to_numpy(zero_copy_only=False))
    for column in columns:
        column.resize(count, refcheck=False)
    order = np.lexsort((columns[3], columns[2], columns[1], columns[0]))
    for number in range(4):
        columns[number] = columns[number][order]
    return columns[0], columns[1], columns[2], columns[3]


def _spans(owner: Whole, runs: int) -> list[tuple[int, int]]:
    """The (begin, end) rows of each run that has points."""
    bounds = np.searchsorted(owner, np.arange(runs + 1)).tolist()
    return [(begin, end) for begin, end in pairwise(bounds) if end > begin]


def _values_at(other: tuple[Whole, Numbers, Numbers, Numbers], owner: Whole, steps: Numbers, runs: int) -> Numbers:
    """The last value of another metric at the same step of the same run; NaN where there is none."""
    others, other_steps, _, values = other
    values_at = np.full(len(owner), np.nan)
    if not len(others):
        return values_at
    bounds = np.searchsorted(others, np.arange(runs + 1))
    for begin, end in _spans(owner, runs):
        low, high = bounds[owner[begin]], bounds[owner[begin] + 1]
        if low == high:
            continue
        place = low + np.searchsorted(other_steps[low:high], steps[begin:end], side="right") - 1
        has_value = (place >= low) & (other_steps[np.maximum(place, low)] == steps[begin:end])
        values_at[begin:end][has_value] = values[place[has_value]]
    return values_at


def _in_unit(seconds: Numbers) -> tuple[Numbers, Literal["s", "min", "h"]]:
    """Seconds converted to s, min or h by the longest of them."""
    longest = seconds.max(initial=0.0)
    unit: Literal["s", "min", "h"] = "s" if longest < 600 else "min" if longest < 18_000 else "h"
    return seconds / {"s": 1, "min": 60, "h": 3600}[unit], unit
