"""How a metric goes with each numeric param: rank correlations, refused where the runs are too few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from qualia_lab.analysis.groups import finite_values
from qualia_lab.inventory import is_number
from qualia_lab.tables import by_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.tables import RunTables

# Under ten runs, the 5 % bound of |rho| is above 0.6: nearly anything could be chance.
FEWEST_RUNS = 10


@dataclass(frozen=True)
class Relation:
    """A param's rank correlation with a metric over n runs; rho is None where n is too small, and note says so."""

    param: str
    n: int
    rho: float | None
    note: str


def rank_correlations(tables: RunTables, metric: str) -> list[Relation]:
    """Spearman's rho (Spearman 1904) of each param that is a number in every run that has it and varies.

    Only runs with a finite latest value of the metric count. Strongest first, those without a rho last.
    """
    values = finite_values(tables, metric)
    found = []
    for key, rows in by_key(tables.params):
        distinct = pc.unique(rows.column("value")).to_pylist()
        if not all(map(is_number, distinct)) or len(set(map(float, distinct))) < 2:
            continue
        of_runs = zip(rows.column("run_id").to_pylist(), rows.column("value").to_pylist(), strict=True)
        pairs = [(float(text), values[run_id]) for run_id, text in of_runs if run_id in values]
        found.append(correlate(key, pairs))
    return sorted(found, key=lambda relation: (relation.rho is None, -abs(relation.rho or 0), relation.param))


def correlate(param: str, pairs: Sequence[tuple[float, float]]) -> Relation:
    """Spearman's rho of pairs of a param and a metric, ties ranked by their mean."""
    if len(pairs) < FEWEST_RUNS:
        return Relation(param, len(pairs), None, f"too few runs to tell (under {FEWEST_RUNS})")
    rho = _spearman([x for x, _ in pairs], [y for _, y in pairs])
    return Relation(param, len(pairs), rho, "" if rho is not None else "does not vary where the metric is finite")


def _spearman(x: list[float], y: list[float]) -> float | None:
    if len(set(x)) < 2 or len(set(y)) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(x, y).statistic)
