"""Relations of params with an objective over configurations: monotone ones, and those of a category."""

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

FEWEST = 7  # configurations: of fewer even a perfect order is hardly told from luck among several params
_EXACT_UP_TO = 9  # configurations, of which all orders are looked at
_DRAWN = 20_000
_SEED = 0
_DRAWN_UP_TO = 200  # configurations; of more the limiting distribution is exact enough


@dataclass(frozen=True)
class MonotoneRelation:
    """How one param goes with the objective over n configurations; corrected: by Holm, for all params asked."""

    param: str
    n: int
    rho: float
    p: float
    corrected: float


@dataclass(frozen=True)
class CategoryRelation:
    """How one param of a few values sets the objective apart over n configurations.

    explained: the share of the variance of ranks between its levels.  lowest, highest: the levels with these mean
    ranks.
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
    columns: Mapping[str, Sequence[float | None]], objective: Sequence[float | None]
) -> list[MonotoneRelation]:
    """Spearman's rank correlation (1904) of each column with the objective, the smallest p first.

    p is two-sided: exact, by all orders of the values, up to nine configurations, ties included; beyond by Student's t
    (Kendall and Stuart 1973, 31.19), but never less than that of a perfect order.

    Args:
        columns: of each param its value in every configuration; None where it has none.
        objective: the mean of every configuration, in the same order: configurations are the units, never seeds.

    Returns:
        Those params that FEWEST configurations or more have, with two different values or more.
    """
    found = []
    for param, values in columns.items():
        kept = [place for place, value in enumerate(values) if value is not None and objective[place] is not None]
        x = np.array([values[place] for place in kept], dtype=np.float64)
        y = np.array([objective[place] for place in kept], dtype=np.float64)
        if len(x) >= FEWEST and np.ptp(x) > 0 and np.ptp(y) > 0:
            found.append((param, len(x), *_spearman(ranks(x), ranks(y))))
    corrected = holm([p for *_, p in found])
    relations = [MonotoneRelation(*one, float(p or 0)) for one, p in zip(found, corrected, strict=True)]
    return sorted(relations, key=lambda one: (one.p, one.param))


def category_relations(
    columns: Mapping[str, Sequence[str | None]], objective: Sequence[float | None]
) -> list[CategoryRelation]:
    """Kruskal and Wallis' test (1952) of each column's levels, the smallest p first.

    p is by permutation of 20,000 drawn orders up to 200 configurations, the observed one counted among them (Phipson
    and Smyth 2010), and by chi2 beyond. Arguments are those of monotone_relations.

    Returns:
        Those params that FEWEST configurations or more have, with two levels or more, of two configurations each on
        average.
    """
    found = []
    for param, values in columns.items():
        kept = [place for place, value in enumerate(values) if value is not None and objective[place] is not None]
        names, codes = np.unique([str(values[place]) for place in kept], return_inverse=True)
        y = np.array([objective[place] for place in kept], dtype=np.float64)
        if len(y) < FEWEST or len(names) < 2 or 2 * len(names) > len(y) or not np.ptp(y) > 0:
            continue
        explained, p, means = _kruskal(codes, ranks(y))
        ends = str(names[means.argmin()]), str(names[means.argmax()])
        found.append((param, len(y), len(names), explained, *ends, p))
    corrected = holm([p for *_, p in found])
    relations = [CategoryRelation(*one, float(p or 0)) for one, p in zip(found, corrected, strict=True)]
    return sorted(relations, key=lambda one: (one.p, one.param))


def ranks(values: Numbers) -> Numbers:
    """Ranks from 1, of ties their mean, as scipy.stats.rankdata."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    found: Numbers = ((last - counts + 1 + last) / 2)[which]
    return found


def _spearman(x: Numbers, y: Numbers) -> tuple[float, float]:
    """Rho and its two-sided p, of ranks."""
    from scipy.special import stdtr

    n = len(x)
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(x @ x) * float(y @ y))
    rho = min(1.0, max(-1.0, float(x @ y) / scale))
    if n <= _EXACT_UP_TO:
        as_far = np.abs(x @ y[_orders(n)].T) >= abs(rho) * scale * (1 - 1e-9)
        return rho, float(as_far.mean())
    t = math.inf if abs(rho) == 1 else abs(rho) * math.sqrt((n - 2) / (1 - rho**2))
    return rho, max(float(2 * stdtr(n - 2, -t)), 2 / math.factorial(min(n, 20)))


@lru_cache(maxsize=4)
def _orders(n: int) -> NDArray[np.int8]:
    return np.array(list(itertools.permutations(range(n))), dtype=np.int8)


def _kruskal(codes: NDArray[np.int64], y: Numbers) -> tuple[float, float, Numbers]:
    """The share of variance between levels, its p, and the mean rank of each level."""
    from scipy.special import chdtrc

    n, levels = len(y), int(codes.max()) + 1
    is_in = np.eye(levels)[codes]
    sizes = is_in.sum(axis=0)
    centred = y - y.mean()
    whole = float(centred @ centred)
    means = centred @ is_in / sizes
    explained = float(sizes @ means**2) / whole
    if n > _DRAWN_UP_TO:
        return explained, float(chdtrc(levels - 1, (n - 1) * explained)), means
    drawn = np.random.default_rng(_SEED).permuted(np.broadcast_to(centred, (_DRAWN, n)), axis=1)
    between = ((drawn @ is_in) ** 2 / sizes).sum(axis=1) / whole
    return explained, (1 + int((between >= explained * (1 - 1e-9)).sum())) / (1 + _DRAWN), means
