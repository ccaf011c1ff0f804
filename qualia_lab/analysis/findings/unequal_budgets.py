"""Runs that stopped much earlier than the others, and a best run that did not finish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, joined_clauses, number
from qualia_lab.counts import counted
from qualia_lab.study.factor_names import says_early_stopping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import ShortRun, Task

_SAME_POINTS = 0.8  # share of the usual number of points
_FEWEST_POINTS = 3
_OFF = {"", "false", "0", "none", "null", "off", "no"}


@dataclass(frozen=True)
class Thresholds:
    """No thresholds; the study decides what is much earlier."""


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:  # noqa: ARG001 - no thresholds
    """At most two findings per task: one about finished runs, and one about the best run if it did not finish."""
    findings = []
    for task in evidence.study.tasks:
        members = set(task.run_ids)
        short = [one for one in evidence.study.short_runs if one.run_id in members]
        not_shorter = _not_shorter(evidence, task, short) if short else set()
        short = [one for one in short if one.run_id not in not_shorter]
        findings += [_short_runs_finding(evidence, task, short)] if short else []
        findings += _unfinished_best_findings(evidence, task)
    return findings


def _not_shorter(evidence: Evidence, task: Task, short: Sequence[ShortRun]) -> set[str]:
    """The runs that are not really shorter: early stopping ended them, or they logged as many points at other steps.

    A run that counts epochs and one that counts batches end at different steps.
    """
    params = [one.key for one in evidence.study.params if says_early_stopping(one.key)]
    not_shorter = {one.run_id for one in short if any(_is_on(evidence.params[one.run_id].get(key)) for key in params)}
    key = evidence.lead_curve(task)
    if key is None:
        return not_shorter
    series = evidence.series
    rows = np.flatnonzero(series.key == evidence.keys.index(key))
    points = dict(zip(series.run[rows].tolist(), series.points[rows].tolist(), strict=True))
    of_short = {one.run_id: points.get(evidence.positions[one.run_id], 0) for one in short}
    others = [
        points[evidence.positions[run_id]]
        for run_id in task.run_ids
        if run_id not in of_short and evidence.positions[run_id] in points and run_id not in evidence.study.left_out
    ]
    if not others:
        return not_shorter
    enough = _SAME_POINTS * float(np.median(others))
    return not_shorter | {run_id for run_id, count_of in of_short.items() if count_of >= max(enough, _FEWEST_POINTS)}


def _is_on(value: str | None) -> bool:
    return value is not None and value.strip().lower() not in _OFF


def _short_runs_finding(evidence: Evidence, task: Task, short: list[ShortRun]) -> Finding:
    clauses = [
        f"{evidence.name(run.run_id)} at step {number(run.last_step)}, the others usually at {number(run.usual)}"
        for run in short
    ]
    several = len(short) > 1
    return Finding(
        "unequal_budgets",
        "problem",
        "warning",
        f"{evidence.prefix(task)}{counted(len(short), 'finished run')} stopped much earlier than the others: "
        f"{joined_clauses(clauses)}. {'Their' if several else 'Its'} last values are for a different budget.",
        tuple(run.run_id for run in short),
        (task.objective.key,) if task.objective else (),
        tuple(run.last_step for run in short),
        tuple(
            one_number
            for run in short
            for one_number in (
                Number("last step", run.last_step, run.run_id),
                Number("usual last step", run.usual, run.run_id),
            )
        ),
        section="metrics",
        code=f"runs.history_summary({expressions.metric(evidence, task.objective.key)})"
        if task.objective
        else "runs.metrics",
        next=f"Compare at the same step, train {'them' if several else 'it'} as long as the others, or leave "
        f"{'them' if several else 'it'} out.",
        experiment=evidence.experiment(task),
    )


def _unfinished_best_findings(evidence: Evidence, task: Task) -> list[Finding]:
    """At most one finding: the best of all values belongs to a run that is excluded because it did not finish."""
    answer = evidence.answers.get(task.experiment_id)
    if answer is None:
        return []
    key, better = answer.leader.metric, answer.leader.greater_is_better
    if evidence.unfinished.isdisjoint(task.run_ids):
        return []
    candidates = {
        run_id: value
        for group in evidence.groups[task.experiment_id]
        for run_id in group.run_ids
        if run_id in evidence.unfinished and run_id not in group.scored and run_id not in evidence.diverged
        if abs(value := evidence.metrics[run_id].get(key, float("nan"))) < float("inf")
    }
    if not candidates:
        return []
    best = (max if better else min)(candidates, key=candidates.__getitem__)
    value = candidates[best]
    counted_values = [value for group in answer.groups for value in group.values]
    best_counted = max(counted_values) if better else min(counted_values)
    if not (value > best_counted if better else value < best_counted):
        return []
    status = evidence.status[best].lower()
    return [
        Finding(
            "unequal_budgets",
            "problem",
            "warning",
            f"{evidence.prefix(task)}The best {key} of all, {number(value)}, is that of {evidence.name(best)}, which "
            f"is {status} and therefore excluded; the best of the others is {number(best_counted)}.",
            (best,),
            (key,),
            numbers=(Number(key, value, best), Number(f"best {key} of the others", best_counted)),
            section="metrics",
            code=f"runs.metrics[{expressions.metric(evidence, key)}]",
            next="Wait until it has finished before choosing."
            if status == "running"
            else "Run it again to its end, or include it with --status, before choosing.",
            experiment=evidence.experiment(task),
        )
    ]


RULE = Rule(
    "unequal_budgets",
    "a finished run stopped much earlier than the others of its task, or the best run did not finish",
    "",
    Thresholds(),
    find,
)
