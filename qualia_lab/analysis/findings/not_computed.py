"""Scores that are exactly nothing, or exactly what chance gives: most often they were not computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, listed, number
from qualia_lab.counts import counted
from qualia_lab.study.metric_names import read_name

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """share: of the runs that have the metric, at most; of more it is the task that is hard.  runs: that have it."""

    share: float = 0.34
    runs: int = 5


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: runs whose objective is exactly 0, or exactly that of chance; others are above.

    Of scores that cannot be below 0, by their names, and where chance gives a known value (an AUC of 0.5): a library
    logs such values for models without probabilities, and models that predict one class reach them.
    """
    found = []
    for task in evidence.study.tasks:
        objective = task.objective
        if objective is None or objective.better != "higher":
            continue
        name = read_name(objective.key)
        exact = {value for value in (0.0, name.chance) if value is not None}
        if not name.bounds or name.bounds[0] != 0:
            continue
        of_all = evidence.values(objective.key)
        values = {run_id: of_all[run_id] for run_id in task.run_ids if run_id in of_all}
        odd = {run_id: one for run_id, one in values.items() if one in exact and run_id not in evidence.study.left_out}
        if not odd or len(values) < thresholds.runs or len(odd) > thresholds.share * len(values):
            continue
        if median(one for run_id, one in values.items() if run_id not in odd) > max(exact):
            found.append(_finding(evidence, task, objective.key, odd, len(values)))
    return found


def _finding(evidence: Evidence, task: Task, key: str, odd: dict[str, float], runs: int) -> Finding:
    clauses = []
    for value in sorted(set(odd.values())):
        run_ids = [run_id for run_id, one in odd.items() if math.isclose(one, value, abs_tol=0.0)]
        clauses.append(f"exactly {number(value)} in {listed(map(evidence.name, run_ids))}")
    return Finding(
        "not_computed",
        "problem",
        "warning",
        f"{evidence.where(task)}{key} is {' and '.join(clauses)}, {counted(len(odd), 'run')} of {runs:,}: most often "
        "such a value was not computed, or all predictions are the same.",
        tuple(odd),
        (key,),
        numbers=tuple(Number(key, value, run_id) for run_id, value in odd.items()),
        section="metrics",
        code=f"runs.metrics[[{code.metric(evidence, key)}]].iloc[{code.places(evidence, odd)}]",
        next="Look at their predictions before comparing these runs, or leave them out.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "not_computed",
    "the objective of a few runs is exactly 0, or exactly what chance gives, where that of the others is above",
    "",
    Thresholds(),
    find,
)
