"""Runs that saved models at some steps, none of them near the best value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses, number
from qualia_lab.analysis.findings.per_task import count_text, runs_by_task
from qualia_lab.analysis.model_checkpoints import checkpoint_steps, saved_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        facts = {
            history.run_id: history
            for history in evidence.histories_of(key, run_ids)
            if history.points >= thresholds.fewest_points and history.best_step not in saved[history.run_id]
        }
        lost = [
            one
            for one in _read(evidence, key, {run_id: saved[run_id] for run_id in facts})
            if one.saved_value is not None
            and abs(one.best_value - one.saved_value) > thresholds.margin * facts[one.run_id].gain
            and abs(one.best_value - one.saved_value) > thresholds.noises * facts[one.run_id].noise
        ]
        if lost:
            findings.append(_finding(evidence, task, key, lost))
    return findings


def _read(evidence: Evidence, key: str, saved: Mapping[str, tuple[int, ...]]) -> list[SavedSteps]:
    """The saved steps of runs against their histories, which are read again in full, all at once."""
    points: dict[str, tuple[list[int], list[float]]] = {}
    for batch in evidence.read_history(list(saved), [key]) if saved else ():
        columns = (batch.column(name).to_pylist() for name in ("run_id", "key", "step", "value"))
        for run_id, of_key, step, value in zip(*columns, strict=True):
            if of_key == key:
                steps, values = points.setdefault(run_id, ([], []))
                steps.append(step)
                values.append(value)
    greater = bool(evidence.study.greater_is_better(key))
    found = [
        saved_steps(run_id, key, points[run_id], saved[run_id], greater_is_better=greater)
        for run_id in saved
        if run_id in points
    ]
    return [one for one in found if one is not None]


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
