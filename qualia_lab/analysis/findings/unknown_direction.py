"""Tasks in which nothing leads, since no metric says how good a run is, or none says which way is better."""

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
    """fewest: runs of a task with a metric, from which on it is asked which is the best."""

    fewest: int = 2


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding for each metric that leads without a direction, and one for the tasks that no metric leads."""
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
    found = [_of_metric(evidence, key, tasks) for key, tasks in undirected.items()]
    return found + ([_of_none(evidence, without)] if without else [])


def _of_metric(evidence: Evidence, key: str, tasks: list[Task]) -> Finding:
    shown = one_line(key, _WIDTH)
    return Finding(
        "unknown_direction",
        "problem",
        "warning",
        f"{_where(evidence, tasks)}Whether more or less {shown} is better is not known, so no configuration is said "
        "to lead.",
        keys=(key,),
        section="study",
        code="runs.metrics",
        next=f"Say it: --metric {shown}:max or {shown}:min, in the notebook GREATER_IS_BETTER = True or False, or "
        f' under [tool.qualia.metrics] of pyproject.toml "{shown}" = "higher" or "lower".',
        experiment=evidence.experiment(tasks[0]) if len(tasks) == 1 else "",
    )


def _of_none(evidence: Evidence, tasks: list[Task]) -> Finding:
    there = {key for task in tasks for run_id in task.run_ids for key in evidence.metrics[run_id]}
    return Finding(
        "unknown_direction",
        "problem",
        "warning",
        f"{_where(evidence, tasks)}No metric says how good a run is: {listed(sorted(there))} "
        f"{'says' if len(there) == 1 else 'say'} something else, so no configuration is said to lead.",
        section="study",
        code="runs.metrics",
        next="Name one: --metric KEY:max or --metric KEY:min, or under [tool.qualia.metrics] of pyproject.toml "
        '"KEY" = "higher" or "lower".',
        experiment=evidence.experiment(tasks[0]) if len(tasks) == 1 else "",
    )


def _where(evidence: Evidence, tasks: list[Task]) -> str:
    """`In a: `, `In 3 experiments: `; nothing where there is only one."""
    return evidence.where(tasks[0]) if len(tasks) == 1 else f"In {counted(len(tasks), 'experiment')}: "


RULE = Rule(
    "unknown_direction",
    "two runs of an experiment are there, and no metric with a known direction leads",
    "",
    Thresholds(),
    find,
)
