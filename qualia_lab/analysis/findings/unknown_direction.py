"""Tasks without a ranking, because no metric measures how good a run is, or its direction is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Rule, listed
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task

_WIDTH = 60  # characters of a metric's name


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest: Minimum number of runs of a task with a metric.
    """

    fewest: int = 2


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per objective without a direction, and one for the tasks without an objective."""
    without: list[Task] = []
    undirected: dict[str, list[Task]] = {}
    for task in evidence.study.tasks:
        if len(task.run_ids) < thresholds.fewest:
            continue
        if task.objective is None:
            if any(evidence.metrics[run_id] for run_id in task.run_ids):
                without.append(task)
        elif task.objective.better is None:
            undirected.setdefault(task.objective.key, []).append(task)
    findings = [_undirected_finding(evidence, key, tasks) for key, tasks in undirected.items()]
    return findings + ([_no_objective_finding(evidence, without)] if without else [])


def _undirected_finding(evidence: Evidence, key: str, tasks: list[Task]) -> Finding:
    shown = one_line(key, _WIDTH)
    return Finding(
        "unknown_direction",
        "problem",
        "warning",
        f"{_where(evidence, tasks)}It is not known whether a higher or lower {shown} is better, so no configuration is "
        "named as leading.",
        keys=(key,),
        section="study",
        code="runs.metrics",
        next=f"Set it: --metric {shown}:max or {shown}:min, in the notebook GREATER_IS_BETTER = True or False, or "
        f'under [tool.qualia.metrics] of pyproject.toml "{shown}" = "higher" or "lower".',
        experiment=evidence.experiment(tasks[0]) if len(tasks) == 1 else "",
    )


def _no_objective_finding(evidence: Evidence, tasks: list[Task]) -> Finding:
    keys = {key for task in tasks for run_id in task.run_ids for key in evidence.metrics[run_id]}
    return Finding(
        "unknown_direction",
        "problem",
        "warning",
        f"{_where(evidence, tasks)}No metric measures how good a run is: {listed(sorted(keys))} "
        f"{'measures' if len(keys) == 1 else 'measure'} something else, so no configuration is named as leading.",
        section="study",
        code="runs.metrics",
        next='Name one: --metric KEY:max or KEY:min, in the notebook PRIMARY_METRIC = "KEY" and GREATER_IS_BETTER = '
        'True or False, or under [tool.qualia.metrics] of pyproject.toml "KEY" = "higher" or "lower".',
        experiment=evidence.experiment(tasks[0]) if len(tasks) == 1 else "",
    )


def _where(evidence: Evidence, tasks: list[Task]) -> str:
    """`In a: ` or `In 3 experiments: `; "" if there is only one."""
    return evidence.prefix(tasks[0]) if len(tasks) == 1 else f"In {counted(len(tasks), 'experiment')}: "


RULE = Rule(
    "unknown_direction",
    "an experiment has two runs or more, and no objective with a known direction",
    "",
    Thresholds(),
    find,
)
