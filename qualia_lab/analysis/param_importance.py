"""The importance of one factor as a row of a table, with notes where a number would mislead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.ped_anova import chance_levels, ped_anova
from qualia_lab.analysis.relations import correlate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from qualia_lab.analysis.best_range import BestRange
    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.param_columns import ParamColumn

LEAST_IMPORTANCE = 0.02  # drop of R² below which, or below two deviations, it is no more than chance
MOST_PARAMS = 50  # params given to the forest, those that most configurations have first


@dataclass(frozen=True)
class ParamImportance:
    """One factor. A value is None where it would mislead, and `note` says why.

    Attributes:
        param: the name of the factor.
        forest, deviation: the drop of the forest's out-of-bag R² when the factor is permuted, and its standard
            deviation.
        ped_anova: its share of all params' importances for being among the best, 0 to 1, as Optuna shows it.
        rho: its rank correlation with the metric.
        n: the number of configurations that have it and a finite metric.
        note: why values are missing or unreliable.
        tied_to: another factor that separates the same configurations, so that their effects cannot be distinguished.
        best: where the best values of the metric lie; None where that is no narrow part, or no direction is known.
    """

    param: str
    forest: float | None
    deviation: float | None
    ped_anova: float | None
    rho: float | None
    n: int
    note: str
    tied_to: str | None = None
    best: BestRange | None = None

    @property
    def matters(self) -> bool:
        """Whether the importance in the forest is more than chance."""
        return self.forest is not None and is_more_than_chance(self.forest, self.deviation or 0.0)


def importance_row(
    column: ParamColumn,
    y: Numbers,
    forest_importances: Mapping[str, tuple[float, float]],
    shares: Mapping[str, float],
    by_chance: Collection[str],
) -> ParamImportance:
    """The row of one factor.

    Args:
        column: its values over the configurations.
        y: the metric of the configurations, shape (configurations,).
        forest_importances: the importance and its deviation for each factor in the forest.
        shares: the share of each factor by PED-ANOVA; {} where it was not computed.
        by_chance: the factors whose share does not exceed chance.

    Returns:
        The row.
    """
    is_present = ~np.isnan(column.values)
    rho = None if column.choices else correlate(column.param, column.present, y[is_present]).rho
    notes = []
    stands_for = column.tied_to or column.param
    importance, deviation = forest_importances.get(stands_for, (None, None))
    if forest_importances and importance is None:
        notes.append(f"not included: only the {MOST_PARAMS} params that most runs have are")
    if column.tied_to:
        notes.append(f"changes only together with {column.tied_to}: cannot be told apart")
    if importance is not None and deviation is not None and not is_more_than_chance(importance, deviation):
        notes.append("forest: no more than chance")
    if column.param in shares and column.param in by_chance:
        notes.append("PED-ANOVA: no more than chance")
    missing = int((~is_present).sum())
    if missing:
        notes.append(f"{missing} of {len(y)} configurations lack it")
    return ParamImportance(
        column.param,
        importance,
        deviation,
        shares.get(column.param),
        rho,
        int(is_present.sum()),
        "; ".join(notes),
        column.tied_to,
    )


def ped_anova_shares(
    columns: list[ParamColumn], losses: Numbers | None, quantile: float
) -> tuple[dict[str, float], set[str]]:
    """Each param's share of the summed importances by PED-ANOVA.

    Args:
        columns: the params.
        losses: shape (configurations,), lower is better; None where PED-ANOVA is not computed.
        quantile: the share of the configurations that counts as the best.

    Returns:
        The share by param, and the params whose importance does not exceed chance; both empty where nothing was
        computed.
    """
    if losses is None or not columns:
        return {}, set()
    importances, chance = ped_anova(columns, losses, quantile), chance_levels(columns, losses, quantile)
    total = sum(importances)
    shares = (
        {column.param: value / total for column, value in zip(columns, importances, strict=True)} if total > 0 else {}
    )
    return shares, {
        column.param for column, one, most in zip(columns, importances, chance, strict=True) if one <= most > 0
    }


def is_more_than_chance(importance: float, deviation: float) -> bool:
    """Whether permuting a factor costs the forest more than permuting one without effect."""
    return importance > max(LEAST_IMPORTANCE, 2 * deviation)
