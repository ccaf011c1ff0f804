"""Several metrics at once: what no other run or configuration beats, and the pairs of metrics that pull apart.

Both take values by run id. Seeds are no independent runs, so relations are computed over configurations, each with the
id of its first run (`configuration_means`).
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
    from collections.abc import Mapping, Sequence


LEAST_RHO = 0.3  # of many runs also weaker ones are no chance, and nothing that a choice has to weigh

__all__ = ["TradeOff", "complete_runs", "configuration_means", "pareto_set", "trade_offs"]


@dataclass(frozen=True)
class TradeOff:
    """Two metrics over n runs with both finite; what is better in one tends to be worse in the other.

    rho: their rank correlation, each turned so that more is better.  None, with a note, where n is too small.
    best_first, best_second: the best run of each; the same one when nothing has to be given up.
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
        """Whether they pull apart, and beyond chance: rho under -0.3 and the 5 % bound -1.96 / sqrt(n - 1).

        The bound is that of the normal approximation (Kendall 1948, "Rank correlation methods", chapter 4).
        """
        if self.rho is None or self.best_first == self.best_second:
            return False
        return self.rho < -max(LEAST_RHO, 1.96 / math.sqrt(self.n - 1))

    @property
    def p(self) -> float:
        """How likely chance pulls them apart as much, by the same approximation; 1 where n is too small."""
        return 1.0 if self.rho is None else NormalDist().cdf(self.rho * math.sqrt(self.n - 1))


def pareto_set(values: Mapping[str, Mapping[str, float]], greater_is_better: Mapping[str, bool]) -> list[str]:
    """The runs that no other run beats in every metric, in the order of the first metric's runs.

    A run is beaten by one that is at least as good in every metric and better in one (Pareto 1906). Two runs with the
    same values do not beat each other. A run with a metric that is missing, NaN or infinite is not in the set, and
    beats nobody.

    values: by metric, then by run id.  greater_is_better: the direction of each of these metrics.
    """
    run_ids = complete_runs(values)
    losses = np.array(
        [[-values[key][run_id] if better else values[key][run_id] for key, better in greater_is_better.items()]
         for run_id in run_ids], np.float64,
    ).reshape(len(run_ids), len(greater_is_better))  # fmt: skip
    # What beats a run stands before it when runs are sorted, and what beats that one beats the run too.
    front = np.zeros((0, len(greater_is_better)))
    unbeaten = []
    for place in np.lexsort(losses.T[::-1]) if len(run_ids) else ():
        loss = losses[place]
        if not ((front <= loss).all(axis=1) & (front < loss).any(axis=1)).any():
            unbeaten.append(int(place))
            if not len(front) or (front[-1] != loss).any():
                front = np.vstack([front, loss])
    return [run_ids[place] for place in sorted(unbeaten)]


def complete_runs(values: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The runs with a finite value of every metric, in the order of the first metric's runs."""
    first = next(iter(values.values()), {})
    return [run_id for run_id in first if all(math.isfinite(of.get(run_id, math.nan)) for of in values.values())]


def trade_offs(values: Mapping[str, Mapping[str, float]], greater_is_better: Mapping[str, bool]) -> list[TradeOff]:
    """Each pair of metrics, those that pull apart most first, those of too few runs last.

    values: finite values by metric, then by run id.  greater_is_better: the direction of each metric.
    """
    found = [
        _trade_off((first, second), values, greater_is_better) for first, second in combinations(greater_is_better, 2)
    ]
    pairs = [pair for pair in found if pair is not None]
    return sorted(pairs, key=lambda pair: (pair.rho is None, pair.rho or 0, pair.first, pair.second))


def _trade_off(
    keys: tuple[str, str], values: Mapping[str, Mapping[str, float]], greater_is_better: Mapping[str, bool]
) -> TradeOff | None:
    turned = [{run_id: value if greater_is_better[key] else -value for run_id, value in values[key].items()}
              for key in keys]  # fmt: skip
    run_ids = complete_runs(dict(zip(keys, turned, strict=True)))
    if not run_ids:
        return None
    pairs: Sequence[tuple[float, float]] = [(turned[0][run_id], turned[1][run_id]) for run_id in run_ids]
    relation = correlate(keys[0], pairs)
    # Of equal best runs the one that is better in the other metric: then nothing is given up that need not be.
    best = [
        max(run_ids, key=lambda run_id: (turned[one][run_id], turned[1 - one][run_id])) for one in (0, 1)
    ]  # fmt: skip
    return TradeOff(keys[0], keys[1], len(run_ids), relation.rho, best[0], best[1], relation.note)
