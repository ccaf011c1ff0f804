"""PED-ANOVA: how much each param matters for being among the best runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.param_columns import ParamColumn

    Counts = npt.NDArray[np.intp]

_GRID = 50  # points at which densities are compared, as in Optuna
_PRIOR = 1.0  # weight of the uninformative prior, that of one run
_FEWEST = 2  # runs that have the param
_FEW_VALUES = 6  # up to this many distinct numbers are taken as choices from a list, not points on a scale
_DRAWS = 40
_SEED = 0


def ped_anova(columns: Sequence[ParamColumn], losses: Numbers, quantile: float = 0.1) -> list[float]:
    """The importance of each param for reaching the best `quantile` of the runs; 0 for a param that does not matter.

    Watanabe, Bansal and Hutter, "PED-ANOVA: Efficiently quantifying hyperparameter importance in arbitrary subspaces"
    (IJCAI 2023, arXiv:2304.10255): the Pearson divergence of a param's density among the best runs from its density
    among all runs, with Parzen estimators and Scott's bandwidth on a grid. Runs that lack a param form a part of their
    own, as in conditional PED-ANOVA (arXiv:2601.20800). The results equal those of Optuna 5's
    PedAnovaImportanceEvaluator for a search space that spans from the lowest to the highest value of each param, and
    lists up to 6 distinct values.

    Args:
        columns: the params.
        losses: finite, lower is better, shape (runs,).
        quantile: the share of the runs that counts as the best.

    Returns:
        The importance of each column.
    """
    best = _best(losses, quantile)
    return [_importance(column, best) for column in columns]


def chance_levels(columns: Sequence[ParamColumn], losses: Numbers, quantile: float = 0.1) -> list[float]:
    """The largest importance of each param in 40 random draws of as many runs as there are best ones.

    A permutation test (Fisher 1935): a param without effect exceeds it once in 41 times.

    Args:
        columns: the params.
        losses: finite, lower is better, shape (runs,).
        quantile: the share of the runs that counts as the best.

    Returns:
        The level of each column.
    """
    best = _best(losses, quantile)
    draws = np.random.default_rng(_SEED).permuted(np.tile(best, (_DRAWS, 1)), axis=1)
    return [max(_importance(column, drawn) for drawn in draws) for column in columns]


def _best(losses: Numbers, quantile: float) -> npt.NDArray[np.bool_]:
    """Whether each run is among the best."""
    place = math.ceil(quantile * losses.size) - 1
    return np.asarray(losses <= np.partition(losses, place)[place], np.bool_)


def _importance(column: ParamColumn, best: npt.NDArray[np.bool_]) -> float:
    """The divergence over the runs that have the param, weighted by their share of the best runs and of all runs."""
    is_present = ~np.isnan(column.values)
    top = int((is_present & best).sum())
    if is_present.sum() < _FEWEST or not top or column.present.min() == column.present.max():
        return 0.0
    points, size, listed = _on_grid(column)
    among_all = _density(np.bincount(points, minlength=size), listed=listed) + 1e-12
    among_best = _density(np.bincount(points[best[is_present]], minlength=size), listed=listed) + 1e-12
    divergence = float(among_all @ (among_best / among_all - 1) ** 2)
    share_of_best, share_of_all = top / best.sum(), is_present.sum() / best.size
    return float(share_of_best**2 / share_of_all * divergence * (best.sum() / best.size) ** 2)


def _on_grid(column: ParamColumn) -> tuple[Counts, int, bool]:
    """The grid point of each value that is not missing, the size of the grid, and whether its points are list items."""
    distinct, index = np.unique(column.present, return_inverse=True)
    if column.choices or len(distinct) <= _FEW_VALUES:
        return index, len(distinct), True
    size = _GRID
    reach = column.present.max() - column.present.min()
    if column.is_integer:
        size = min(math.ceil(math.log2(reach + 1)) + 1 if column.log else round(reach) + 1, _GRID)
    values = np.log(column.present) if column.log else column.present
    step = (values.max() - values.min()) / (size - 1)
    points = np.ceil((values - values.min()) / step - 0.5).astype(np.intp)
    return np.clip(points, 0, size - 1), size, False


def _density(counts: Counts, *, listed: bool) -> Numbers:
    """The probability of each grid point: a kernel for each occupied point, and the prior."""
    occupied = np.flatnonzero(counts)
    weights = np.append(counts[occupied], _PRIOR)
    weights = weights / weights.sum()
    if listed:
        kernels = np.full((len(occupied) + 1, len(counts)), _PRIOR / (len(occupied) + 1))
        kernels[np.arange(len(occupied)), occupied] += 1
        return np.asarray(weights @ (kernels / kernels.sum(axis=1, keepdims=True)), np.float64)
    high = len(counts) - 1
    centres = np.append(occupied, high / 2)[:, None]
    widths = np.append(np.full(len(occupied), _bandwidth(occupied, counts[occupied])), high + 1)[:, None]
    grid = np.arange(len(counts))
    kernels = _normal_mass((grid - 0.5 - centres) / widths, (grid + 0.5 - centres) / widths)
    inside = _normal_mass((-0.5 - centres) / widths, (high + 0.5 - centres) / widths)
    return np.asarray(weights @ (kernels / inside), np.float64)


def _bandwidth(places: Counts, counts: Counts) -> float:
    """Scott's rule (Scott 1992) with the smaller of standard deviation and quartile range; at least the grid step."""
    total, up_to = counts.sum(), np.cumsum(counts)
    mean = places @ counts / total
    deviation = math.sqrt((places - mean) ** 2 @ counts / max(1, total - 1))
    first = int(np.searchsorted(up_to, total // 4, side="left"))
    third = min(len(places) - 1, int(np.searchsorted(up_to, total * 3 // 4, side="right")))
    quartiles = float(places[third] - places[first])
    return float(max(1.059 * min(quartiles / 1.34, deviation) * total**-0.2, 0.5 / 1.64))


def _normal_mass(low: Numbers, high: Numbers) -> Numbers:
    """The probability of the standard normal between two points, accurate in the far tails too."""
    from scipy.special import ndtr

    return np.asarray(np.where(low > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low)), np.float64)
