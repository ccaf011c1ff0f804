"""Which params matter for a metric: a forest and PED-ANOVA beside the rank correlation, refused where n is small."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.configuration_means import means_of
from qualia_lab.analysis.forest import Forest, grow_forest, interaction
from qualia_lab.analysis.param_columns import FactorColumns, ParamColumn, factor_columns
from qualia_lab.analysis.param_importance import (
    MOST_PARAMS,
    ParamImportance,
    importance_row,
    is_more_than_chance,
    ped_anova_shares,
)
from qualia_lab.analysis.where_best import best_range

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.study import Study
    from qualia_lab.study.study import Task
    from qualia_lab.tables import RunTables

# With ten configurations of noise a forest's R² out of bag reached 0.6 in 180 simulated stores; with twenty, 0.34.
FEWEST_CONFIGURATIONS = 20

# Optuna's documentation asks for five runs among the best at least; of five, four share a value too often by chance.
FEWEST_BEST = 10

MOST_CONFIGURATIONS = 1_000  # asked of the forest and of PED-ANOVA: more say the same, and take many times as long


def least_r2(configurations: int) -> float:
    """The R² out of bag from which importances are read: what noise hardly ever reaches with so many configurations.

    Of 600 simulated stores of noise with 20 or 30 configurations two reached 0.3, of 300 with 50 or 100 one 0.15.
    """
    return 0.3 if configurations < 50 else 0.15


@dataclass(frozen=True)
class Interaction:
    """Of the joint effect of the two params that matter most, the part that is no sum of their own effects (H²)."""

    first: str
    second: str
    share: float


@dataclass(frozen=True)
class Importances:
    """What is known of the factors over n runs with a finite metric.

    params: most important first; those that are left out last, with why.
    configurations: different settings of the factors among the runs; seeds of one setting are one configuration.
    asked: how many of them the forest and PED-ANOVA were asked about, drawn at random.
    r2: of the forest, out of bag; None where none was grown.  refusal: "" where the importances may be read.
    best: how many configurations PED-ANOVA takes for the best ones; 0 where it was not asked.
    """

    params: tuple[ParamImportance, ...]
    n: int
    configurations: int
    r2: float | None
    refusal: str
    best: int
    interaction: Interaction | None
    asked: int = 0


def param_importances(
    tables: RunTables,
    study: Study,
    values: Mapping[str, float],
    metric: str,
    *,
    greater_is_better: bool | None = None,
    task: Task | None = None,
    columns: FactorColumns | None = None,
    in_full: bool = True,
) -> Importances:
    """How much each factor that varies matters for a metric.

    Everything is computed over configurations, each with the mean of its runs: with a row for each seed a forest
    would know every configuration from its other seeds, and any param that happens to go with one would look
    important. The forest's importances (`forest.grow_forest`) are not to be read under the R² of `least_r2`.
    PED-ANOVA (`ped_anova.ped_anova`) takes the best tenth or the best ten, and needs a direction.
    Under 20 configurations neither is asked; of more than 1,000 as many, drawn at random.

    Args:
        tables: the runs that the study describes.
        study: which params and tags are factors, and which runs are one configuration.
        values: finite values of the metric by run id, of the runs that count.
        metric: its name, for the words.
        greater_is_better: the metric's direction.
        task: whose configurations; None takes those of all tasks.
        columns: the factors, where they are known already.
        in_full: False leaves out what no finding reads: PED-ANOVA, the joint effect of two factors, and the importances
            of a forest that explains too little.
    """
    means = means_of(study, values, task)
    n = sum(
        run_id not in study.left_out and (task is None or study.task_of[run_id].experiment_id == task.experiment_id)
        for run_id in values
    )
    units = drawn_units(list(means))
    every, left_out = (columns or factor_columns(tables, study)).varying(units)
    varying, y = _alike_together(every, np.array([means[unit] for unit in units], np.float64))
    asked = sorted(
        sorted(varying, key=lambda column: -column.there.size)[:MOST_PARAMS], key=lambda column: column.param
    )
    apart = [column for column in asked if not column.tied_to]
    refusal = _too_few(metric, varying, y, n)
    x = np.column_stack([_ranks(column.filled) for column in apart]) if apart else np.zeros((len(y), 0))
    least = least_r2(len(y))
    forest = None if refusal else grow_forest(x, y / np.abs(y).max(), least_r2=-math.inf if in_full else least)
    if forest and forest.r2 < least:
        refusal = (
            f"these params explain little of {metric}: out-of-bag R² {forest.r2:.2f} over {len(y)} "
            f"configurations, n = {n}; under {least} it could be chance"
        )
    quantile = max(0.1, FEWEST_BEST / max(1, len(y)))
    losses = None if greater_is_better is None or forest is None else -y if greater_is_better else y
    shares, by_chance = ped_anova_shares(asked, losses if in_full else None, quantile)
    grown = dict(zip((column.param for column in apart), _pairs(forest), strict=False))
    rows = [
        replace(
            importance_row(column, y, grown, shares, by_chance),
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
        interaction=_interaction(forest, x, apart) if forest and in_full and not refusal else None,
        asked=len(y),
    )


def drawn_units(units: list[str]) -> list[str]:
    """As many configurations as are asked, drawn at random, the same ones every time, in their order."""
    if len(units) <= MOST_CONFIGURATIONS:
        return units
    places = np.random.default_rng(0).choice(len(units), MOST_CONFIGURATIONS, replace=False)
    return [units[place] for place in sorted(places.tolist())]


def _ranks(values: Numbers) -> Numbers:
    """The place of each value among the different ones: all that a tree asks for, and none too large for its floats."""
    return np.unique(values, return_inverse=True)[1].ravel().astype(np.float64)


def _alike_together(columns: list[ParamColumn], y: Numbers) -> tuple[list[ParamColumn], Numbers]:
    """Configurations that only what is left out tells apart are one, with the mean of their y."""
    if not columns:
        return columns, y
    _, first, place = np.unique(
        np.column_stack([column.filled for column in columns]), axis=0, return_index=True, return_inverse=True
    )
    means = np.bincount(place.ravel(), weights=y) / np.bincount(place.ravel())
    order = np.argsort(first)
    return [replace(column, values=column.values[first[order]]) for column in columns], means[order]


def _too_few(metric: str, columns: list[ParamColumn], y: Numbers, n: int) -> str:
    """Why no forest is grown, or ""."""
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


def _pairs(forest: Forest | None) -> list[tuple[float, float]]:
    """Importance and deviation of each column of a forest."""
    return list(zip(forest.importances, forest.deviations, strict=True)) if forest else []


def _interaction(forest: Forest, x: Numbers, columns: list[ParamColumn]) -> Interaction | None:
    """Of the two params with the largest importances, when both are more than chance."""
    order = sorted(range(len(columns)), key=lambda place: -forest.importances[place])[:2]
    if len(order) < 2 or not all(
        is_more_than_chance(forest.importances[place], forest.deviations[place]) for place in order
    ):
        return None
    first, second = order
    share = interaction(forest, x, first, second)
    return Interaction(columns[first].param, columns[second].param, share)
