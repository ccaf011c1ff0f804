"""Scores that are exactly 0 or exactly at chance level, usually because they were not computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, listed, number
from qualia_lab.counts import counted
from qualia_lab.study.metric_names import read_name

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        share: Maximum share of the runs with the metric; if more runs are affected, the task is simply hard.
        runs: Minimum number of runs with the metric.
    """

    share: float = 0.34
    runs: int = 5


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: runs whose objective is exactly 0 or at chance level while others are above.

    It applies to scores that by their name cannot be negative, and to known chance levels (an AUC of 0.5): libraries
    log such values for models without probabilities, and models that predict a single class reach them.
    """
    findings = []
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
        suspicious = {
            run_id: one for run_id, one in values.items() if one in exact and run_id not in evidence.study.left_out
        }
        if not suspicious or len(values) < thresholds.runs or len(suspicious) > thresholds.share * len(values):
            continue
        if median(one for run_id, one in values.items() if run_id not in suspicious) > max(exact):
            findings.append(_finding(evidence, task, objective.key, suspicious, len(values)))
    return findings


def _finding(evidence: Evidence, task: Task, key: str, suspicious: dict[str, float], runs: int) -> Finding:
    clauses = []
    for value in sorted(set(suspicious.values())):
        run_ids = [run_id for run_id, one in suspicious.items() if math.isclose(one, value, abs_tol=0.0)]
        clauses.append(f"exactly {number(value)} in {listed(map(evidence.name, run_ids))}")
    return Finding(
        "not_computed",
        "problem",
        "warning",
        f"{evidence.prefix(task)}{key} is {' and '.join(clauses)}, {counted(len(suspicious), 'run')} of {runs:,}: "
        "most often such a value was not computed, or all predictions are the same.",
        tuple(suspicious),
        (key,),
        numbers=tuple(Number(key, value, run_id) for run_id, value in suspicious.items()),
        section="metrics",
        code=f"runs.metrics[[{expressions.metric(evidence, key)}]].iloc[{expressions.positions(evidence, suspicious)}]",
        next="Look at their predictions before comparing these runs, or leave them out.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "not_computed",
    "the objective of a few runs is exactly 0 or exactly at chance level, while that of the others is above",
    "",
    Thresholds(),
    find,
)
