"""Several metrics at once: the Pareto set, and pairs of metrics that conflict.

Both take values by run id. Seeds are not independent runs, so relations are computed over configurations, each under
the id of its first run (`configuration_means`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.configuration_means import configuration_means
from qualia_lab.analysis.relations import correlate

if TYPE_CHECKING:
    from collections.abc import Mapping


LEAST_RHO = 0.3  # with many runs weaker correlations are significant too, but irrelevant for a choice

__all__ = ["TradeOff", "complete_runs", "configuration_means", "pareto_set", "trade_offs"]


@dataclass(frozen=True)
class TradeOff:
    """Two metrics over the runs that have both.

    Attributes:
        first, second: the metrics.
        n: the number of runs.
        rho: their rank correlation, each metric turned so that more is better; None where n is too small.
        best_first, best_second: the best run of each metric; the same run where no compromise is needed.
        note: why there is no rho.
    """

    first: str
    second: str
    n: int
    rho: float | None
    best_first: str
    best_second: str
    note: str

    @property
    def opposed(self) -> bool:
        """Whether the metrics conflict by more than chance: rho below -0.3 and below the 5 % bound -1.96 / sqrt(n - 1).

        The bound is that of the normal approximation (Kendall 1948, "Rank correlation methods", chapter 4).
        """
        if self.rho is None or self.best_first == self.best_second:
            return False
        return self.rho < -max(LEAST_RHO, 1.96 / math.sqrt(self.n - 1))

    @property
    def p(self) -> float:
        """The one-sided p value of the conflict, by the same approximation; 1 where n is too small."""
        return 1.0 if self.rho is None else NormalDist().cdf(self.rho * math.sqrt(self.n - 1))


def pareto_set(values: Mapping[str, Mapping[str, float]], greater_is_better: Mapping[str, bool]) -> list[str]:
    """The runs that no other run dominates, in the order of the first metric's runs.

    A run dominates another if it is at least as good in every metric and better in one (Pareto 1906). Two runs with the
    same values do not dominate each other. A run with a metric that is missing, NaN or infinite is not in the set and
    dominates no run.

    Args:
        values: by metric, then by run id.
        greater_is_better: the direction of each of these metrics.

    Returns:
        The run ids.
    """
    run_ids = complete_runs(values)
    losses = np.array(
        [[-values[key][run_id] if better else values[key][run_id] for key, better in greater_is_better.items()]
         for run_id in run_ids], np.float64,
    ).reshape(len(run_ids), len(greater_is_better))  # fmt: skip
    # A run that dominates another is sorted before it, and dominance is transitive, so comparing to the front is
    # enough.
    front = np.zeros((0, len(greater_is_better)))
    undominated = []
    for place in np.lexsort(losses.T[::-1]) if len(run_ids) else ():
        loss = losses[place]
        if not ((front <= loss).all(axis=1) & (front < loss).any(axis=1)).any():
            undominated.append(int(place))
            if not len(front) or (front[-1] != loss).any():
                front = np.vstack([front, loss])
    return [run_ids[place] for place in sorted(undominated)]


def complete_runs(values: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The runs with a finite value of every metric, in the order of the first metric's runs."""
    first = next(iter(values.values()), {})
    return [
        run_id for run_id in first if all(math.isfinite(by_run.get(run_id, math.nan)) for by_run in values.values())
    ]


def trade_offs(values: Mapping[str, Mapping[str, float]], greater_is_better: Mapping[str, bool]) -> list[TradeOff]:
    """The relation of each pair of metrics, those that conflict most first, those with too few runs last.

    Args:
        values: finite values by metric, then by run id.
        greater_is_better: the direction of each metric.

    Returns:
        One entry for each pair with a common run.
    """
    relations = [
        _trade_off((first, second), values, greater_is_better) for first, second in combinations(greater_is_better, 2)
    ]
    pairs = [pair for pair in relations if pair is not None]
    return sorted(pairs, key=lambda pair: (pair.rho is None, pair.rho or 0, pair.first, pair.second))


def _trade_off(
    keys: tuple[str, str], values: Mapping[str, Mapping[str, float]], greater_is_better: Mapping[str, bool]
) -> TradeOff | None:
    """The relation of one pair of metrics; None where no run has both."""
    turned = [{run_id: value if greater_is_better[key] else -value for run_id, value in values[key].items()}
              for key in keys]  # fmt: skip
    run_ids = complete_runs(dict(zip(keys, turned, strict=True)))
    if not run_ids:
        return None
    relation = correlate(keys[0], *(np.array([own[run_id] for run_id in run_ids], np.float64) for own in turned))
    # Among equally best runs, take the one that is better in the other metric, so that no needless compromise is
    # reported.
    best = [
        max(run_ids, key=lambda run_id: (turned[one][run_id], turned[1 - one][run_id])) for one in (0, 1)
    ]  # fmt: skip
    return TradeOff(keys[0], keys[1], len(run_ids), relation.rho, best[0], best[1], relation.note)
