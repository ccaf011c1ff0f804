"""Which params matter for a metric: a forest and PED-ANOVA beside the rank correlation, refused where n is small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.forest import Forest, grow_forest, interaction
from qualia_lab.analysis.param_columns import ParamColumn, varying_columns
from qualia_lab.analysis.ped_anova import chance_levels, ped_anova
from qualia_lab.analysis.relations import correlate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pyarrow as pa

    from qualia_lab.analysis.histories import Numbers

# With ten configurations of noise a forest's R² out of bag reached 0.6 in 180 simulated stores; with twenty, 0.34.
FEWEST_CONFIGURATIONS = 20

# Optuna's documentation asks for five runs among the best at least; of five, four share a value too often by chance.
FEWEST_BEST = 10

LEAST_IMPORTANCE = 0.02  # of R², and two deviations of it: less is no more than chance
MOST_PARAMS = 50  # asked of the forest; those of most runs first

# An interaction under this share of the joint effect is as good as none.
LEAST_INTERACTION = 0.1


def least_r2(configurations: int) -> float:
    """The R² out of bag from which importances are read: what noise hardly ever reaches with so many configurations.

    Of 600 simulated stores of noise with 20 or 30 configurations two reached 0.3, of 300 with 50 or 100 one 0.15.
    """
    return 0.3 if configurations < 50 else 0.15


@dataclass(frozen=True)
class ParamImportance:
    """One param. None stands where a number would mislead, and `note` says why.

    forest, deviation: the fall of the forest's out-of-bag R² when its values are shuffled, and its deviation.
    ped_anova: its share of the importances of all params for being among the best runs, 0 to 1, as Optuna shows it.
    rho: its rank correlation.  n: runs that have it and a finite metric.
    """

    param: str
    forest: float | None
    deviation: float | None
    ped_anova: float | None
    rho: float | None
    n: int
    note: str


@dataclass(frozen=True)
class Interaction:
    """Of the joint effect of the two params that matter most, the part that is no sum of their own effects (H²)."""

    first: str
    second: str
    share: float


@dataclass(frozen=True)
class Importances:
    """What is known of the params over n runs with a finite metric.

    params: most important first; those that are left out last, with why.
    configurations: different settings of the params among the runs; seeds of one setting are one configuration.
    r2: of the forest, out of bag; None where none was grown.  refusal: "" where the importances may be read.
    best: how many runs PED-ANOVA takes for the best ones; 0 where it was not asked.
    """

    params: tuple[ParamImportance, ...]
    n: int
    configurations: int
    r2: float | None
    refusal: str
    best: int
    interaction: Interaction | None


def param_importances(
    params: pa.Table,
    values: Mapping[str, float],
    metric: str,
    *,
    greater_is_better: bool | None = None,
    seeds: Collection[str] | None = None,
) -> Importances:
    """How much each param that varies matters for a metric.

    The forest (`forest.grow_forest`) sees configurations, each with the mean of its runs: with a row for each seed it
    would know every configuration from its other seeds, and any param that happens to go with one would look
    important. Its importances are not to be read under the R² of `least_r2`.
    PED-ANOVA (`ped_anova.ped_anova`) sees runs, the best tenth or the best ten, and needs a direction.
    Under 20 configurations neither is asked.

    params: schema.PARAMS.  values: finite values of the metric by run id.  metric: its name, for the words.
    seeds: the params that only repeat a configuration; by default those that look like it.
    """
    run_ids = list(values)
    y = np.array([values[run_id] for run_id in run_ids], np.float64)
    columns, left_out = varying_columns(params, run_ids, seeds)
    asked = sorted(
        sorted(columns, key=lambda column: -column.there.size)[:MOST_PARAMS], key=lambda column: column.param
    )
    apart = [column for column in asked if not column.together_with]
    settings, means = _configurations(apart, y)
    refusal = _too_few(metric, columns, y, len(settings))
    forest = None if refusal else grow_forest(settings, means)
    if forest and forest.r2 < least_r2(len(settings)):
        refusal = (
            f"these params explain little of {metric}: out-of-bag R² {forest.r2:.2f} over {len(settings)} "
            f"configurations, n = {len(y)}; under {least_r2(len(settings))} it could be chance"
        )
    quantile = max(0.1, FEWEST_BEST / max(1, len(y)))
    losses = None if greater_is_better is None or forest is None else -y if greater_is_better else y
    shares, by_chance = _ped_anova_shares(asked, losses, quantile)
    grown = dict(zip((column.param for column in apart), _pairs(forest), strict=False))
    rows = [_row(column, y, grown, shares, by_chance) for column in columns]
    rows.sort(key=lambda row: (-(row.forest or 0), -(row.ped_anova or 0), -abs(row.rho or 0), row.param))
    rows += [ParamImportance(param, None, None, None, None, len(y), why) for param, why in left_out.items()]
    return Importances(
        params=tuple(rows),
        n=len(y),
        configurations=len(settings),
        r2=forest.r2 if forest else None,
        refusal=refusal,
        best=int(np.ceil(quantile * len(y))) if shares else 0,
        interaction=_interaction(forest, settings, apart) if forest and not refusal else None,
    )


def _configurations(columns: list[ParamColumn], y: Numbers) -> tuple[Numbers, Numbers]:
    """The different rows of the columns, and the mean of y over the runs of each."""
    if not columns:
        return np.zeros((0, 0)), np.zeros(0)
    x = np.column_stack([column.filled for column in columns])
    settings, place = np.unique(x, axis=0, return_inverse=True)
    place = place.ravel()
    return settings, np.bincount(place, weights=y) / np.bincount(place)


def _too_few(metric: str, columns: list[ParamColumn], y: Numbers, configurations: int) -> str:
    """Why no forest is grown, or ""."""
    if not columns:
        return f"no param varies among the {len(y)} runs with a finite {metric}"
    if len(set(y.tolist())) < 2:
        return f"{metric} is the same in all {len(y)} runs that have it"
    if configurations < FEWEST_CONFIGURATIONS:
        return (
            f"too few configurations to tell: {configurations} in n = {len(y)} runs, and importances need "
            f"{FEWEST_CONFIGURATIONS}; with fewer, params that do nothing look important"
        )
    return ""


def _ped_anova_shares(
    columns: list[ParamColumn], losses: Numbers | None, quantile: float
) -> tuple[dict[str, float], set[str]]:
    """Each param's share of the sum, and the params whose importance chance reaches; {} where none can be said."""
    if losses is None or not columns:
        return {}, set()
    found, chance = ped_anova(columns, losses, quantile), chance_levels(columns, losses, quantile)
    total = sum(found)
    shares = {column.param: value / total for column, value in zip(columns, found, strict=True)} if total > 0 else {}
    return shares, {column.param for column, one, most in zip(columns, found, chance, strict=True) if one <= most > 0}


