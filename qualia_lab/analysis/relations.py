"""How a metric goes with each numeric factor: rank correlations over configurations, refused where those are few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.configuration_means import configuration_means
from qualia_lab.analysis.param_columns import varying_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from qualia_lab.study import Study
    from qualia_lab.study.study import Task
    from qualia_lab.tables import RunTables

# Under ten, the 5 % bound of |rho| is above 0.6: nearly anything could be chance.
FEWEST_RUNS = 10


@dataclass(frozen=True)
class Relation:
    """A factor's rank correlation with a metric over n configurations; None where n is too small, and note says so."""

    param: str
    n: int
    rho: float | None
    note: str


def rank_correlations(
    tables: RunTables, study: Study, metric: str, task: Task | None = None, without: Collection[str] = ()
) -> list[Relation]:
    """Spearman's rho (Spearman 1904) of each factor that varies and is a number wherever it is there.

    Over configurations with the mean of their runs, so that seeds are no independent runs. Strongest first, those
    without a rho last.

    Args:
        tables: the runs that the study describes.
        study: what factors and configurations are.
        metric: its key.
        task: whose configurations; None takes those of all tasks.
        without: further runs that do not count.
    """
    means = configuration_means(tables, study, [metric], task, without)[metric]
    y = np.array(list(means.values()), np.float64)
    columns, _ = varying_columns(tables, study, list(means))
    found = [
        correlate(one.param, list(zip(one.there.tolist(), y[~np.isnan(one.values)].tolist(), strict=True)))
        for one in columns
        if not one.choices and len(np.unique(one.there)) > 1
    ]
    return sorted(found, key=lambda relation: (relation.rho is None, -abs(relation.rho or 0), relation.param))


def correlate(param: str, pairs: Sequence[tuple[float, float]]) -> Relation:
    """Spearman's rho of pairs of a param and a metric, ties ranked by their mean."""
    if len(pairs) < FEWEST_RUNS:
        return Relation(param, len(pairs), None, f"too few to tell: {len(pairs)}, and {FEWEST_RUNS} are needed")
    rho = _spearman([x for x, _ in pairs], [y for _, y in pairs])
    return Relation(param, len(pairs), rho, "" if rho is not None else "does not vary where the metric is finite")


def _spearman(x: list[float], y: list[float]) -> float | None:
    if len(set(x)) < 2 or len(set(y)) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(x, y).statistic)
