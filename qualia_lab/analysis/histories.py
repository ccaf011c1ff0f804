"""Metric histories as numbers: one series per run, NaN and infinite values apart, long ones reduced and counted."""

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

MOST_POINTS = 1000  # drawn of one series; more than a screen has columns
_MOST_ODD = 200  # NaN or infinite points marked in one series


@dataclass(frozen=True)
class Series:
    """One metric of one run.

    x: steps, or the unit of its History; y: values, NaN where a value is not finite; both reduced to what is drawn.
    odd_x, odd_y: where stretches of values that are not finite begin and end, and which: NaN, inf or -inf.
    recorded, odd: how many points there are in the store, and how many of them are not finite.
    last: the last finite value as it was recorded, or NaN when there is none.
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
        """Whether points are left out."""
        return len(self.x) < self.recorded


@dataclass(frozen=True)
class History:
    """One metric of several runs, in the order of the runs; runs that never recorded it are not in it.

    by, start, unplaced: as in curves.Curves.
    """

    key: str
    unit: Unit
    series: tuple[Series, ...]
    by: str = "step"
    start: int | None = None
    unplaced: int = 0


def real(values: Numbers) -> Numbers:
    """The values with MLflow's stand-in for infinity made infinite again."""
    return np.where(np.abs(values) >= INFINITE_FROM, np.copysign(np.inf, values), values)


def choose_drawn(
    run_ids: Sequence[str], latest: Numbers, *, named: int, most: int, greater_is_better: bool | None
) -> list[str]:
    """At most `most` runs that stand for all: the best `named` and an even choice of the others, in their order.

    latest: the latest value of each run, NaN where it has none. Without a direction the first ones are the best.
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
    """The series, best last value first; in their order where no direction is known. Those without one stand last."""
    if greater_is_better is None:
        return tuple(sorted(history.series, key=lambda one: bool(np.isnan(one.last))))
    sign = -1 if greater_is_better else 1
    return tuple(sorted(history.series, key=lambda one: (bool(np.isnan(one.last)), sign * np.nan_to_num(one.last))))


def reduce_points(y: Numbers, most: int) -> npt.NDArray[np.int64]:
    """Indices of at most `most` points that show what all show: of every bucket the first, last, lowest and highest.

    So the first and last point and every spike stay. y holds NaN at gaps; a bucket of NaN only keeps its ends.
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
    """One series from all of its points in order; raw: the values as recorded where these are smoothed."""
    finite = np.isfinite(values)
    y = np.where(finite, values, np.nan)
    drawn = reduce_points(y, most_points)
    odd = np.flatnonzero(~finite)
    # Of each stretch of such values the first and the last are marked; of very many stretches an even choice.
    inner = np.isin(odd - 1, odd) & np.isin(odd + 1, odd)
    marked = odd[~inner]
    if len(marked) > _MOST_ODD:
        marked = marked[np.linspace(0, len(marked) - 1, _MOST_ODD).astype(np.int64)]
    last = float((values if raw is None else raw)[finite][-1]) if finite.any() else float("nan")
    return Series(run_id, x[drawn], y[drawn], x[marked], values[marked], len(values), len(odd), last)
