"""Middles and 95 % intervals of few numbers: Student's t for a handful, a stratified bootstrap beyond."""

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

# From so many values on the shape of the data is asked instead of the normal distribution.
BOOTSTRAP_FROM = 10
BOOTSTRAP_TO = 1000
RESAMPLES = 2000
_SEED = 0  # the same values give the same interval, always
_DRAWN_AT_ONCE = 500_000  # values of resamples: of ten thousand runs 2,000 of them would be half a gigabyte

# The sections of a notebook ask for the intervals of the same groups, and of thousands of runs one takes a second.
_known: dict[tuple[bytes, tuple[object, ...] | None, float], tuple[float, float]] = {}
_MOST_KNOWN = 1024


@dataclass(frozen=True)
class Interval:
    """A 95 % interval and how it was computed."""

    low: float
    high: float
    how: Literal["t", "bootstrap"]

    @property
    def half_width(self) -> float:
        """Half of its width, in the unit of the values."""
        return (self.high - self.low) / 2


def unit_of(values: Numbers) -> float:
    """A power of two about as large as the largest value: divided by it no digit is lost, and squares are doubles."""
    largest = float(np.abs(values).max(initial=0.0))
    return 2.0 ** max(-1000, math.frexp(largest)[1] - 1) if largest > 0 else 1.0


def mean_of(values: Sequence[float]) -> float:
    """The mean of one or more finite values; also of such whose sum is no double."""
    try:
        return fmean(values)
    except OverflowError:
        return math.fsum(value / len(values) for value in values)


def interquartile_mean(values: Sequence[float] | Numbers) -> float:
    """The mean of the middle half: of n sorted values, floor(n/4) at each end are left out.

    Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice"; as rliable and
    scipy.stats.trim_mean compute it. NaN of no values.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cut = len(ordered) // 4
    middle = ordered[cut : len(ordered) - cut]
    unit = unit_of(middle)
    return unit * float((middle / unit).mean()) if len(middle) else math.nan


def mean_interval(values: Sequence[float], strata: Sequence[object] | None = None) -> Interval | None:
    """The 95 % interval of a mean; None for fewer than two values, which carry none.

    Under 10 values, and past 1,000, of which a mean is normal whatever they are, Student's t (Student 1908). Between
    them the percentiles of 2,000 bootstrap means (Efron 1979), drawn within each stratum (such as a fold) where there
    are several. Percentiles of so few values are too narrow; they are taken farther out, so that normal data get
    Student's width: the expanded percentiles of Hesterberg (2015), "What Teachers Should Know About the Bootstrap".
    """
    n = len(values)
    if n < 2:
        return None
    numbers = np.asarray(values, dtype=np.float64)
    unit = unit_of(numbers)
    numbers = numbers / unit
    kept = None if n < BOOTSTRAP_FROM else usable_strata(strata)
    if n < BOOTSTRAP_FROM or (n > BOOTSTRAP_TO and kept is None):
        mean, error = float(numbers.mean()), float(numbers.std(ddof=1)) / math.sqrt(n)
        reach = t_quantile(n - 1) * error
        return Interval(unit * (mean - reach), unit * (mean + reach), "t")
    sizes = [len(stratum) for stratum in _members(kept, n)]
    confidence = _expanded(min(sizes), n - len(sizes))
    asked = (hashlib.sha256(numbers.tobytes()).digest(), None if kept is None else tuple(kept), confidence)
    if asked not in _known:
        while len(_known) >= _MOST_KNOWN:
            del _known[next(iter(_known))]
        _known[asked] = bootstrap_interval(numbers, _means, strata=kept, confidence=confidence)
    low, high = _known[asked]
    return Interval(unit * low, unit * high, "bootstrap")


def bootstrap_interval(
    values: Numbers,
    statistic: Callable[[Numbers], Numbers],
    *,
    strata: Sequence[object] | None = None,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Percentile interval of a statistic over 2,000 resamples with a fixed seed, drawn within each stratum.

    statistic: of (resamples, n) values, along the last axis.
    """
    generator = np.random.default_rng(_SEED)
    strata_values = [values[members] for members in _members(strata, len(values))]
    at_once = max(1, _DRAWN_AT_ONCE // max(1, len(values)))
    resampled = []
    for begin in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - begin)
        drawn = [of[generator.integers(0, len(of), (rows, len(of)))] for of in strata_values]
        resampled.append(statistic(np.concatenate(drawn, axis=-1)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(resampled), (tail, 1 - tail))
    return float(low), float(high)


def usable_strata(strata: Sequence[object] | None) -> Sequence[object] | None:
    """The strata where each holds two values or more, else None: a stratum of one value has no spread to draw from."""
    if strata is None or len(set(strata)) < 2:
        return None
    return strata if min(map(len, _members(strata, len(strata)))) > 1 else None


@lru_cache(maxsize=512)
def t_quantile(degrees: float, probability: float = 0.975) -> float:
    """The quantile of Student's t; by default the two-sided 95 % one."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


@lru_cache(maxsize=512)
def _expanded(smallest: int, degrees: int) -> float:
    """The confidence at which percentiles have Student's width: of the smallest stratum, so never too narrow."""
    from scipy.special import ndtr

    return float(2 * ndtr(math.sqrt(smallest / (smallest - 1)) * t_quantile(degrees)) - 1)


def _means(resamples: Numbers) -> Numbers:
    means: Numbers = resamples.mean(axis=-1)
    return means


def _members(strata: Sequence[object] | None, n: int) -> list[Any]:
    """The indices of each stratum, in the order of their first value."""
    if strata is None:
        return [np.arange(n)]
    members: dict[object, list[int]] = {}
    for index, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(index)
    return [np.array(indices) for indices in members.values()]
