"""Means and 95 % intervals of small samples: Student's t for a handful of values, a stratified bootstrap beyond."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from qualia_lab.analysis.histories import Numbers

CONFIDENCE = 0.95

# From this many values on, the shape of the data is used instead of the normal distribution.
BOOTSTRAP_FROM = 10
BOOTSTRAP_TO = 1000
RESAMPLES = 2000
_SEED = 0  # fixed, so that the same values always give the same interval
# Resampled values held at once: 2,000 resamples of ten thousand runs would need half a gigabyte.
_DRAWN_AT_ONCE = 500_000
_RESAMPLED_TOGETHER = _DRAWN_AT_ONCE // RESAMPLES  # the largest sample whose resamples are all held at once

# A cache: the sections of a notebook need the intervals of the same groups, and one interval of thousands of runs takes
# a second.
_known: dict[tuple[bytes, tuple[object, ...] | None, float], tuple[float, float]] = {}
_MOST_KNOWN = 1024


@dataclass(frozen=True)
class Interval:
    """A 95 % interval.

    Attributes:
        low, high: its ends, in the unit of the values.
        how: whether it is Student's t interval or a bootstrap interval.
    """

    low: float
    high: float
    how: Literal["t", "bootstrap"]

    @property
    def half_width(self) -> float:
        """Half of the width, in the unit of the values."""
        return (self.high - self.low) / 2


def unit_of(values: Numbers) -> float:
    """A power of two near the largest absolute value: dividing by it is exact, and squares stay within doubles."""
    largest = float(np.abs(values).max(initial=0.0))
    return 2.0 ** max(-1000, math.frexp(largest)[1] - 1) if largest > 0 else 1.0


def mean_of(values: Sequence[float]) -> float:
    """The mean of one or more finite values, also where their sum exceeds the largest double."""
    try:
        return fmean(values)
    except OverflowError:
        return math.fsum(value / len(values) for value in values)


def interquartile_mean(values: Sequence[float] | Numbers) -> float:
    """The mean of the middle half: of n sorted values, floor(n/4) are dropped at each end.

    Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice"; computed as in
    rliable and scipy.stats.trim_mean. NaN for an empty sample.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cut = len(ordered) // 4
    middle = ordered[cut : len(ordered) - cut]
    unit = unit_of(middle)
    return unit * float((middle / unit).mean()) if len(middle) else math.nan


def mean_interval(values: Sequence[float], strata: Sequence[object] | None = None) -> Interval | None:
    """The 95 % interval of a mean.

    Below 10 values, and above 1,000, where a mean is normal whatever the data are, this is Student's t interval
    (Student 1908). In between it is the percentile interval of 2,000 bootstrap means (Efron 1979), resampled within
    each stratum (such as a fold) where there are several. Percentile intervals of so few values are too narrow, so the
    percentiles are moved outwards until normal data get Student's width: the expanded percentiles of Hesterberg (2015),
    "What Teachers Should Know About the Bootstrap".

    Args:
        values: finite values, shape (n,).
        strata: the stratum of each value; None for a single stratum.

    Returns:
        The interval; None for fewer than two values, or if all are equal: they do not show how far others would lie.
    """
    n = len(values)
    numbers = np.asarray(values, dtype=np.float64)
    if n < 2 or (numbers == numbers[0]).all():
        return None
    unit = unit_of(numbers)
    numbers = numbers / unit
    used_strata = None if n < BOOTSTRAP_FROM else usable_strata(strata)
    if n < BOOTSTRAP_FROM or (n > BOOTSTRAP_TO and used_strata is None):
        mean, error = float(numbers.mean()), float(numbers.std(ddof=1)) / math.sqrt(n)
        reach = t_quantile(n - 1) * error
        return Interval(unit * (mean - reach), unit * (mean + reach), "t")
    if used_strata is None and n <= _RESAMPLED_TOGETHER:
        low, high = _resampled_ends(numbers[np.newaxis])[:, 0].tolist()
        return Interval(unit * low, unit * high, "bootstrap")
    sizes = [len(stratum) for stratum in _members(used_strata, n)]
    confidence = _expanded(min(sizes), n - len(sizes))
    cache_key = (
        hashlib.sha256(numbers.tobytes()).digest(),
        None if used_strata is None else tuple(used_strata),
        confidence,
    )
    if cache_key not in _known:
        while len(_known) >= _MOST_KNOWN:
            del _known[next(iter(_known))]
        _known[cache_key] = bootstrap_interval(numbers, _means, strata=used_strata, confidence=confidence)
    low, high = _known[cache_key]
    return Interval(unit * low, unit * high, "bootstrap")


