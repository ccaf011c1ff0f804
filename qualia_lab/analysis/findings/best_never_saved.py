"""Runs that saved models at some steps, none of them near the best value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from qualia_lab import schema
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses, number
from qualia_lab.analysis.findings.per_task import count_text, runs_by_task
from qualia_lab.analysis.model_checkpoints import checkpoint_steps, saved_steps
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.model_checkpoints import SavedSteps
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        margin: Lost share of the gain.
        noises: The same loss in standard deviations of the noise of a point.
        fewest_points: Minimum number of points of a history.
    """

    margin: float = 0.1
    noises: float = 6.0
    fewest_points: int = 5


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task: runs whose objective was well better at some step than at every saved one."""
    if evidence.models is None:
        return []
    saved = checkpoint_steps(evidence.models)
    findings = []
    for task, run_ids in runs_by_task(evidence, saved.keys() - evidence.diverged.keys()):
        key = evidence.lead_curve(task)
        if (
            key is None
            or evidence.study.metric[key].role != "objective"
            or evidence.study.metric[key].split == "training"
        ):
            continue
        lost = [
            one
            for history in evidence.histories_of(key, run_ids)
            if history.points >= thresholds.fewest_points and history.best_step not in saved[history.run_id]
            for one in _read(evidence, history.run_id, key, saved[history.run_id])
            if one.saved_value is not None
            and abs(one.best_value - one.saved_value) > thresholds.margin * history.gain
            and abs(one.best_value - one.saved_value) > thresholds.noises * history.noise
        ]
        if lost:
            findings.append(_finding(evidence, task, key, lost))
    return findings


def _read(evidence: Evidence, run_id: str, key: str, saved: tuple[int, ...]) -> list[SavedSteps]:
    """The saved steps of one run against its history, which is read again in full."""
    points = rows_with(
        pa.Table.from_batches(list(evidence.read_history([run_id], [key])), schema.METRIC_HISTORY), "key", [key]
    )
    columns = points.column("step").to_pylist(), points.column("value").to_pylist()
    found = saved_steps(run_id, key, columns, saved, greater_is_better=bool(evidence.study.greater_is_better(key)))
    return [] if found is None else [found]


def _finding(evidence: Evidence, task: Task, key: str, lost: list[SavedSteps]) -> Finding:
    lost = sorted(lost, key=lambda one: -abs(one.best_value - (one.saved_value or 0.0)))
    clauses = [
        f"{evidence.name(one.run_id)}, {number(one.best_value)} at step {one.best_step:,}, "
        f"{number(one.saved_value or 0.0)} at step {one.saved_step:,}, the best of the saved ones"
        for one in lost
    ]
    numbers: list[Number] = []
    for one in lost[:MOST_NAMED]:
        numbers += [
            Number("best", one.best_value, one.run_id),
            Number("step of the best", one.best_step, one.run_id),
            Number("best saved", one.saved_value or 0.0, one.run_id),
            Number("step of the best saved", one.saved_step or 0, one.run_id),
        ]
    return Finding(
        "best_never_saved",
        "problem",
        "warning",
        f"{evidence.prefix(task)}No model was saved near the best {key} in {count_text(len(lost), task)}: "
        f"{joined_clauses(clauses)}.",
        tuple(one.run_id for one in lost),
        (key,),
        tuple(one.best_step for one in lost),
        tuple(numbers),
        "models",
        next=f"Save a checkpoint whenever {key} improves, or more often than now.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "best_never_saved",
    "a run saved models, and its objective was well better at another step than at every one of theirs",
    "",
    Thresholds(),
    find,
)
