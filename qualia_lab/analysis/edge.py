"""Whether the best value of a numeric param lies at the end of the searched range, by more than noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.intervals import unit_of
from qualia_lab.analysis.monotone import monotone_relations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from qualia_lab.analysis.histories import Numbers

FEWEST_LEVELS = 3
_FEWEST_VALUES = 7
_FEWEST_DEGREES = 3  # degrees of freedom of the spread within levels from which it is used for the test
_MOST_LEVELS = 8  # params with more, such as those of a random search, are binned into equal counts
_PARTS = 5


@dataclass(frozen=True)
class Edge:
    """The end of a param's range that has the best mean and towards which the objective still improves.

    Attributes:
        end: which end of the range.
        level: the param's outermost value at that end.
        levels: how many levels are compared.
        step: by how much the mean at the end is better than at the next level, in the unit of the objective.
        trend_p: the two-sided p value of the rank correlation over the whole range.
        step_p: the one-sided p value of the last step.
    """

    end: Literal["lowest", "highest"]
    level: float
    levels: int
    step: float
    trend_p: float
    step_p: float

    @property
    def p(self) -> float:
        """The larger of both p values, since both have to be significant (Berger 1982)."""
        return max(self.trend_p, self.step_p)


def edge_of(levels: Sequence[float], objective: Sequence[float], *, greater_is_better: bool) -> Edge | None:
    """Find the end of a param's range that has the best mean.

    The last step is tested with the pooled spread within levels (Student 1908) where it can be estimated; otherwise by
    the slope of a parabola at the end, fitted over the indices of the levels, so that neither a logarithmic nor a
    linear range is assumed. The rank correlation is that of `monotone_relations`. The result is no finding by itself:
    compare `p` to a small significance level divided by the number of params tested.

    Args:
        levels: the value of the param in each configuration, or in each run where no other factor varies.
        objective: the mean of each configuration (or the value of each run), in the same order, finite.
        greater_is_better: the direction of the objective.

    Returns:
        The end; None where the best mean is not at an end, or there are too few values or levels.
    """
    sign = 1.0 if greater_is_better else -1.0
    x, y = np.asarray(levels, np.float64), sign * np.asarray(objective, np.float64)
    level_of = _level_of_each(x)
    if level_of is None:
        return None
    count = int(level_of.max()) + 1
    sizes = np.bincount(level_of)
    unit = unit_of(y)
    y = y / unit
    means = np.bincount(level_of, y) / sizes
    leader = int(means.argmax())
    if leader not in (0, count - 1):
        return None
    is_last = leader == count - 1
    relation = monotone_relations({"": level_of.astype(np.float64)}, y)
    if not relation or (relation[0].rho > 0) != is_last:
        return None
    neighbour = count - 2 if is_last else 1
    step = float(means[leader] - means[neighbour])
    degrees = len(y) - count
    if degrees >= _FEWEST_DEGREES:
        variance = float(((y - means[level_of]) ** 2).sum()) / degrees
        t = step / math.sqrt(max(variance, 1e-300) * (1 / sizes[leader] + 1 / sizes[neighbour]))
    else:
        t, degrees = _slope_at_end(level_of.astype(float), y, is_last=is_last)
    return Edge(
        end="highest" if is_last else "lowest",
        level=float(x.max() if is_last else x.min()),
        levels=count,
        step=unit * step,
        trend_p=relation[0].p,
        step_p=_upper_tail_p(t, degrees),
    )


def is_testable(levels: Sequence[float]) -> bool:
    """Whether there are enough values and levels to look for an end; `levels` as in `edge_of`."""
    return _level_of_each(np.asarray(levels, np.float64)) is not None


def _level_of_each(x: Numbers) -> NDArray[np.int64] | None:
    """The place of each value among the compared levels, in ascending order; None with too few values or levels."""
    distinct, level_of = np.unique(x, return_inverse=True)
    if len(x) < _FEWEST_VALUES or len(distinct) < FEWEST_LEVELS:
        return None
    if len(distinct) > _MOST_LEVELS:
        level_of = (np.searchsorted(np.sort(x), x, "left") * _PARTS) // len(x)
        level_of = np.unique(level_of, return_inverse=True)[1]
    return level_of if level_of.max() + 1 >= FEWEST_LEVELS else None


def _slope_at_end(place: Numbers, y: Numbers, *, is_last: bool) -> tuple[float, int]:
    """The t statistic of the outward slope of a least-squares parabola at the end, and its degrees of freedom."""
    outward = place - place.max() if is_last else place.min() - place
    design = np.vander(outward, 3)  # at the end, 0, the slope is the middle coefficient
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ y
    residuals = y - design @ coefficients
    degrees = len(y) - 3
    error = math.sqrt(max(float(residuals @ residuals), 1e-300) / degrees * inverse[1, 1])
    return float(coefficients[1]) / error, degrees


def _upper_tail_p(t: float, degrees: int) -> float:
    """The one-sided p value of a t statistic."""
    from scipy.special import stdtr

    return float(stdtr(degrees, -t))
