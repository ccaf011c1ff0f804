"""What is known of one factor's importance, and how it stands in a row: with a note where a number misleads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.ped_anova import chance_levels, ped_anova
from qualia_lab.analysis.relations import correlate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.param_columns import ParamColumn
    from qualia_lab.analysis.where_best import BestRange

LEAST_IMPORTANCE = 0.02  # of R², and two deviations of it: less is no more than chance
MOST_PARAMS = 50  # asked of the forest; those of most configurations first


@dataclass(frozen=True)
class ParamImportance:
    """One factor. None stands where a number would mislead, and `note` says why.

    forest, deviation: the fall of the forest's out-of-bag R² when its values are shuffled, and its deviation.
    ped_anova: its share of the importances of all params for being among the best, 0 to 1, as Optuna shows it.
    rho: its rank correlation.  n: configurations that have it and a finite metric.
    tied_to: a factor that sets the same configurations apart, so that nothing tells it from that one.
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
        """Whether the forest loses more by its shuffling than chance explains."""
        return self.forest is not None and is_more_than_chance(self.forest, self.deviation or 0.0)


def importance_row(
    column: ParamColumn,
    y: Numbers,
    grown: Mapping[str, tuple[float, float]],
    shares: Mapping[str, float],
    by_chance: Collection[str],
) -> ParamImportance:
    """The row of one factor.

    Args:
        column: its values over the configurations.
        y: the metric of these.
        grown: of each factor that the forest was asked about, its importance and deviation.
        shares: of PED-ANOVA; {} where it was not asked.
        by_chance: the factors whose share chance reaches.
    """
    there = ~np.isnan(column.values)
    rho = None if column.choices else correlate(column.param, list(zip(column.there, y[there], strict=True))).rho
    notes = []
    stands_for = column.tied_to or column.param
    importance, deviation = grown.get(stands_for, (None, None))
    if grown and importance is None:
        notes.append(f"not asked: only the {MOST_PARAMS} params of most runs are")
    if column.tied_to:
        notes.append(f"changes only together with {column.tied_to}: cannot be told apart")
    if importance is not None and deviation is not None and not is_more_than_chance(importance, deviation):
        notes.append("forest: no more than chance")
    if column.param in shares and column.param in by_chance:
        notes.append("PED-ANOVA: no more than chance")
    missing = int((~there).sum())
    if missing:
        notes.append(f"{missing} of {len(y)} configurations lack it")
    return ParamImportance(
        column.param,
        importance,
        deviation,
        shares.get(column.param),
        rho,
        int(there.sum()),
        "; ".join(notes),
        column.tied_to,
    )


def ped_anova_shares(
    columns: list[ParamColumn], losses: Numbers | None, quantile: float
) -> tuple[dict[str, float], set[str]]:
    """Each param's share of the sum, and the params whose importance chance reaches; {} where none can be said."""
    if losses is None or not columns:
        return {}, set()
    found, chance = ped_anova(columns, losses, quantile), chance_levels(columns, losses, quantile)
    total = sum(found)
    shares = {column.param: value / total for column, value in zip(columns, found, strict=True)} if total > 0 else {}
    return shares, {column.param for column, one, most in zip(columns, found, chance, strict=True) if one <= most > 0}


def is_more_than_chance(importance: float, deviation: float) -> bool:
    """Whether a forest loses more by a factor's shuffling than by that of one that does nothing."""
    return importance > max(LEAST_IMPORTANCE, 2 * deviation)
