"""Rank correlations between a metric and each numeric factor over configurations; refused where those are few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.configuration_means import configuration_means
from qualia_lab.analysis.monotone import ranks
from qualia_lab.analysis.param_columns import varying_columns

if TYPE_CHECKING:
    from collections.abc import Collection

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.study import Study
    from qualia_lab.study.study import Task
    from qualia_lab.tables import RunTables

# With fewer than ten, the 5 % bound of |rho| is above 0.6: nearly anything could be chance.
FEWEST_RUNS = 10


@dataclass(frozen=True)
class Relation:
    """The rank correlation of a factor with a metric.

    Attributes:
        param: the name of the factor.
        n: the number of configurations.
        rho: Spearman's rho; None where n is too small.
        note: why there is no rho.
    """

    param: str
    n: int
    rho: float | None
    note: str


def rank_correlations(
    tables: RunTables, study: Study, metric: str, task: Task | None = None, without: Collection[str] = ()
) -> list[Relation]:
    """Spearman's rho (Spearman 1904) of each varying factor whose values are all numbers.

    It is computed over configurations with the mean of their runs, because seeds are not independent runs.

    Args:
        tables: the tables of the runs that the study describes.
        study: which factors and configurations there are.
        metric: the key of the metric.
        task: the task whose configurations are used; None takes those of all tasks.
        without: further runs that do not count.

    Returns:
        The relations, strongest first, those without a rho last.
    """
    means = configuration_means(tables, study, [metric], task, without)[metric]
    y = np.array(list(means.values()), np.float64)
    columns, _ = varying_columns(tables, study, list(means))
    relations = [
        correlate(column.param, column.present, y[~np.isnan(column.values)])
        for column in columns
        if not column.choices and len(np.unique(column.present)) > 1
    ]
    return sorted(relations, key=lambda relation: (relation.rho is None, -abs(relation.rho or 0), relation.param))


def correlate(param: str, values: Numbers, metric: Numbers) -> Relation:
    """Spearman's rho of a param and a metric in the same runs, with mean ranks for ties; refused below 10 runs."""
    n = len(values)
    if n < FEWEST_RUNS:
        return Relation(param, n, None, f"too few to tell: {n}, and {FEWEST_RUNS} are needed")
    if (values == values[0]).all() or (metric == metric[0]).all():
        return Relation(param, n, None, "does not vary where the metric is finite")
    return Relation(param, n, float(np.corrcoef(ranks(values), ranks(metric))[0, 1]), "")
