"""Which params matter for a metric: a random forest and PED-ANOVA next to the rank correlation; refused for small n."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.best_range import best_range
from qualia_lab.analysis.configuration_means import means_of
from qualia_lab.analysis.distinct_rows import distinct_rows, number_rows
from qualia_lab.analysis.forest import Forest, grow_forest, interaction
from qualia_lab.analysis.param_columns import FactorColumns, ParamColumn, factor_columns
from qualia_lab.analysis.param_importance import (
    MOST_PARAMS,
    ParamImportance,
    importance_row,
    is_more_than_chance,
    ped_anova_shares,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.study import Study
    from qualia_lab.study.study import Task
    from qualia_lab.tables import RunTables

# In 180 simulated stores of noise, a forest's out-of-bag R² reached 0.6 with ten configurations, and 0.34 with twenty.
FEWEST_CONFIGURATIONS = 20

# Optuna's documentation asks for at least five runs among the best; with five, four share a value too often by chance.
FEWEST_BEST = 10

MOST_CONFIGURATIONS = 1_000  # used by the forest and PED-ANOVA: more give the same result and take far longer


def least_r2(configurations: int) -> float:
    """The out-of-bag R² from which importances can be read: noise hardly ever reaches it with this many configurations.

    In 1,200 simulated stores of noise with 20 or 30 configurations, five reached 0.3; in 300 with 50 or 100, none
    reached 0.15.
    """
    return 0.3 if configurations < 50 else 0.15


@dataclass(frozen=True)
class Interaction:
    """The part of the joint effect of the two most important params that is not the sum of their separate effects.

    Attributes:
        first, second: the params.
        share: H², from 0 to about 1; see `forest.interaction`.
    """

    first: str
    second: str
    share: float


@dataclass(frozen=True)
class Importances:
    """The importance of the factors over n runs with a finite metric.

    Attributes:
        params: the factors, most important first, then those that are left out, with the reason.
        n: the number of runs.
        configurations: the number of distinct settings of the factors; runs that differ by seed only are one
            configuration.
        r2: the out-of-bag R² of the forest; None where none was fitted.
        refusal: why the importances must not be read; "" where they may.
        best: how many configurations PED-ANOVA takes as the best ones; 0 where it was not computed.
        interaction: of the two most important params; None where they are not both more than chance.
        sampled: how many configurations the forest and PED-ANOVA used, drawn at random where there are too many.
    """

    params: tuple[ParamImportance, ...]
    n: int
    configurations: int
    r2: float | None
    refusal: str
    best: int
    interaction: Interaction | None
    sampled: int = 0


def param_importances(
    tables: RunTables,
    study: Study,
    values: Mapping[str, float],
    metric: str,
    *,
    greater_is_better: bool | None = None,
    task: Task | None = None,
) -> Importances:
    """Compute how much each varying factor matters for a metric.

    Everything is computed over configurations, each with the mean of its runs: with one row per seed, a forest would
    know every configuration from its other seeds, and any param that coincides with a configuration would look
    important. The importances of the forest (`forest.grow_forest`) must not be read below the R² of `least_r2`.
    PED-ANOVA (`ped_anova.ped_anova`) takes the best tenth, at least ten, and needs a direction. With fewer than 20
    configurations neither is computed; of more than 1,000, that many are drawn at random.

    Args:
        tables: the tables of the runs that the study describes.
        study: which params and tags are factors, and which runs form a configuration.
        values: the finite metric value of each run that counts, by run id.
        metric: the key of the metric, for the messages.
        greater_is_better: the direction of the metric; None where it is unknown.
        task: the task whose configurations are used; None takes those of all tasks.

    Returns:
        The importances, most important factor first.
    """
    n = sum(
        run_id not in study.left_out and (task is None or study.task_of[run_id].experiment_id == task.experiment_id)
        for run_id in values
    )
    return importances_of_means(
        factor_columns(tables, study), means_of(study, values, task), n, metric, greater_is_better=greater_is_better
    )


def importances_of_means(
    columns: FactorColumns,
    means: Mapping[str, float],
    n: int,
    metric: str,
    *,
    greater_is_better: bool | None = None,
    in_full: bool = True,
) -> Importances:
    """The same as `param_importances`, from the means of the configurations.

    Args:
        columns: the factors of the runs.
        means: the mean of each configuration, by its first run.
        n: the number of runs behind the means.
        metric: the key of the metric, for messages.
        greater_is_better: the direction of the metric; None where it is unknown.
        in_full: False skips what no finding reads: PED-ANOVA, the interaction, and the importances of a forest that
            explains too little.

    Returns:
        The importances, most important factor first.
    """
    first_runs = drawn_units(list(means))
    all_columns, left_out = columns.varying(first_runs)
    varying, y = _merge_equal(all_columns, np.array([means[unit] for unit in first_runs], np.float64))
    used = sorted(
        sorted(varying, key=lambda column: -column.present.size)[:MOST_PARAMS], key=lambda column: column.param
    )
    untied = [column for column in used if not column.tied_to]
    refusal = _refusal(metric, varying, y, n)
    x = np.column_stack([_ranks(column.filled) for column in untied]) if untied else np.zeros((len(y), 0))
    least = least_r2(len(y))
    forest = None if refusal else grow_forest(x, y / np.abs(y).max(), least_r2=-math.inf if in_full else least)
    if forest and forest.r2 < least:
        refusal = (
            f"these params explain little of {metric}: out-of-bag R² {forest.r2:.2f} over {len(y)} "
            f"configurations, n = {n}; under {least} it could be chance"
        )
    quantile = max(0.1, FEWEST_BEST / max(1, len(y)))
    losses = None if greater_is_better is None or forest is None else -y if greater_is_better else y
    shares, by_chance = ped_anova_shares(used, losses if in_full else None, quantile)
    importance_of = dict(zip((column.param for column in untied), _importances_of(forest), strict=False))
    rows = [
        replace(
            importance_row(column, y, importance_of, shares, by_chance),
            best=None if losses is None else best_range(column, losses),
        )
        for column in varying
    ]
    rows.sort(key=lambda row: (-(row.forest or 0), -(row.ped_anova or 0), -abs(row.rho or 0), row.param))
    rows += [ParamImportance(param, None, None, None, None, len(y), why) for param, why in left_out.items()]
    return Importances(
        params=tuple(rows),
        n=n,
        configurations=len(y) if len(means) <= MOST_CONFIGURATIONS else len(means),
        r2=forest.r2 if forest else None,
        refusal=refusal,
        best=int(np.ceil(quantile * len(y))) if shares else 0,
        interaction=_interaction(forest, x, untied) if forest and in_full and not refusal else None,
        sampled=len(y),
    )


def drawn_units(units: list[str]) -> list[str]:
    """At most MOST_CONFIGURATIONS configurations, drawn at random with a fixed seed, in their order."""
    if len(units) <= MOST_CONFIGURATIONS:
        return units
    places = np.random.default_rng(0).choice(len(units), MOST_CONFIGURATIONS, replace=False)
    return [units[place] for place in sorted(places.tolist())]


def _ranks(values: Numbers) -> Numbers:
    """The rank of each value among the distinct ones: trees need no more, and ranks fit their float32."""
    return np.unique(values, return_inverse=True)[1].ravel().astype(np.float64)


def _merge_equal(columns: list[ParamColumn], y: Numbers) -> tuple[list[ParamColumn], Numbers]:
    """Merge configurations that are equal in all columns, with the mean of their y."""
    if not columns:
        return columns, y
    numbers = number_rows(np.unique(column.filled, return_inverse=True)[1] for column in columns)
    first, place = distinct_rows(numbers)
    means = np.bincount(place, weights=y) / np.bincount(place)
    order = np.argsort(first)
    return [replace(column, values=column.values[first[order]]) for column in columns], means[order]


def _refusal(metric: str, columns: list[ParamColumn], y: Numbers, n: int) -> str:
    """Why no forest is fitted; "" where one can be."""
    if not columns:
        return f"no param varies among the {n} runs with a finite {metric}"
    if len(set(y.tolist())) < 2:
        return f"{metric} is the same in all {n} runs that have it"
    if len(y) < FEWEST_CONFIGURATIONS:
        return (
            f"too few configurations to tell: {len(y)} in n = {n} runs, and importances need "
            f"{FEWEST_CONFIGURATIONS}; with fewer, params that do nothing look important"
        )
    return ""


def _importances_of(forest: Forest | None) -> list[tuple[float, float]]:
    """The importance and its deviation for each column of a forest."""
    return list(zip(forest.importances, forest.deviations, strict=True)) if forest else []


def _interaction(forest: Forest, x: Numbers, columns: list[ParamColumn]) -> Interaction | None:
    """The interaction of the two most important params, where both are more than chance."""
    order = sorted(range(len(columns)), key=lambda place: -forest.importances[place])[:2]
    if len(order) < 2 or not all(
        is_more_than_chance(forest.importances[place], forest.deviations[place]) for place in order
    ):
        return None
    first, second = order
    share = interaction(forest, x, first, second)
    return Interaction(columns[first].param, columns[second].param, share)
