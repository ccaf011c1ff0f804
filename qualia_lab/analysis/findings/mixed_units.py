"""An objective that some runs logged in percent and others as a share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, listed, number
from qualia_lab.counts import counted
from qualia_lab.study.units import OTHER_UNITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """No thresholds; the study decides which runs are in another unit."""


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:  # noqa: ARG001 - no thresholds
    """One finding per task: the runs that the study left out because of the unit of their objective."""
    findings = []
    for task in evidence.study.tasks:
        odd = [run_id for run_id in task.run_ids if evidence.study.left_out.get(run_id) == OTHER_UNITS]
        if task.objective is not None and odd:
            findings.append(_finding(evidence, task, task.objective.key, odd))
    return findings


def _finding(evidence: Evidence, task: Task, key: str, odd: list[str]) -> Finding:
    values = evidence.values(key)
    others = [run_id for run_id in task.run_ids if run_id in values and run_id not in evidence.study.left_out]
    units = ("percent", "a share") if values[odd[0]] > 1 else ("a share", "percent")
    names = listed([evidence.name(run_id) for run_id in odd])
    return Finding(
        "mixed_units",
        "problem",
        "warning",
        f"{evidence.prefix(task)}{key} seems to be {units[0]} in {counted(len(odd), 'run')} ({names}, "
        f"{_range(values, odd)}) and {units[1]} in {len(others):,} ({_range(values, others)}), so "
        f"{'this run is' if len(odd) == 1 else f'these {len(odd):,} runs are'} left out of comparisons.",
        tuple(odd),
        (key,),
        numbers=tuple(Number(key, values[run_id], run_id) for run_id in (*odd, *_ends(values, others))),
        section="metrics",
        code=f"runs.metrics[[{expressions.metric(evidence, key)}]]",
        next=f"Log {key} in one unit in all runs before you compare them.",
        experiment=evidence.experiment(task),
    )


def _range(values: Mapping[str, float], run_ids: list[str]) -> str:
    low, high = (number(values[run_id]) for run_id in _ends(values, run_ids))
    return low if low == high else f"{low} to {high}"


def _ends(values: Mapping[str, float], run_ids: list[str]) -> tuple[str, str]:
    """The runs with the lowest and with the highest value."""
    return min(run_ids, key=values.__getitem__), max(run_ids, key=values.__getitem__)


RULE = Rule(
    "mixed_units",
    "the objective is a share by its name, and in percent in some runs only",
    "",
    Thresholds(),
    find,
)
