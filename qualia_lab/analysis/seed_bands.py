"""Bands: the curves of runs that repeat a configuration, as their centre, their spread and their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.intervals import mean_intervals

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from qualia_lab.analysis.curves import Curve, Curves
    from qualia_lab.analysis.histories import Numbers, Unit

MOST_BUCKETS = 200  # points of one band; a line of this many looks smooth

# The interval of a mean of two values is thirteen times as wide as their spread: it carries no information.
FEWEST_FOR_INTERVAL = 3
# From this many runs on, the interval says more than the lowest and the highest value.
INTERVAL_FROM = 5

Middle = Literal["mean", "median"]
Spread = Literal["interval", "range"]


@dataclass(frozen=True)
class SeedBand:
    """The curve of one configuration.

    Attributes:
        place: the index of the configuration among the requested groups.
        x: shape (points,).
        n: how many runs have a finite value at each x.
        middle: the mean or the median at each x.
        low, high: the spread at each x; NaN where n is too small.
        recorded: how many of its runs recorded the metric.
        odd: how many values are not finite; they are in no average.
    """

    place: int
    x: Numbers
    n: npt.NDArray[np.int64]
    middle: Numbers
    low: Numbers
    high: Numbers
    recorded: int
    odd: int

    @property
    def last(self) -> float:
        """The middle at the last x; NaN where there is none."""
        return float(self.middle[-1]) if len(self.middle) else float("nan")


@dataclass(frozen=True)
class SeedBands:
    """The bands of several configurations over the same x.

    Attributes:
        key: the key of the metric.
        by: the x axis, as in `curves.Curves`.
        unit: the unit of x.
        middle: whether the centre is the mean or the median.
        spread: whether the spread is the 95 % interval of the mean or the range.
        bucketed: whether neighbouring x were merged into buckets; otherwise each band has exactly the x of its runs.
        buckets: the number of distinct x or buckets over all bands.
        bands: one band per configuration with a point.
        start: as in `curves.Curves`.
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
    """The centre and the spread at each x over the runs of each group; groups without a point are left out.

    No value is interpolated. Where runs share their x, and there are at most `most_buckets` of them, each x is one
    point. Otherwise the range of x is cut into equal buckets, as many as the median number of points of a run (half of
    that where x are not shared, at most `most_buckets`); the values of each run in a bucket are averaged first, then
    these over the runs, and the point stands at the mean of the x in the bucket. A run without a finite value in a
    bucket does not count there, so n drops.

    Args:
        found: the curves of all runs.
        groups: the run ids of each configuration.
        middle: `mean` or `median`.
        spread: `interval` is the 95 % interval of the mean at each x separately (see `intervals.mean_interval`), from
            three runs on; `range` the lowest and the highest run. None takes the interval where a configuration has
            five runs or more. A median has no interval here, so it always takes the range.
        most_buckets: the largest number of points of a band.

    Returns:
        The bands.
    """
    by_run = {one.run_id: one for one in found.curves}
    grouped = [[by_run[run_id] for run_id in group if run_id in by_run] for group in groups]
    most_runs = max((len(curves) for curves in grouped), default=0)
    if middle == "median":
        spread = "range"
    elif spread is None:
        spread = "interval" if most_runs >= INTERVAL_FROM else "range"
    edges, centres, bucketed = _buckets([curves for curves in grouped if curves], most_buckets)
    with np.errstate(all="ignore"):  # sums of values near the largest double are infinite
        bands = tuple(
            _band(place, curves, (edges, centres), middle, spread) for place, curves in enumerate(grouped) if curves
        )
    return SeedBands(found.key, found.by, found.unit, middle, spread, bucketed, len(centres), bands, found.start)


def _buckets(groups: Sequence[Sequence[Curve]], most: int) -> tuple[Numbers, Numbers, bool]:
    """The lower edges of the buckets, the x at which each is drawn, and whether a bucket holds several x."""
    if not groups:
        return np.zeros(0), np.zeros(0), False
    arrays: dict[bytes, Numbers] = {}  # runs with equal x share one array: there may be a hundred thousand runs
    distinct = [[arrays.setdefault(x.tobytes(), x) for x in (np.unique(one.x) for one in group)] for group in groups]
    all_x = np.unique(np.concatenate([*arrays.values()]))
    shared = _are_shared(distinct)
    if shared and len(all_x) <= most:
        return all_x, all_x, False
    points = float(np.median([len(x) for group in distinct for x in group]))
    count = int(max(1, min(most, points if shared else points / 2)))
    bucket = np.minimum(((all_x - all_x[0]) / (all_x[-1] - all_x[0] or 1.0) * count).astype(np.int64), count - 1)
    _, first, counts = np.unique(bucket, return_index=True, return_counts=True)
    centres = np.add.reduceat(all_x, first) / counts
    return all_x[first], centres, True


def _are_shared(groups: Sequence[Sequence[Numbers]]) -> bool:
    """Whether the runs of a configuration share their x: at least half of the x of all but its longest run."""
    points = matched = 0
    for group in groups:
        longest = max(range(len(group)), key=lambda place: len(group[place]))
        for place, x in enumerate(group):
            if place != longest:
                points += len(x)
                matched += len(x) if x is group[longest] else int(np.isin(x, group[longest]).sum())
    return matched * 2 >= points


def _band(
    place: int, curves: Sequence[Curve], buckets: tuple[Numbers, Numbers], middle: Middle, spread: Spread
) -> SeedBand:
    """The band of one configuration over the given buckets."""
    edges, centres = buckets
    values = np.full((len(curves), len(edges)), np.nan)
    odd = 0
    for row, one in enumerate(curves):
        finite = np.isfinite(one.y)
        odd += int(len(finite) - finite.sum())
        bucket = np.searchsorted(edges, one.x[finite], side="right") - 1
        counts = np.bincount(bucket, minlength=len(edges))
        sums = np.bincount(bucket, weights=one.y[finite], minlength=len(edges))
        values[row, counts > 0] = sums[counts > 0] / counts[counts > 0]
    n = np.isfinite(values).sum(axis=0)
    has_values = n > 0
    values, n = values[:, has_values], n[has_values]
    central = np.nanmean(values, axis=0) if middle == "mean" else np.nanmedian(values, axis=0)
    low, high = np.full(len(n), np.nan), np.full(len(n), np.nan)
    if spread == "range":
        several = n > 1
        low[several] = np.nanmin(values[:, several], axis=0)
        high[several] = np.nanmax(values[:, several], axis=0)
    else:
        points = values.T
        for size in np.unique(n[n >= FEWEST_FOR_INTERVAL]).tolist():
            alike = n == size
            samples = points[alike][np.isfinite(points[alike])].reshape(-1, size)
            low[alike], high[alike] = mean_intervals(samples)
    return SeedBand(place, centres[has_values], n, central, low, high, len(curves), odd)
