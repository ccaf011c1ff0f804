"""Whether the best value of a numeric param lies at the end of the range that was searched, by more than noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.intervals import unit_of
from qualia_lab.analysis.monotone import monotone_relations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.histories import Numbers

FEWEST_LEVELS = 3
_FEWEST_VALUES = 7
_FEWEST_DEGREES = 3  # of the spread within levels, from which on neighbours are compared by it
_MOST_LEVELS = 8  # what has more, such as a random search, is looked at in parts of equal numbers
_PARTS = 5


@dataclass(frozen=True)
class Edge:
    """The end of a param's range that leads, and that the objective still improves towards.

    level: the param's outermost value there.  levels: how many are compared.  step: by how much the mean there is
    better than at the next level.  trend_p: of the rank correlation over the whole range, two-sided.  step_p: of the
    last step, one-sided.  p: the larger of both, as both have to hold (Berger 1982).
    """

    end: Literal["lowest", "highest"]
    level: float
    levels: int
    step: float
    trend_p: float
    step_p: float

    @property
    def p(self) -> float:
        """The larger of both."""
        return max(self.trend_p, self.step_p)


def edge_of(levels: Sequence[float], objective: Sequence[float], *, greater_is_better: bool) -> Edge | None:
    """The end of the range that leads; None where none does, or where there is too little to tell.

    The last step is tested with the pooled spread within levels (Student 1908), where there is one; else by the slope
    of a parabola at the end, over the places of the levels, so that neither a logarithmic nor a linear range is
    assumed. Rank correlation is that of monotone_relations. It says nothing by itself: compare p with a small level,
    divided by the number of params asked.

    Args:
        levels: of each configuration the value of the param; of each computation, where no other factor varies.
        objective: the mean of each configuration (the value of each computation), in the same order, finite.
        greater_is_better: the direction.
    """
    sign = 1.0 if greater_is_better else -1.0
    x, y = np.asarray(levels, np.float64), sign * np.asarray(objective, np.float64)
    known, place = np.unique(x, return_inverse=True)
    if len(y) < _FEWEST_VALUES or len(known) < FEWEST_LEVELS:
        return None
    if len(known) > _MOST_LEVELS:
        place = (np.searchsorted(np.sort(x), x, "left") * _PARTS) // len(x)
        place = np.unique(place, return_inverse=True)[1]
    count = int(place.max()) + 1
    if count < FEWEST_LEVELS:
        return None
    sizes = np.bincount(place)
    unit = unit_of(y)
    y = y / unit
    means = np.bincount(place, y) / sizes
    leader = int(means.argmax())
    if leader not in (0, count - 1):
        return None
    is_last = leader == count - 1
    relation = monotone_relations({"": place.astype(float).tolist()}, y.tolist())
    if not relation or (relation[0].rho > 0) != is_last:
        return None
    next_to_it = count - 2 if is_last else 1
    step = float(means[leader] - means[next_to_it])
    degrees = len(y) - count
    if degrees >= _FEWEST_DEGREES:
        variance = float(((y - means[place]) ** 2).sum()) / degrees
        t = step / math.sqrt(max(variance, 1e-300) * (1 / sizes[leader] + 1 / sizes[next_to_it]))
    else:
        t, degrees = _slope_at_end(place.astype(float), y, is_last=is_last)
    return Edge(
        end="highest" if is_last else "lowest",
        level=float(known[-1] if is_last else known[0]),
        levels=count,
        step=unit * step,
        trend_p=relation[0].p,
        step_p=_above(t, degrees),
    )


def _slope_at_end(place: Numbers, y: Numbers, *, is_last: bool) -> tuple[float, int]:
    """The t of the outward slope of a parabola at the end, by least squares, and its degrees of freedom."""
    outward = place - place.max() if is_last else place.min() - place
    design = np.vander(outward, 3)  # at the end, 0, the slope is the middle coefficient
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ y
    left = y - design @ coefficients
    degrees = len(y) - 3
    error = math.sqrt(max(float(left @ left), 1e-300) / degrees * inverse[1, 1])
    return float(coefficients[1]) / error, degrees


def _above(t: float, degrees: int) -> float:
    from scipy.special import stdtr

    return float(stdtr(degrees, -t))
