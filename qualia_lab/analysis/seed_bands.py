"""Bands: the curves of runs that only repeat a configuration as their middle, their spread, and how many they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.intervals import mean_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from qualia_lab.analysis.curves import Curve, Curves
    from qualia_lab.analysis.histories import Numbers, Unit

MOST_BUCKETS = 200  # of one band; a line of so many points is smooth to the eye

# An interval of a mean of two is thirteen times as wide as their spread: it says nothing but that there are two.
FEWEST_FOR_INTERVAL = 3
# From so many runs on the interval says more than the lowest and the highest.
INTERVAL_FROM = 5

Middle = Literal["mean", "median"]
Spread = Literal["interval", "range"]


@dataclass(frozen=True)
class SeedBand:
    """One configuration's curve: at each x how many runs have a finite value there, their middle and spread.

    low, high: NaN where n does not carry them.  last: the middle at the last x, NaN where there is none.
    recorded: its runs that recorded the metric.  odd: values that are not finite, which are in no average.
    """

    place: int  # among the configurations that were asked for
    x: Numbers
    n: npt.NDArray[np.int64]
    middle: Numbers
    low: Numbers
    high: Numbers
    recorded: int
    odd: int

    @property
    def last(self) -> float:
        """The middle at the last x."""
        return float(self.middle[-1]) if len(self.middle) else float("nan")


@dataclass(frozen=True)
class SeedBands:
    """The bands of several configurations on the same x.

    bucketed: whether neighbouring x were put together; else each band has the very x that its runs recorded.
    """

    key: str
    by: str
    unit: Unit
    middle: Middle
    spread: Spread
    bucketed: bool
    buckets: int
    bands: tuple[SeedBand, ...]
    start: int | None = None


def seed_bands(
    found: Curves,
    groups: Sequence[Sequence[str]],
    *,
    middle: Middle = "mean",
    spread: Spread | None = None,
    most_buckets: int = MOST_BUCKETS,
) -> SeedBands:
    """The middle and spread at each x, over the runs of each group; groups without a point are not in it.

    No value is invented: where runs share their x, and these are not more than `most_buckets`, each x is one point.
    Else the x that occur are cut into as many equal parts as a run has points in the middle (half of it where x are
    not shared, at most `most_buckets`), the values of a run in one part are averaged first, and these over the runs;
    the point stands at the mean of the x in the part. A part in which a run has no finite value is without that run,
    so n falls there.

    spread: `interval` is the 95 % interval of the mean at each x on its own (see intervals.mean_interval), from three
    runs on; `range` the lowest and the highest run. None: the interval where a configuration has five runs or more.
    A median has no interval here, and takes the range.
    """
    by_run = {one.run_id: one for one in found.curves}
    grouped = [[by_run[run_id] for run_id in group if run_id in by_run] for group in groups]
    most_runs = max((len(curves) for curves in grouped), default=0)
    if middle == "median":
        spread = "range"
    elif spread is None:
        spread = "interval" if most_runs >= INTERVAL_FROM else "range"
    edges, centres, bucketed = _buckets([curves for curves in grouped if curves], most_buckets)
    with np.errstate(all="ignore"):  # of values near the largest double sums are infinite
        bands = tuple(
            _band(place, curves, (edges, centres), middle, spread) for place, curves in enumerate(grouped) if curves
        )
    return SeedBands(found.key, found.by, found.unit, middle, spread, bucketed, len(centres), bands, found.start)


def _buckets(groups: Sequence[Sequence[Curve]], most: int) -> tuple[Numbers, Numbers, bool]:
    """The lower edges of the parts of x, where each stands, and whether several x are in one part."""
    if not groups:
        return np.zeros(0), np.zeros(0), False
    once: dict[bytes, Numbers] = {}  # runs of equal x share one array: there may be a hundred thousand
    distinct = [[once.setdefault(x.tobytes(), x) for x in (np.unique(one.x) for one in group)] for group in groups]
    all_x = np.unique(np.concatenate([*once.values()]))
    shared = _are_shared(distinct)
    if shared and len(all_x) <= most:
        return all_x, all_x, False
    points = float(np.median([len(x) for group in distinct for x in group]))
    count = int(max(1, min(most, points if shared else points / 2)))
    part = np.minimum(((all_x - all_x[0]) / (all_x[-1] - all_x[0] or 1.0) * count).astype(np.int64), count - 1)
    _, first, counts = np.unique(part, return_index=True, return_counts=True)
    centres = np.add.reduceat(all_x, first) / counts
    return all_x[first], centres, True


def _are_shared(groups: Sequence[Sequence[Numbers]]) -> bool:
    """Whether runs of a configuration recorded at the same x: at least half of the x of all but its longest run."""
    there = matched = 0
    for group in groups:
        longest = max(range(len(group)), key=lambda place: len(group[place]))
        for place, x in enumerate(group):
            if place != longest:
                there += len(x)
                matched += len(x) if x is group[longest] else int(np.isin(x, group[longest]).sum())
    return matched * 2 >= there


def _band(
    place: int, curves: Sequence[Curve], parts: tuple[Numbers, Numbers], middle: Middle, spread: Spread
) -> SeedBand:
    edges, centres = parts
    values = np.full((len(curves), len(edges)), np.nan)
    odd = 0
    for row, one in enumerate(curves):
        finite = np.isfinite(one.y)
        odd += int(len(finite) - finite.sum())
        part = np.searchsorted(edges, one.x[finite], side="right") - 1
        counts = np.bincount(part, minlength=len(edges))
        sums = np.bincount(part, weights=one.y[finite], minlength=len(edges))
        values[row, counts > 0] = sums[counts > 0] / counts[counts > 0]
    n = np.isfinite(values).sum(axis=0)
    kept = n > 0
    values, n = values[:, kept], n[kept]
    central = np.nanmean(values, axis=0) if middle == "mean" else np.nanmedian(values, axis=0)
    low, high = np.full(len(n), np.nan), np.full(len(n), np.nan)
    if spread == "range":
        several = n > 1
        low[several] = np.nanmin(values[:, several], axis=0)
        high[several] = np.nanmax(values[:, several], axis=0)
    else:
        for index in np.flatnonzero(n >= FEWEST_FOR_INTERVAL):
            column = values[:, index]
            interval = mean_interval(column[np.isfinite(column)].tolist())
            if interval is not None:
                low[index], high[index] = interval.low, interval.high
    return SeedBand(place, centres[kept], n, central, low, high, len(curves), odd)