def mean_intervals(samples: Numbers) -> tuple[Numbers, Numbers]:
    """The ends of `mean_interval` for many samples of the same size; NaN where there is no interval.

    Args:
        samples: finite values, shape (samples, n).

    Returns:
        The lower and the upper ends, shape (samples,).
    """
    ends = np.full((2, len(samples)), np.nan)
    if BOOTSTRAP_FROM <= samples.shape[1] <= _RESAMPLED_TOGETHER:
        varying = np.flatnonzero((samples != samples[:, :1]).any(axis=1))
        units = np.array([unit_of(sample) for sample in samples[varying]])
        ends[:, varying] = units * _resampled_ends(samples[varying] / units[:, np.newaxis])
    else:
        for place, sample in enumerate(samples.tolist()):
            interval = mean_interval(sample)
            if interval is not None:
                ends[:, place] = interval.low, interval.high
    return ends[0], ends[1]


def bootstrap_interval(
    values: Numbers,
    statistic: Callable[[Numbers], Numbers],
    *,
    strata: Sequence[object] | None = None,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """The percentile interval of a statistic over 2,000 resamples with a fixed seed, drawn within each stratum.

    Args:
        values: shape (n,).
        statistic: maps resamples of shape (resamples, n) to shape (resamples,).
        strata: the stratum of each value; None for a single stratum.
        confidence: the coverage of the interval.

    Returns:
        The lower and the upper end.
    """
    generator = np.random.default_rng(_SEED)
    strata_values = [values[members] for members in _members(strata, len(values))]
    at_once = max(1, _DRAWN_AT_ONCE // max(1, len(values)))
    resampled = []
    for begin in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - begin)
        drawn = [stratum[generator.integers(0, len(stratum), (rows, len(stratum)))] for stratum in strata_values]
        resampled.append(statistic(np.concatenate(drawn, axis=-1)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(resampled), (tail, 1 - tail))
    return float(low), float(high)


def usable_strata(strata: Sequence[object] | None) -> Sequence[object] | None:
    """The strata where each holds two values or more, otherwise None: one value has no spread to resample."""
    if strata is None or len(set(strata)) < 2:
        return None
    return strata if min(map(len, _members(strata, len(strata)))) > 1 else None


def _resampled_ends(samples: Numbers) -> Numbers:
    """The ends, shape (2, samples), of the percentile intervals of the means of samples, shape (samples, n).

    All samples are resampled alike, and as in `bootstrap_interval`, so the means of all resamples are one product;
    `@` would start the threads of BLAS, which cost more than this product.
    """
    n = samples.shape[1]
    means = np.einsum("sn,nr->sr", samples, _times_drawn(n)) / n
    tail = (1 - _expanded(n, n - 1)) / 2
    ends: Numbers = np.quantile(means, (tail, 1 - tail), axis=1)
    return ends


@lru_cache(maxsize=8)
def _times_drawn(n: int) -> Numbers:
    """How often each of n values is drawn in each of 2,000 resamples, shape (n, resamples)."""
    drawn = np.random.default_rng(_SEED).integers(0, n, (RESAMPLES, n))
    places = drawn * RESAMPLES + np.arange(RESAMPLES)[:, np.newaxis]
    return np.bincount(places.ravel(), minlength=n * RESAMPLES).reshape(n, RESAMPLES).astype(np.float64)


@lru_cache(maxsize=512)
def t_quantile(degrees: float, probability: float = 0.975) -> float:
    """The quantile of Student's t distribution; by default the one of a two-sided 95 % interval."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


@lru_cache(maxsize=512)
def _expanded(smallest: int, degrees: int) -> float:
    """The confidence at which percentile intervals have Student's width in the smallest stratum."""
    from scipy.special import ndtr

    return float(2 * ndtr(math.sqrt(smallest / (smallest - 1)) * t_quantile(degrees)) - 1)


def _means(resamples: Numbers) -> Numbers:
    """The means of resamples along the last axis."""
    means: Numbers = resamples.mean(axis=-1)
    return means


def _members(strata: Sequence[object] | None, n: int) -> list[Any]:
    """The indices of the values in each stratum, in the order of first occurrence."""
    if strata is None:
        return [np.arange(n)]
    members: dict[object, list[int]] = {}
    for index, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(index)
    return [np.array(indices) for indices in members.values()]
