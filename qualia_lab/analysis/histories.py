"""Metric histories as arrays: one series per run, with non-finite values kept apart and long series downsampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

Unit = Literal["step", "s", "min", "h", "metric"]

# MLflow stores infinity in SQL as the largest double, 1.797e308.
INFINITE_FROM = 1.79e308

MOST_POINTS = 1000  # points drawn per series; more than a screen has columns
_MOST_ODD = 200  # NaN or infinite points marked per series


@dataclass(frozen=True)
class Series:
    """One metric of one run, downsampled for drawing.

    Attributes:
        run_id: the run.
        x: steps, or the unit of its History; shape (drawn points,).
        y: values, NaN where a value is not finite; the same shape as x.
        odd_x: where each stretch of non-finite values begins and ends.
        odd_y: the values at odd_x: NaN, inf or -inf.
        recorded: how many points the store holds.
        odd: how many of them are not finite.
        last: the last value as it was recorded; NaN where it is not finite.
    """

    run_id: str
    x: Numbers
    y: Numbers
    odd_x: Numbers
    odd_y: Numbers
    recorded: int
    odd: int
    last: float

    @property
    def reduced(self) -> bool:
        """Whether points were left out."""
        return len(self.x) < self.recorded


@dataclass(frozen=True)
class History:
    """One metric of several runs, in the order of the runs; runs that never recorded it are left out.

    Attributes:
        key: the key of the metric.
        unit: the unit of x.
        series: one series per run.
        by, start, unplaced: as in `curves.Curves`.
    """

    key: str
    unit: Unit
    series: tuple[Series, ...]
    by: str = "step"
    start: int | None = None
    unplaced: int = 0


def real(values: Numbers) -> Numbers:
    """The values with MLflow's stand-in for infinity converted back to infinity."""
    return np.where(np.abs(values) >= INFINITE_FROM, np.copysign(np.inf, values), values)


def choose_drawn(
    run_ids: Sequence[str], latest: Numbers, *, named: int, most: int, greater_is_better: bool | None
) -> list[str]:
    """Choose at most `most` representative runs: the best `named` and an even selection of the others, in their order.

    Args:
        run_ids: the runs.
        latest: the last value of each run, NaN where it has none, shape (runs,).
        named: how many of the best runs are included.
        most: the largest number of runs.
        greater_is_better: the direction of the metric; without one, the first runs count as the best.

    Returns:
        The ids of the chosen runs.
    """
    if len(run_ids) <= most:
        return list(run_ids)
    places = np.arange(len(run_ids))
    sign = 0.0 if greater_is_better is None else -1.0 if greater_is_better else 1.0
    best = np.lexsort((places, sign * np.nan_to_num(latest), np.isnan(latest)))[:named]
    others = np.setdiff1d(places, best)
    chosen = others[np.linspace(0, len(others) - 1, most - len(best)).astype(np.int64)]
    return [run_ids[place] for place in np.sort(np.concatenate([best, chosen]))]


def rank(history: History, *, greater_is_better: bool | None) -> tuple[Series, ...]:
    """The series sorted by their last value, best first; those without a value are last.

    Args:
        history: the series.
        greater_is_better: the direction of the metric; without one the series keep their order.

    Returns:
        The sorted series.
    """
    if greater_is_better is None:
        return tuple(sorted(history.series, key=lambda one: bool(np.isnan(one.last))))
    sign = -1 if greater_is_better else 1
    return tuple(sorted(history.series, key=lambda one: (bool(np.isnan(one.last)), sign * np.nan_to_num(one.last))))


def reduce_points(y: Numbers, most: int) -> npt.NDArray[np.int64]:
    """Choose at most `most` points that preserve the shape: the first, last, lowest and highest of each bucket.

    So the first and the last point and every spike are kept. A bucket that holds only NaN keeps its ends.

    Args:
        y: the values, NaN at gaps, shape (points,).
        most: the largest number of points.

    Returns:
        The indices of the chosen points, ascending.
    """
    if len(y) <= most:
        return np.arange(len(y))
    edges = np.linspace(0, len(y), max(1, most // 4) + 1).astype(np.int64)
    starts, ends = edges[:-1], edges[1:]
    keep = [starts, ends - 1]
    low, high = np.where(np.isnan(y), np.inf, y), np.where(np.isnan(y), -np.inf, y)
    keep.append(np.array([start + low[start:end].argmin() for start, end in zip(starts, ends, strict=True)]))
    keep.append(np.array([start + high[start:end].argmax() for start, end in zip(starts, ends, strict=True)]))
    return np.unique(np.concatenate(keep))


def take_series(run_id: str, x: Numbers, values: Numbers, most_points: int, *, raw: Numbers | None = None) -> Series:
    """Make a series from all points of a run, in order.

    Args:
        run_id: the run.
        x: shape (points,).
        values: shape (points,); smoothed where the series is drawn smoothed.
        most_points: the largest number of points drawn.
        raw: the values as recorded, where `values` are smoothed.

    Returns:
        The series, downsampled.
    """
    finite = np.isfinite(values)
    y = np.where(finite, values, np.nan)
    drawn = reduce_points(y, most_points)
    odd = np.flatnonzero(~finite)
    # The first and the last of each stretch of such values are marked; of very many stretches an even selection.
    inner = np.isin(odd - 1, odd) & np.isin(odd + 1, odd)
    marked = odd[~inner]
    if len(marked) > _MOST_ODD:
        marked = marked[np.linspace(0, len(marked) - 1, _MOST_ODD).astype(np.int64)]
    recorded = values if raw is None else raw
    last = float(recorded[-1]) if len(recorded) and np.isfinite(recorded[-1]) else float("nan")
    return Series(run_id, x[drawn], y[drawn], x[marked], values[marked], len(values), len(odd), last)
