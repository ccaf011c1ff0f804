"""Whether the best level of one factor depends on another: a two-way layout with repeats."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from qualia_lab.analysis.histories import Numbers

    Level = Hashable
    Cell = tuple[Level, Level]

_FEWEST_DEGREES = 3  # of the error
_MOST_LEVELS = 40  # of a factor: what has more is a search, not a layout


@dataclass(frozen=True)
class Interaction:
    """What two factors do together.

    p: of the F test of interaction.  share: of the variance between cells, what the two factors do not add up to.
    best: of each level of the second factor, that of the first with the best mean.
    crossing: the p that the order of two levels of the first factor is one way at one level of the second and the other
    way at another, corrected for all such pairs; 1 where the best level is the same at all.
    """

    p: float
    share: float
    best: tuple[tuple[Level, Level], ...]
    crossing: float


def interaction(cells: Mapping[Cell, Sequence[float]], *, greater_is_better: bool) -> Interaction | None:
    """The interaction of two factors; None where the layout or the repeats do not carry it.

    The F test compares the means of the cells with those that two additive factors give, by least squares, so cells of
    different sizes and empty ones are allowed (Yates 1934; Searle 1971, Linear Models, 7.2). A crossing is the
    qualitative interaction of Gail and Simon (1985, Biometrics 41:361): two opposite one-sided t tests with the pooled
    error, both of which have to be significant (Berger 1982), times the number of pairs of pairs (Bonferroni).

    Args:
        cells: by levels of the first and of the second factor, the finite values of the repeats.
        greater_is_better: the direction.
    """
    filled = {cell: np.asarray(values, np.float64) for cell, values in cells.items() if len(values)}
    firsts, seconds = (list(dict.fromkeys(cell[side] for cell in filled)) for side in (0, 1))
    if min(len(firsts), len(seconds)) < 2 or max(len(firsts), len(seconds)) > _MOST_LEVELS:
        return None
    shape = len(firsts), len(seconds)
    sums, counts = np.zeros(shape), np.zeros(shape)
    within = 0.0
    for (first, second), values in filled.items():
        place = firsts.index(first), seconds.index(second)
        sums[place], counts[place] = values.mean(), len(values)
        within += float(((values - values.mean()) ** 2).sum())
    degrees = int(counts.sum()) - len(filled)
    sign = 1.0 if greater_is_better else -1.0
    left, rank = _not_additive(sums, counts)
    freedom = len(filled) - rank
    if degrees < _FEWEST_DEGREES or freedom < 1 or not within > 1e-24 * float((counts * sums**2).sum()):
        return None
    means = np.where(counts > 0, sign * sums, -math.inf)
    best = tuple((seconds[at], firsts[int(means[:, at].argmax())]) for at in range(shape[1]))
    centred = sums - (counts * sums).sum() / counts.sum()
    return Interaction(
        p=_f_tail(left / freedom / (within / degrees), freedom, degrees),
        share=left / float((counts * centred**2).sum()),
        best=best,
        crossing=_crossing(np.where(counts > 0, sign * sums, math.nan), counts, within / degrees, degrees),
    )


def _not_additive(means: Numbers, counts: Numbers) -> tuple[float, int]:
    """The sum of squares that two additive factors leave between the cells, and how many parameters they have."""
    rows, columns = np.nonzero(counts)
    design = np.hstack([np.eye(means.shape[0])[rows], np.eye(means.shape[1])[columns]])
    weights = np.sqrt(counts[rows, columns])
    values = means[rows, columns] * weights
    solved, _, rank, _ = np.linalg.lstsq(design * weights[:, None], values, rcond=None)
    left = values - design * weights[:, None] @ solved
    return float(left @ left), int(rank)


def _f_tail(statistic: float, between: int, within: int) -> float:
    from scipy.special import fdtrc

    return float(fdtrc(between, within, statistic))


def _crossing(means: Numbers, counts: Numbers, variance: float, degrees: int) -> float:
    """The least p of two levels of the first factor that change places, between any two levels of the second."""
    from scipy.special import stdtr

    least, asked = 1.0, 0
    with np.errstate(divide="ignore", invalid="ignore"):
        for a, b in itertools.combinations(range(len(means)), 2):
            t = (means[a] - means[b]) / np.sqrt(variance * (1 / counts[a] + 1 / counts[b]))
            t = t[np.isfinite(t)]
            if len(t) > 1:
                asked += len(t) * (len(t) - 1)  # either level may be the better one at either
                least = min(least, float(stdtr(degrees, -max(0.0, min(t.max(), -t.min())))))
    return min(1.0, least * asked)
