"""Select the best of several configurations, correct its mean for the selection, and test it against the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.blocks import block_ranges, block_values, has_block_effect, pair_ps
from qualia_lab.analysis.intervals import t_quantile, unit_of
from qualia_lab.analysis.moments import joined, moments_of
from qualia_lab.analysis.studentized import largest_quantile, range_p

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from qualia_lab.analysis.histories import Numbers

    Flags = NDArray[np.bool_]

ALPHA = 0.02  # together with the other tests on a store, noise is to be called a difference at most once in 20
FEWEST_DEGREES = 3  # degrees of freedom of the pooled spread from which single-run configurations take part
PAIR_ALPHA = 0.05  # limit of the p value of Welch's test of a single pair
_UNEQUAL = 0.05  # p of Bartlett's test below which spreads count as different
_RIVAL_ALPHA = 0.005  # p below which a configuration is no rival when the interval is computed
_HYBRID = 0.005  # probability that the true mean lies outside the range searched for the corrected mean

How = Literal["blocks", "pooled", "own", "alike", "none"]
_UNTESTED: tuple[How, ...] = ("alike", "none")  # no spread to test with


@dataclass(frozen=True)
class Apart:
    """A configuration that differs from the leader.

    Attributes:
        place: its index among the groups given to `best_of`.
        difference: the leader's mean minus its own, in the unit of the metric.
        p: the p value, corrected for all pairs.
    """

    place: int
    difference: float
    p: float


@dataclass(frozen=True)
class BestOf:
    """The configuration with the best mean.

    Attributes:
        place: the index of the leader among the groups given to `best_of`.
        mean: the observed mean of the leader, biased by the selection.
        corrected: the mean corrected for the selection; None without a spread.
        low, high: the 95 % interval of the true mean of the selected configuration; None without a spread.
        level: the indices of the configurations that cannot be told apart from the leader.
        apart: the configurations that differ from the leader.
        k: the number of configurations with a value.
        how: how the spread was estimated. "blocks": the effect shared by runs of one seed or fold is removed; "pooled":
            one spread for all; "own": the spreads differ, so each pair has its own; "alike": no repeat differs from
            another; "none": too few repeats to estimate a spread. The last two give no interval and no p values.
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

    @property
    def tested(self) -> bool:
        """Whether the leader was tested against another configuration."""
        return self.k > 1 and self.how not in _UNTESTED


def best_of(
    groups: Sequence[Sequence[float]],
    *,
    greater_is_better: bool,
    alpha: float = ALPHA,
    repeats: Sequence[Sequence[object]] | None = None,
) -> BestOf | None:
    """Select the group with the best mean, and test every other group against it.

    Args:
        groups: the finite values of each configuration; a configuration without values is skipped.
        greater_is_better: the direction of the metric.
        alpha: the family-wise error rate: how often any pair is called different where all are equal.
        repeats: the seed, fold or data set of each value. Where all configurations have the same ones, each once, and
            runs that share one are correlated, that shared effect is removed before the comparison (see `blocks`).

    Returns:
        The leader and its comparisons; None where no group has a value.
    """
    places = [place for place, values in enumerate(groups) if len(values)]
    if not places:
        return None
    values, sizes = joined([groups[place] for place in places])
    unit = unit_of(values)
    scale = unit if greater_is_better else -unit
    values, counts = values / scale, sizes.astype(np.float64)
    means, squares = moments_of(values, sizes)
    first, k = int(means.argmax()), len(places)
    leader, mean = places[first], float(scale * means[first])
    others = tuple(place for row, place in enumerate(places) if row != first)
    known = _spread_method(means, counts, squares)
    if known in _UNTESTED:
        return BestOf(leader, mean, None, None, None, others, (), k, known)
    blocks = None
    if repeats is not None and k > 1:
        samples = np.split(values, np.cumsum(sizes)[:-1])
        blocks = block_values([repeats[place] for place in places], samples)
    if blocks is not None and has_block_effect(blocks):
        known = "blocks"
        ranges, degrees = block_ranges(blocks, first)
        ps, agrees = range_p(ranges, k, degrees), ~(pair_ps(blocks, first) >= PAIR_ALPHA)
    else:
        ps, agrees = _corrected_ps(means, counts, squares, first, known)
    apart = [row for row in np.flatnonzero((ps < alpha) & agrees) if row != first]
    differing = tuple(Apart(places[row], mean - float(scale * means[row]), float(ps[row])) for row in apart)
    level = tuple(sorted(set(others) - {rival.place for rival in differing}))
    low, corrected, high = (scale * number for number in _interval(means, counts, squares, first))
    return BestOf(leader, mean, corrected, min(low, high), max(low, high), level, differing, k, known)


