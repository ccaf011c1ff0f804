"""The best of several configurations: its mean corrected for having been selected, and which ones are told from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.blocks import block_ranges, block_values, pair_ps, share_something
from qualia_lab.analysis.intervals import t_quantile, unit_of
from qualia_lab.analysis.studentized import largest_quantile, range_p

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from qualia_lab.analysis.histories import Numbers

    Flags = NDArray[np.bool_]

ALPHA = 0.02  # with what else is asked of a store, noise is to be called a difference once in twenty at most
FEWEST_DEGREES = 3  # of the pooled spread, from which on configurations of one run take part
ALONE = 0.05  # p of Welch's test of the pair alone
_UNEQUAL = 0.05  # p of Bartlett's test, under which spreads differ
_OUT_OF_REACH = 0.005  # p, under which a configuration is no rival in the interval
_HYBRID = 0.005  # how often the true mean may lie beyond where the corrected one is looked for

How = Literal["blocks", "pooled", "own", "alike", "none"]


@dataclass(frozen=True)
class Apart:
    """A configuration that is told from the leader: the leader's mean less its own, and p corrected for all pairs."""

    place: int
    difference: float
    p: float


@dataclass(frozen=True)
class BestOf:
    """The configuration with the best mean of k, by its place among those given; without a value is not counted.

    mean: as observed, which is too good by selection.  corrected: without that.  low, high: the 95 % interval of the
    true mean of whichever is selected.  level: the places of those that are not told from the leader.
    how: "blocks", what runs of one seed or fold have in common is taken out; "pooled", one spread for all; "own",
    spreads differ, so each pair has its own; "alike", no repeat differs from another; "none", too few repeats to know
    a spread. Of the last two there is no interval and no p.
    """

    place: int
    mean: float
    corrected: float | None
    low: float | None
    high: float | None
    level: tuple[int, ...]
    apart: tuple[Apart, ...]
    k: int
    how: How


def best_of(
    groups: Sequence[Sequence[float]],
    *,
    greater_is_better: bool,
    alpha: float = ALPHA,
    repeats: Sequence[Sequence[object]] | None = None,
) -> BestOf | None:
    """Select the best mean of finite values; None where no group has one.

    Args:
        groups: the values of each configuration, one or more.
        greater_is_better: the direction.
        alpha: how often any pair is called apart where all are level.
        repeats: of each value its seed, fold or data; where all configurations have the same, each once, and runs that
            share one have something in common, that is taken out before they are told apart (`blocks`).
    """
    places = [place for place, values in enumerate(groups) if len(values)]
    if not places:
        return None
    unit = unit_of(np.concatenate([np.asarray(groups[place], dtype=np.float64) for place in places]))
    scale = unit if greater_is_better else -unit
    samples = [np.asarray(groups[place], dtype=np.float64) / scale for place in places]
    means, counts = np.array([float(one.mean()) for one in samples]), np.array([len(one) for one in samples])
    squares = np.array([float(one.var()) for one in samples]) * counts
    first, k = int(means.argmax()), len(places)
    leader, mean = places[first], float(scale * means[first])
    others = tuple(place for row, place in enumerate(places) if row != first)
    known = _how(means, counts, squares)
    if known in ("alike", "none"):
        return BestOf(leader, mean, None, None, None, others, (), k, known)
    blocks = block_values([repeats[place] for place in places], samples) if repeats is not None and k > 1 else None
    if blocks is not None and share_something(blocks):
        known = "blocks"
        ranges, degrees = block_ranges(blocks, first)
        ps, agrees = range_p(ranges, k, degrees), ~(pair_ps(blocks, first) >= ALONE)
    else:
        ps, agrees = _corrected_ps(means, counts, squares, first, known)
    apart = [row for row in np.flatnonzero((ps < alpha) & agrees) if row != first]
    told = tuple(Apart(places[row], mean - float(scale * means[row]), float(ps[row])) for row in apart)
    level = tuple(sorted(set(others) - {one.place for one in told}))
    low, corrected, high = (scale * one for one in _interval(means, counts, squares, first))
    return BestOf(leader, mean, corrected, min(low, high), max(low, high), level, told, k, known)


def _how(means: Numbers, counts: Numbers, squares: Numbers) -> How:
    """What is known of the spread."""
    degrees = int((counts - 1).sum())
    if degrees < 1 or (degrees < FEWEST_DEGREES and counts.min() < 2):
        return "none"
    if math.sqrt(squares.sum() / degrees) <= 1e-12 * float(np.abs(means).max()):
        return "alike"
    return "own" if _bartlett_p(counts, squares) < _UNEQUAL else "pooled"


