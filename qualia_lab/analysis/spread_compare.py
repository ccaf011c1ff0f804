"""Spreads and levels of all runs together: seeds against configurations, a seed that collapses, a metric at its end."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.intervals import unit_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from qualia_lab.analysis.bounds import Bounds
    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.study.settings import Better

_FEWEST_DEGREES = 6  # within configurations, for a statement about spreads
_COLLAPSED = 8.0  # standard deviations between seeds
_FEWEST_SEEDS = 3
_FEWEST_DIFFERENCES = 6  # between two seeds of one configuration, for a robust spread
_MOST_IN_PAIRS = 300  # values of one configuration
_FEWEST_RUNS = 5
_AT_BOUND = 1e-3  # of the range
_SATURATED = 0.9  # of the runs
_AUC_OF_CHANCE = 0.03  # from 0.5
_HALF = 0.5  # the held-out error, of that of training: what regularisation alone hardly does


@dataclass(frozen=True)
class SeedSpread:
    """How much repeats vary, and configurations.

    between_seeds: the standard deviation within configurations.  between_configurations: that of their true means, 0
    where their means vary no more than seeds make them.  share: of the configurations in the variance of a run.
    upper: up to which share the runs speak for, at 95 %.
    """

    between_seeds: float
    between_configurations: float
    share: float
    upper: float

    @property
    def most_between(self) -> float:
        """The largest standard deviation of the true means that the runs speak for, at 95 %."""
        return self.between_seeds * math.sqrt(self.upper / (1 - self.upper)) if self.upper < 1 else math.inf

    @property
    def seeds_vary_more(self) -> bool:
        """Whether, at 95 %, seeds make up more than half of the variance."""
        return self.upper < 0.5


def seed_spread(groups: Sequence[Sequence[float]]) -> SeedSpread | None:
    """Compare the spread of repeats to that of configurations; None with fewer than six degrees of freedom within.

    The intraclass correlation by one-way analysis of variance and its exact one-sided bound (Shrout and Fleiss 1979,
    ICC(1,1); Searle, Casella and McCulloch 1992, "Variance Components", 3.6), for unequal numbers with their mean n0.
    """
    from scipy.special import fdtri

    samples = [np.asarray(values, np.float64) for values in groups if len(values)]
    k, total = len(samples), sum(map(len, samples))
    if k < 2 or total - k < _FEWEST_DEGREES:
        return None
    counts, means = np.array([len(one) for one in samples]), np.array([one.mean() for one in samples])
    within = sum(float(((one - one.mean()) ** 2).sum()) for one in samples) / (total - k)
    between = float((counts * (means - counts @ means / total) ** 2).sum()) / (k - 1)
    if not within > 0:
        return None
    n0 = (total - float((counts**2).sum()) / total) / (k - 1)
    true = max(0.0, (between - within) / n0)
    largest = between / within / float(fdtri(k - 1, total - k, 0.05))
    upper = max(0.0, (largest - 1) / (largest + n0 - 1))
    return SeedSpread(math.sqrt(within), math.sqrt(true), true / (true + within), upper)


@dataclass(frozen=True)
class CollapsedSeed:
    """A run much worse than the other seeds of its configuration.

    deviations: from their median, in standard deviations between seeds.  in_others: the configurations in which the
    same seed did as well as others; 0 where it ran in no other one.
    """

    row: int
    deviations: float
    others: float
    in_others: int


def collapsed_seeds(
    values: Sequence[float], configurations: Sequence[Hashable], seeds: Sequence[Hashable], better: Better
) -> list[CollapsedSeed]:
    """The runs that are eight standard deviations worse than the median of the other seeds of their configuration.

    The standard deviation is the median of all differences between two seeds of one configuration (Rousseeuw and Croux
    1993, JASA 88:1273, with the median for the quartile), which outliers hardly change. A seed that is as much worse
    wherever it ran is not reported.

    Args:
        values: of every run, finite.
        configurations: of every run.
        seeds: of every run.
        better: the direction of the values.
    """
    unit = unit_of(np.asarray(values, np.float64))
    worse = (1.0 if better == "lower" else -1.0) * np.asarray(values, np.float64) / unit
    rows_of: dict[Hashable, list[int]] = {}
    for row, configuration in enumerate(configurations):
        rows_of.setdefault(configuration, []).append(row)
    repeated = [np.array(rows) for rows in rows_of.values() if len(rows) >= _FEWEST_SEEDS]
    differences = [_differences(worse[rows]) for rows in repeated]
    if sum(map(len, differences)) < _FEWEST_DIFFERENCES:
        return []
    spread = float(np.median(np.concatenate(differences))) / (0.674490 * math.sqrt(2))
    if not spread > 0:
        return []
    away: dict[int, tuple[float, float]] = {}
    for rows in repeated:
        others = _medians_of_others(worse[rows])
        deviations = (worse[rows] - others) / spread
        away |= dict(zip(rows.tolist(), zip(deviations.tolist(), others.tolist(), strict=True), strict=True))
    often: Counter[Hashable] = Counter(seeds[row] for row in away)
    well: Counter[Hashable] = Counter(seeds[row] for row, (far, _) in away.items() if far <= _COLLAPSED)
    sign = unit if better == "lower" else -unit
    found = [
        CollapsedSeed(row, far, sign * middle, well[seeds[row]])
        for row, (far, middle) in away.items()
        if far > _COLLAPSED and (often[seeds[row]] == 1 or well[seeds[row]])
    ]
    return sorted(found, key=lambda one: one.row)


def _differences(values: Numbers) -> Numbers:
    """The sizes of the differences of every two values; of many values as many quantiles stand for them."""
    if len(values) > _MOST_IN_PAIRS:
        values = np.sort(values)[np.linspace(0, len(values) - 1, _MOST_IN_PAIRS).astype(np.int64)]
    return np.asarray(np.abs(values[:, None] - values)[np.triu_indices(len(values), 1)])


def _medians_of_others(values: Numbers) -> Numbers:
    """Of each of three values or more the median of the others."""
    order = np.argsort(values, kind="stable")
    ordered, rank = values[order], np.empty(len(values), np.int64)
    rank[order] = np.arange(len(values))
    left = len(values) - 1
    low, high = (left - 1) // 2, left // 2  # places among the others, which move up behind the one that is left out
    middle = ordered[low + (rank <= low)], ordered[high + (rank <= high)]
    return np.asarray((middle[0] + middle[1]) / 2)


def end_of_metric(
    values: Sequence[float], bounds: Bounds, chance: Literal["auc", "r2"] | None = None
) -> Literal["constant", "saturated", "at chance"] | None:
    """Whether a metric tells nothing of five runs or more, and why.

    Constant: all values are the same.  Saturated: nine of ten lie at a bound, within a thousandth of the range.
    At chance: all areas under a curve lie within 0.03 of 0.5, or no R2 is above 0; of others chance is not known.

    Args:
        values: the latest ones, of all runs, finite.
        bounds: of bounds_of; half open ones have no range.
        chance: what kind of metric it is by its name.
    """
    numbers = np.asarray(values, np.float64)
    if len(numbers) < _FEWEST_RUNS:
        return None
    if np.ptp(numbers) <= 1e-12 * float(np.abs(numbers).max()):
        return "constant"
    low, high = bounds
    if low is not None and high is not None:
        near = _AT_BOUND * (high - low)
        if max(float((numbers >= high - near).mean()), float((numbers <= low + near).mean())) >= _SATURATED:
            return "saturated"
    scale = 100.0 if high == 100.0 else 1.0
    at_chance = {
        "auc": bool((np.abs(numbers - scale / 2) <= scale * _AUC_OF_CHANCE).all()),
        "r2": bool((numbers <= 0).all()),
    }
    return "at chance" if chance is not None and at_chance[chance] else None


@dataclass(frozen=True)
class HeldOutAhead:
    """Held-out values that are much better than those of training in all n runs: the medians of both, and of the gap.

    error: the median of the held-out error by that of training.
    """

    n: int
    training: float
    held_out: float
    gap: float
    error: float


def held_out_ahead(
    training: Sequence[float], held_out: Sequence[float], better: Better, bounds: Bounds
) -> HeldOutAhead | None:
    """Whether the held-out error is under half of that of training in every one of five runs or more; else None.

    The error is the value of a metric that is better when less and not under 0, or what is missing to the upper bound.
    Dropout and augmentation make training look worse than it is, by less. That all of five runs do by chance has
    p = 1/32 at most (sign test, Conover 1999, 3.4).

    Args:
        training: of every run, finite.
        held_out: the same, in the same order.
        better: the direction of both.
        bounds: of bounds_of.
    """
    a, b = np.asarray(training, np.float64), np.asarray(held_out, np.float64)
    if better == "higher" and bounds[1] is None:
        return None
    errors = (a, b) if better == "lower" else (float(bounds[1] or 0) - a, float(bounds[1] or 0) - b)
    if len(a) < _FEWEST_RUNS or min(float(one.min()) for one in errors) < 0 or not errors[0].min() > 0:
        return None
    shares = errors[1] / errors[0]
    if not (shares < _HALF).all():
        return None
    return HeldOutAhead(
        len(a), float(np.median(a)), float(np.median(b)), float(np.median(b - a)), float(np.median(shares))
    )
