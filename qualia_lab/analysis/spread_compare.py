"""Spreads of all runs together: seeds against configurations, and a seed that collapses."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import unit_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.study.settings import Better

_FEWEST_DEGREES = 6  # within configurations, for a statement about spreads
_COLLAPSED = 8.0  # standard deviations between seeds
_FEWEST_SEEDS = 3
_FEWEST_DIFFERENCES = 6  # between two seeds of one configuration, for a robust spread
_MOST_IN_PAIRS = 300  # values of one configuration


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
