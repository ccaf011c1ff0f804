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

_GRID = 50  # places on which a density is compared, as in Optuna
_PRIOR = 1.0  # weight of the density that knows nothing, as one run
_FEWEST = 2  # runs that have the param
_FEW_VALUES = 6  # as many different numbers were chosen from a list: they are choices, not places on a scale
_DRAWS = 40
_SEED = 0


def ped_anova(columns: Sequence[ParamColumn], losses: Numbers, quantile: float = 0.1) -> list[float]:
    """The importance of each param for reaching the best `quantile` of the runs, 0 for one that does not matter.

    Watanabe, Bansal and Hutter, "PED-ANOVA: Efficiently quantifying hyperparameter importance in arbitrary subspaces"
    (IJCAI 2023, arXiv:2304.10255): the Pearson divergence of a param's density among the best runs from its density
    among all, by Parzen estimators with Scott's bandwidth on a grid. Runs that lack a param are a part of their own,
    as in conditional PED-ANOVA (arXiv:2601.20800). Gives what Optuna 5's PedAnovaImportanceEvaluator gives for a
    search space that reaches from the lowest to the highest value of each param, and lists up to 6 different ones.

    losses: one finite number for each run, lower is better.
    """
    best = _best(losses, quantile)
    return [_importance(column, best) for column in columns]


def chance_levels(columns: Sequence[ParamColumn], losses: Numbers, quantile: float = 0.1) -> list[float]:
    """The largest importance of each param when 40 times as many runs are drawn at random instead of the best ones.

    A permutation test (Fisher 1935): a param that does nothing exceeds it once in 41 times.
    """
    best = _best(losses, quantile)
    draws = np.random.default_rng(_SEED).permuted(np.tile(best, (_DRAWS, 1)), axis=1)
    return [max(_importance(column, drawn) for drawn in draws) for column in columns]


def _best(losses: Numbers, quantile: float) -> npt.NDArray[np.bool_]:
    place = math.ceil(quantile * losses.size) - 1
    return np.asarray(losses <= np.partition(losses, place)[place], np.bool_)


def _importance(column: ParamColumn, best: npt.NDArray[np.bool_]) -> float:
    """Over the runs that have the param, weighted by how many of the best and of all those are."""
    there = ~np.isnan(column.values)
    top = int((there & best).sum())
    if there.sum() < _FEWEST or not top or column.there.min() == column.there.max():
        return 0.0
    places, size, listed = _on_grid(column)
    among_all = _density(np.bincount(places, minlength=size), listed=listed) + 1e-12
    among_best = _density(np.bincount(places[best[there]], minlength=size), listed=listed) + 1e-12
    divergence = float(among_all @ (among_best / among_all - 1) ** 2)
    share_of_best, share_of_all = top / best.sum(), there.sum() / best.size
    return float(share_of_best**2 / share_of_all * divergence * (best.sum() / best.size) ** 2)


def _on_grid(column: ParamColumn) -> tuple[Counts, int, bool]:
    """The grid's place of each value that is there, how many places there are, and whether they are a list."""
    different, place = np.unique(column.there, return_inverse=True)
    if column.choices or len(different) <= _FEW_VALUES:
        return place, len(different), True
    size = _GRID
    reach = column.there.max() - column.there.min()
    if column.whole:
        size = min(math.ceil(math.log2(reach + 1)) + 1 if column.log else round(reach) + 1, _GRID)
    values = np.log(column.there) if column.log else column.there
    step = (values.max() - values.min()) / (size - 1)
    places = np.ceil((values - values.min()) / step - 0.5).astype(np.intp)
    return np.clip(places, 0, size - 1), size, False


def _density(counts: Counts, *, listed: bool) -> Numbers:
    """The probability of each place of the grid: a kernel for each place that was met, and one that knows nothing."""
    met = np.flatnonzero(counts)
    weights = np.append(counts[met], _PRIOR)
    weights = weights / weights.sum()
    if listed:
        kernels = np.full((len(met) + 1, len(counts)), _PRIOR / (len(met) + 1))
        kernels[np.arange(len(met)), met] += 1
        return np.asarray(weights @ (kernels / kernels.sum(axis=1, keepdims=True)), np.float64)
    high = len(counts) - 1
    centres = np.append(met, high / 2)[:, None]
    widths = np.append(np.full(len(met), _bandwidth(met, counts[met])), high + 1)[:, None]
    grid = np.arange(len(counts))
    kernels = _mass((grid - 0.5 - centres) / widths, (grid + 0.5 - centres) / widths)
    inside = _mass((-0.5 - centres) / widths, (high + 0.5 - centres) / widths)
    return np.asarray(weights @ (kernels / inside), np.float64)


def _bandwidth(places: Counts, counts: Counts) -> float:
    """Scott's rule (Scott 1992) of the smaller of standard deviation and quartile distance, not under a grid's step."""
    total, up_to = counts.sum(), np.cumsum(counts)
    mean = places @ counts / total
    deviation = math.sqrt((places - mean) ** 2 @ counts / max(1, total - 1))
    first = int(np.searchsorted(up_to, total // 4, side="left"))
    third = min(len(places) - 1, int(np.searchsorted(up_to, total * 3 // 4, side="right")))
    quartiles = float(places[third] - places[first])
    return float(max(1.059 * min(quartiles / 1.34, deviation) * total**-0.2, 0.5 / 1.64))


def _mass(low: Numbers, high: Numbers) -> Numbers:
    """The standard normal's probability between two points, exact also far out."""
    from scipy.special import ndtr

    return np.asarray(np.where(low > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low)), np.float64)