def _bartlett_p(counts: Numbers, squares: Numbers) -> float:
    """Bartlett's test (1937) of whether spreads are equal, of the groups of two values or more; 0 where one is nil."""
    from scipy.special import chdtrc

    repeated = counts > 1
    degrees, sums = counts[repeated] - 1, squares[repeated]
    if len(sums) < 2:
        return 1.0
    if sums.min() <= 0:
        return 0.0
    total = degrees.sum()
    statistic = total * math.log(sums.sum() / total) - float((degrees * np.log(sums / degrees)).sum())
    scale = 1 + (float((1 / degrees).sum()) - 1 / total) / (3 * (len(sums) - 1))
    return float(chdtrc(len(sums) - 1, statistic / scale))


def _corrected_ps(means: Numbers, counts: Numbers, squares: Numbers, first: int, how: How) -> tuple[Numbers, Flags]:
    """Of each against the leader: p corrected for all pairs, as it is chosen after looking; whether it may be told.

    Of one spread Tukey and Kramer's test (Kramer 1956, Biometrics 12:307). Where spreads differ, Welch's test (1947)
    times the number of pairs (Bonferroni). In both cases Welch's test of the pair alone has to agree at 5 %: it holds
    back what a noisy configuration would seem to show under the spread of quieter ones.
    """
    k, degrees = len(means), int((counts - 1).sum())
    welch = _welch_ps(means, counts, squares, first)
    agrees: Flags = ~(welch >= ALONE)
    if how == "own":
        return np.minimum(1, np.nan_to_num(welch, nan=1) * k * (k - 1) / 2), agrees
    pooled = squares.sum() / degrees
    ranges = (means[first] - means) / np.sqrt(pooled * (1 / counts + 1 / counts[first]) / 2)
    return range_p(ranges, max(k, 2), degrees), agrees


def _welch_ps(means: Numbers, counts: Numbers, squares: Numbers, first: int) -> Numbers:
    """Two-sided p of Welch's test (1947) against the leader; NaN where one of the two has a single value."""
    from scipy.special import stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        parts = squares / (counts - 1) / counts
        both = parts + parts[first]
        degrees = both**2 / (parts**2 / (counts - 1) + parts[first] ** 2 / (counts[first] - 1))
        ps: Numbers = 2 * stdtr(degrees, -np.abs(means[first] - means) / np.sqrt(both))
    return ps


def _interval(means: Numbers, counts: Numbers, squares: Numbers, first: int) -> tuple[float, float, float]:
    """The lower end, the corrected mean and the upper end of the leader's true mean, where more is better.

    Above the interval the true mean lies no more often than that of a configuration named beforehand, since being
    selected and having been drawn low exclude each other: the upper end is Student's. Below it, it counts that the
    best of k was drawn high: the lower end is by the largest of k studentised means, the projection of Andrews,
    Kitagawa and McCloskey (2024), "Inference on Winners", QJE 139:305. As in their hybrid, k is only of those that
    are within reach of the leader. The error is of the pooled spread or the leader's own, whichever is larger: the
    noisier of level configurations leads more often.
    """
    degrees = int((counts - 1).sum())
    pooled, n = squares.sum() / degrees, int(counts[first])
    own = squares[first] / (n - 1) if n > 1 else 0.0
    error = math.sqrt(max(pooled, own) / n)
    if len(means) == 1:
        reach = t_quantile(degrees) * error
        return float(means[0] - reach), float(means[0]), float(means[0] + reach)
    ranges = (means[first] - means) / np.sqrt(pooled * (1 / counts + 1 / n) / 2)
    rivals = int((range_p(ranges, len(means), degrees) >= _OUT_OF_REACH).sum())
    mean, second = float(means[first]), float(np.delete(means, first).max())
    low = mean - largest_quantile(rivals, degrees) * error
    limit = largest_quantile(len(means), degrees, 1 - _HYBRID)
    return (
        low,
        max(low, mean - error * _hybrid_shift((mean - second) / error, limit)),
        mean + t_quantile(degrees) * error,
    )


def _hybrid_shift(lead: float, limit: float) -> float:
    """By how many errors a leader is too good, that leads the second by so many.

    The hybrid median-unbiased estimate of Andrews, Kitagawa and McCloskey (2024), section 5: of the normal distribution
    cut off below where the second would lead, and above at the true mean and `limit` errors; the true mean at which
    the observed one is the median.
    """
    from scipy.special import ndtr

    low, high = 0.0, limit
    for _ in range(40):
        shift = (low + high) / 2
        above, all_of_it = ndtr(limit) - ndtr(shift), ndtr(limit) - ndtr(shift - lead)
        low, high = (shift, high) if above > all_of_it / 2 else (low, shift)
    return (low + high) / 2