def _pairs(forest: Forest | None) -> list[tuple[float, float]]:
    """Importance and deviation of each column of a forest."""
    return list(zip(forest.importances, forest.deviations, strict=True)) if forest else []


def _row(
    column: ParamColumn,
    y: Numbers,
    grown: Mapping[str, tuple[float, float]],
    shares: Mapping[str, float],
    by_chance: Collection[str],
) -> ParamImportance:
    there = ~np.isnan(column.values)
    rho = None if column.choices else correlate(column.param, list(zip(column.there, y[there], strict=True))).rho
    notes = []
    stands_for = column.together_with[0] if column.together_with else column.param
    importance, deviation = grown.get(stands_for, (None, None))
    if grown and importance is None:
        notes.append(f"not asked: only the {MOST_PARAMS} params of most runs are")
    if column.together_with:
        notes.append(f"changes only together with {', '.join(column.together_with)}: cannot be told apart")
    if importance is not None and deviation is not None and not _matters(importance, deviation):
        notes.append("forest: no more than chance")
    if column.param in shares and column.param in by_chance:
        notes.append("PED-ANOVA: no more than chance")
    missing = int((~there).sum())
    if missing:
        notes.append(f"{missing} of {len(y)} runs lack it")
    return ParamImportance(
        column.param, importance, deviation, shares.get(column.param), rho, int(there.sum()), "; ".join(notes)
    )


def _matters(importance: float, deviation: float) -> bool:
    return importance > max(LEAST_IMPORTANCE, 2 * deviation)


def _interaction(forest: Forest, settings: Numbers, columns: list[ParamColumn]) -> Interaction | None:
    """Of the two params with the largest importances, when both are more than chance."""
    order = sorted(range(len(columns)), key=lambda place: -forest.importances[place])[:2]
    if len(order) < 2 or not all(_matters(forest.importances[place], forest.deviations[place]) for place in order):
        return None
    first, second = order
    share = interaction(forest.model, settings, first, second)
    return Interaction(columns[first].param, columns[second].param, share)
