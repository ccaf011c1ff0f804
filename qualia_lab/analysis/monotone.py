"""Relations of params with an objective over configurations: monotone for numbers, between groups for categories."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.two_samples import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from qualia_lab.analysis.histories import Numbers

FEWEST = 7  # configurations: with fewer, even a perfect order is hardly significant among several params
_EXACT_UP_TO = 9  # configurations up to which all permutations are enumerated
_DRAWN = 20_000
_SEED = 0
_DRAWN_UP_TO = 200  # configurations; beyond, the limiting distribution is accurate enough


@dataclass(frozen=True)
class MonotoneRelation:
    """The rank correlation of one param with the objective over n configurations.

    Attributes:
        param: the name of the param.
        n: the number of configurations.
        rho: Spearman's rank correlation.
        p: its two-sided p value.
        corrected: p with Holm's correction over all params.
    """

    param: str
    n: int
    rho: float
    p: float
    corrected: float


@dataclass(frozen=True)
class CategoryRelation:
    """How much of the objective one categorical param explains over n configurations.

    Attributes:
        param: the name of the param.
        n: the number of configurations.
        levels: the number of its values.
        explained: the share of the variance of ranks between the levels, from 0 to 1.
        lowest, highest: the levels with the lowest and the highest mean rank.
        p: the p value of the Kruskal-Wallis test.
        corrected: p with Holm's correction over all params.
    """

    param: str
    n: int
    levels: int
    explained: float
    lowest: str
    highest: str
    p: float
    corrected: float


def monotone_relations(
    columns: Mapping[str, Sequence[float | None] | Numbers], objective: Sequence[float | None] | Numbers
) -> list[MonotoneRelation]:
    """Spearman's rank correlation (1904) of each column with the objective, smallest p first.

    The p value is two-sided. Up to nine configurations it is exact, by all permutations, ties included; beyond by
    Student's t (Kendall and Stuart 1973, 31.19), but never smaller than the p value of a perfect order.

    Args:
        columns: the value of each param in every configuration; None or NaN where it is missing.
        objective: the mean of every configuration, in the same order; the units are configurations, never seeds.

    Returns:
        The relations of the params that at least FEWEST configurations have, with two different values or more.
    """
    rows = []
    all_y = np.asarray(objective, np.float64)
    for param, values in columns.items():
        all_x = np.asarray(values, np.float64)
        is_known = ~(np.isnan(all_x) | np.isnan(all_y))
        x, y = all_x[is_known], all_y[is_known]
        if len(x) >= FEWEST and np.ptp(x) > 0 and np.ptp(y) > 0:
            rows.append((param, len(x), *_spearman(ranks(x), ranks(y))))
    corrected = holm([p for *_, p in rows])
    relations = [MonotoneRelation(*one, float(p or 0)) for one, p in zip(rows, corrected, strict=True)]
    return sorted(relations, key=lambda one: (one.p, one.param))


def category_relations(
    columns: Mapping[str, Sequence[str | None]], objective: Sequence[float | None]
) -> list[CategoryRelation]:
    """The Kruskal-Wallis test (1952) of the levels of each column, smallest p first.

    Up to 200 configurations the p value is by 20,000 random permutations, with the observed order counted among them
    (Phipson and Smyth 2010), and beyond by chi-squared.

    Args:
        columns: the value of each param in every configuration; None where it is missing.
        objective: the mean of every configuration, in the same order.

    Returns:
        The relations of the params that at least FEWEST configurations have, with two levels or more and at least two
        configurations per level on average.
    """
    rows = []
    for param, values in columns.items():
        known = [place for place, value in enumerate(values) if value is not None and objective[place] is not None]
        names, codes = np.unique([str(values[place]) for place in known], return_inverse=True)
        y = np.array([objective[place] for place in known], dtype=np.float64)
        if len(y) < FEWEST or len(names) < 2 or 2 * len(names) > len(y) or not np.ptp(y) > 0:
            continue
        explained, p, means = _kruskal(codes, ranks(y))
        ends = str(names[means.argmin()]), str(names[means.argmax()])
        rows.append((param, len(y), len(names), explained, *ends, p))
    corrected = holm([p for *_, p in rows])
    relations = [CategoryRelation(*one, float(p or 0)) for one, p in zip(rows, corrected, strict=True)]
    return sorted(relations, key=lambda one: (one.p, one.param))


def ranks(values: Numbers) -> Numbers:
    """Ranks from 1, with the mean rank for ties, as scipy.stats.rankdata."""
    _, value_of, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    mean_ranks: Numbers = ((last - counts + 1 + last) / 2)[value_of]
    return mean_ranks


def _spearman(x: Numbers, y: Numbers) -> tuple[float, float]:
    """Spearman's rho and its two-sided p value, given ranks."""
    from scipy.special import stdtr

    n = len(x)
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(x @ x) * float(y @ y))
    rho = min(1.0, max(-1.0, float(x @ y) / scale))
    if n <= _EXACT_UP_TO:
        is_as_extreme = np.abs(x @ y[_orders(n)].T) >= abs(rho) * scale * (1 - 1e-9)
        return rho, float(is_as_extreme.mean())
    t = math.inf if abs(rho) == 1 else abs(rho) * math.sqrt((n - 2) / (1 - rho**2))
    return rho, max(float(2 * stdtr(n - 2, -t)), 2 / math.factorial(min(n, 20)))


@lru_cache(maxsize=4)
def _orders(n: int) -> NDArray[np.int8]:
    """All permutations of n indices, shape (n!, n)."""
    return np.array(list(itertools.permutations(range(n))), dtype=np.int8)


def _kruskal(codes: NDArray[np.int64], y: Numbers) -> tuple[float, float, Numbers]:
    """The share of variance between levels, its p value, and the centred mean rank of each level."""
    from scipy.special import chdtrc

    n, levels = len(y), int(codes.max()) + 1
    membership = np.eye(levels)[codes]
    sizes = membership.sum(axis=0)
    centred = y - y.mean()
    total = float(centred @ centred)
    means = centred @ membership / sizes
    explained = float(sizes @ means**2) / total
    if n > _DRAWN_UP_TO:
        return explained, float(chdtrc(levels - 1, (n - 1) * explained)), means
    drawn = np.random.default_rng(_SEED).permuted(np.broadcast_to(centred, (_DRAWN, n)), axis=1)
    between = ((drawn @ membership) ** 2 / sizes).sum(axis=1) / total
    return explained, (1 + int((between >= explained * (1 - 1e-9)).sum())) / (1 + _DRAWN), means