def _spread_method(means: Numbers, counts: Numbers, squares: Numbers) -> How:
    """How the spread is estimated; see `BestOf.how`."""
    degrees = int((counts - 1).sum())
    if degrees < 1 or (degrees < FEWEST_DEGREES and counts.min() < 2):
        return "none"
    if math.sqrt(squares.sum() / degrees) <= 1e-12 * float(np.abs(means).max()):
        return "alike"
    return "own" if _bartlett_p(counts, squares) < _UNEQUAL else "pooled"


def _bartlett_p(counts: Numbers, squares: Numbers) -> float:
    """The p value of Bartlett's test (1937) for equal spreads, over groups with repeats; 0 where a spread is nil."""
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
    """Test each group against the leader.

    With one common spread this is the Tukey-Kramer test (Kramer 1956, Biometrics 12:307). Where spreads differ it is
    Welch's test (1947) times the number of pairs (Bonferroni). In both cases Welch's test of the pair alone has to
    agree at 5 %, which guards against a noisy configuration that looks different under the spread of quieter ones.

    Returns:
        The p values, shape (k,), corrected for all pairs because the leader is chosen after looking; and whether the
        test of the pair alone agrees, shape (k,).
    """
    k, degrees = len(means), int((counts - 1).sum())
    welch = _welch_ps(means, counts, squares, first)
    agrees: Flags = ~(welch >= PAIR_ALPHA)
    if how == "own":
        return np.minimum(1, np.nan_to_num(welch, nan=1) * k * (k - 1) / 2), agrees
    pooled = squares.sum() / degrees
    ranges = (means[first] - means) / np.sqrt(pooled * (1 / counts + 1 / counts[first]) / 2)
    return range_p(ranges, max(k, 2), degrees), agrees


def _welch_ps(means: Numbers, counts: Numbers, squares: Numbers, first: int) -> Numbers:
    """Two-sided p values of Welch's test (1947) against the leader, shape (k,); NaN where either has a single value."""
    from scipy.special import stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        parts = squares / (counts - 1) / counts
        both = parts + parts[first]
        degrees = both**2 / (parts**2 / (counts - 1) + parts[first] ** 2 / (counts[first] - 1))
        ps: Numbers = 2 * stdtr(degrees, -np.abs(means[first] - means) / np.sqrt(both))
    return ps


def _interval(means: Numbers, counts: Numbers, squares: Numbers, first: int) -> tuple[float, float, float]:
    """The lower end, the corrected mean and the upper end of the leader's true mean, for a metric where more is better.

    The true mean lies above the interval no more often than for a configuration named beforehand, since being selected
    and having been drawn low exclude each other: the upper end is Student's. Below the interval the selection matters,
    because the best of k was probably drawn high: the lower end uses the largest of k studentised means, the projection
    of Andrews, Kitagawa and McCloskey (2024), "Inference on Winners", QJE 139:305. As in their hybrid method, k counts
    only the configurations within reach of the leader. The standard error uses the pooled spread or the leader's own,
    whichever is larger, because the noisier of two level configurations leads more often.
    """
    degrees = int((counts - 1).sum())
    pooled, n = squares.sum() / degrees, int(counts[first])
    own = squares[first] / (n - 1) if n > 1 else 0.0
    error = math.sqrt(max(pooled, own) / n)
    if len(means) == 1:
        reach = t_quantile(degrees) * error
        return float(means[0] - reach), float(means[0]), float(means[0] + reach)
    ranges = (means[first] - means) / np.sqrt(pooled * (1 / counts + 1 / n) / 2)
    rivals = int((range_p(ranges, len(means), degrees) >= _RIVAL_ALPHA).sum())
    mean, second = float(means[first]), float(np.delete(means, first).max())
    low = mean - largest_quantile(rivals, degrees) * error
    limit = largest_quantile(len(means), degrees, 1 - _HYBRID)
    return (
        low,
        max(low, mean - error * _hybrid_shift((mean - second) / error, limit)),
        mean + t_quantile(degrees) * error,
    )


def _hybrid_shift(lead: float, limit: float) -> float:
    """The bias of a leader's mean in standard errors, given its lead over the second in standard errors.

    The hybrid median-unbiased estimate of Andrews, Kitagawa and McCloskey (2024), section 5: a normal distribution
    truncated below where the second would lead, and above at the true mean plus `limit` errors; the result is the true
    mean for which the observed mean is the median.
    """
    from scipy.special import ndtr

    low, high = 0.0, limit
    for _ in range(40):
        shift = (low + high) / 2
        above, total = ndtr(limit) - ndtr(shift), ndtr(limit) - ndtr(shift - lead)
        low, high = (shift, high) if above > total / 2 else (low, shift)
    return (low + high) / 2
