"""Compare the spread between seeds to the spread between configurations, and find a seed that collapses."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import unit_of
from qualia_lab.analysis.moments import joined, rows_by_size

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.study.settings import Better

_FEWEST_DEGREES = 6  # degrees of freedom within configurations that a statement about spreads needs
_COLLAPSED = 8.0  # standard deviations between seeds
_TO_SD = 0.674490 * math.sqrt(2)  # the median of differences of two normal values, in their standard deviations
_FEWEST_SEEDS = 3
_FEWEST_DIFFERENCES = 6  # differences between two seeds of one configuration that a robust spread needs
_MOST_IN_PAIRS = 300  # values of one configuration of which all pairs are formed


@dataclass(frozen=True)
class SeedSpread:
    """How much repeats vary compared to configurations.

    Attributes:
        between_seeds: the standard deviation within configurations, in the unit of the metric.
        between_configurations: the standard deviation of their true means; 0 where their means vary no more than seeds
            would make them.
        share: the share of the configurations in the variance of a run, from 0 to 1.
        upper: the upper 95 % confidence bound of `share`.
    """

    between_seeds: float
    between_configurations: float
    share: float
    upper: float

    @property
    def most_between(self) -> float:
        """The upper 95 % confidence bound of `between_configurations`."""
        return self.between_seeds * math.sqrt(self.upper / (1 - self.upper)) if self.upper < 1 else math.inf

    @property
    def seeds_vary_more(self) -> bool:
        """Whether, with 95 % confidence, seeds account for more than half of the variance."""
        return self.upper < 0.5


def seed_spread(groups: Sequence[Sequence[float]]) -> SeedSpread | None:
    """Compare the spread of repeats to that of configurations.

    The intraclass correlation by one-way analysis of variance and its exact one-sided bound (Shrout and Fleiss 1979,
    ICC(1,1); Searle, Casella and McCulloch 1992, "Variance Components", 3.6), for unequal group sizes with their
    effective size n0.

    Args:
        groups: the finite values of each configuration.

    Returns:
        The spreads; None with fewer than six degrees of freedom within configurations, or where no repeat differs.
    """
    from scipy.special import fdtri

    values, counts = joined([of_group for of_group in groups if len(of_group)])
    k, total = len(counts), len(values)
    if k < 2 or total - k < _FEWEST_DEGREES:
        return None
    means, squares = np.empty(k), np.empty(k)
    for places, rows in rows_by_size(values, counts):
        means[places] = rows.mean(axis=1)
        squares[places] = ((rows - means[places][:, None]) ** 2).sum(axis=1)
    within = sum(squares.tolist()) / (total - k)
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
    """A run that is much worse than the other seeds of its configuration.

    Attributes:
        row: its index among the values.
        deviations: its distance from the median of the others, in standard deviations between seeds.
        others: that median, in the unit of the metric.
        in_others: in how many configurations the same seed did as well as others; 0 where it ran in no other one.
    """

    row: int
    deviations: float
    others: float
    in_others: int


def collapsed_seeds(
    values: Sequence[float] | Numbers, configurations: Sequence[Hashable], seeds: Sequence[Hashable], better: Better
) -> list[CollapsedSeed]:
    """The runs that are more than eight standard deviations worse than the median of their configuration's other seeds.

    The standard deviation is estimated from the median of all differences between two seeds of one configuration
    (Rousseeuw and Croux 1993, JASA 88:1273, with the median for the quartile), which is robust against outliers. A seed
    that is as much worse in every configuration is not reported.

    Args:
        values: the value of every run, finite.
        configurations: the configuration of every run.
        seeds: the seed of every run.
        better: the direction of the values.

    Returns:
        The collapsed runs, in the order of the values.
    """
    unit = unit_of(np.asarray(values, np.float64))
    worse = (1.0 if better == "lower" else -1.0) * np.asarray(values, np.float64) / unit
    rows_of: dict[Hashable, list[int]] = {}
    for row, configuration in enumerate(configurations):
        rows_of.setdefault(configuration, []).append(row)
    of_size: dict[int, list[list[int]]] = {}
    for of_configuration in rows_of.values():
        if len(of_configuration) >= _FEWEST_SEEDS:
            of_size.setdefault(len(of_configuration), []).append(of_configuration)
    repeated = [np.array(of_equal_size) for of_equal_size in of_size.values()]  # shape (configurations, seeds)
    others_of = [_medians_of_others(worse[rows]) for rows in repeated]
    farthest = max(
        (float((worse[rows] - others).max()) for rows, others in zip(repeated, others_of, strict=True)), default=0.0
    )
    if not farthest > 0 or _mostly_farther_apart([worse[rows] for rows in repeated], farthest * _TO_SD / _COLLAPSED):
        return []
    differences = [_differences(worse[rows]) for rows in repeated]
    if sum(map(len, differences)) < _FEWEST_DIFFERENCES:
        return []
    spread = float(np.median(np.concatenate(differences))) / _TO_SD
    if not spread > 0:
        return []
    all_deviations = [(worse[rows] - others) / spread for rows, others in zip(repeated, others_of, strict=True)]
    deviations_of: dict[int, tuple[float, float]] = {}
    for of_size_columns in zip(repeated, all_deviations, others_of, strict=True):
        columns = (column.ravel().tolist() for column in of_size_columns)
        deviations_of |= {row: (deviation, middle) for row, deviation, middle in zip(*columns, strict=True)}
    occurrences: Counter[Hashable] = Counter(seeds[row] for row in deviations_of)
    good_occurrences: Counter[Hashable] = Counter(
        seeds[row] for row, (deviations_of_run, _) in deviations_of.items() if deviations_of_run <= _COLLAPSED
    )
    sign = unit if better == "lower" else -unit
    collapsed = [
        CollapsedSeed(row, deviations_of_run, sign * middle, good_occurrences[seeds[row]])
        for row, (deviations_of_run, middle) in deviations_of.items()
        if deviations_of_run > _COLLAPSED and (occurrences[seeds[row]] == 1 or good_occurrences[seeds[row]])
    ]
    return sorted(collapsed, key=lambda one: one.row)


def _mostly_farther_apart(samples: Sequence[Numbers], distance: float) -> bool:
    """Whether more than half of the differences of `_differences` are larger, counted without computing them."""
    total, near = 0, 0
    for values in samples:
        ordered = np.sort(_paired(values), axis=1)
        places = np.arange(ordered.shape[1])
        total += len(ordered) * len(places) * (len(places) - 1) // 2
        reached = ordered + (1.001 * distance + 1e-12)  # for the rounding of differences of values up to about 1
        if len(ordered) > len(places):
            near += sum(int((ordered[:, lag:] <= reached[:, :-lag]).sum()) for lag in places[1:].tolist())
            continue
        for row, limits in zip(ordered, reached, strict=True):
            near += int((np.searchsorted(row, limits, side="right") - 1 - places).sum())
    return 2 * near < total


def _paired(values: Numbers) -> Numbers:
    """The values of each row whose differences are formed: all, or some of the quantiles of many."""
    n = values.shape[1]
    if n <= _MOST_IN_PAIRS:
        return values
    return np.asarray(np.sort(values, axis=1)[:, np.linspace(0, n - 1, _MOST_IN_PAIRS).astype(np.int64)])


def _differences(values: Numbers) -> Numbers:
    """The absolute differences of all pairs of values in each row; for many values, of some of their quantiles."""
    values = _paired(values)
    # Slices are a tenth of the time of two columns of indices for all pairs.
    return np.concatenate([np.abs(values[:, at + 1 :] - values[:, at, None]).ravel() for at in range(values.shape[1])])


def _medians_of_others(values: Numbers) -> Numbers:
    """For each of at least three values in a row, the median of the others in the row."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered, rank = np.take_along_axis(values, order, axis=1), np.argsort(order, axis=1)
    remaining = values.shape[1] - 1
    # Middle ranks among the others, which shift by one after the value that is left out.
    low, high = (remaining - 1) // 2, remaining // 2
    below, above = (np.take_along_axis(ordered, place + (rank <= place), axis=1) for place in (low, high))
    return np.asarray((below + above) / 2)
