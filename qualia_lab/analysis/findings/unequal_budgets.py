"""Runs that stopped much earlier than the others, and a best run that did not finish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number, parts
from qualia_lab.counts import counted
from qualia_lab.study.factor_names import says_early_stopping
from qualia_lab.study.statuses import FINISHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import ShortRun, Task

_SAME_POINTS = 0.8  # of the points that others usually have
_FEWEST_POINTS = 3
_OFF = {"", "false", "0", "none", "null", "off", "no"}


@dataclass(frozen=True)
class Thresholds:
    """It has none; what is much earlier is settled in the study."""


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:  # noqa: ARG001  it has none
    """Of each task at most one finding about finished runs, and one about the best run that did not finish."""
    found = []
    for task in evidence.study.tasks:
        members = set(task.run_ids)
        short = [one for one in evidence.study.short_runs if one.run_id in members]
        as_long = _as_long(evidence, task, short) if short else set()
        short = [one for one in short if one.run_id not in as_long]
        found += [_short(evidence, task, short)] if short else []
        found += _unfinished(evidence, task)
    return found


def _as_long(evidence: Evidence, task: Task, short: Sequence[ShortRun]) -> set[str]:
    """The runs that were no shorter: early stopping ended them, or they logged as many points in other steps.

    One that counts epochs and one that counts batches end at different steps.
    """
    asked = [one.key for one in evidence.study.params if says_early_stopping(one.key)]
    found = {one.run_id for one in short if any(_is_on(evidence.params[one.run_id].get(key)) for key in asked)}
    key = evidence.lead_curve(task)
    if key is None:
        return found
    series = evidence.series
    rows = np.flatnonzero(series.key == evidence.keys.index(key))
    points = dict(zip(series.run[rows].tolist(), series.points[rows].tolist(), strict=True))
    of_short = {one.run_id: points.get(evidence.places[one.run_id], 0) for one in short}
    others = [
        points[evidence.places[run_id]]
        for run_id in task.run_ids
        if run_id not in of_short and evidence.places[run_id] in points and run_id not in evidence.study.left_out
    ]
    if not others:
        return found
    enough = _SAME_POINTS * float(np.median(others))
    return found | {run_id for run_id, count_of in of_short.items() if count_of >= max(enough, _FEWEST_POINTS)}


def _is_on(value: str | None) -> bool:
    return value is not None and value.strip().lower() not in _OFF


def _short(evidence: Evidence, task: Task, short: list[ShortRun]) -> Finding:
    clauses = [
        f"{evidence.name(one.run_id)} at step {number(one.last_step)}, the others usually at {number(one.usual)}"
        for one in short
    ]
    several = len(short) > 1
    return Finding(
        "unequal_budgets",
        "problem",
        "warning",
        f"{evidence.where(task)}{counted(len(short), 'finished run')} stopped much earlier than the others: "
        f"{parts(clauses)}. {'Their' if several else 'Its'} last values are not those of the same budget.",
        tuple(one.run_id for one in short),
        (task.objective.key,) if task.objective else (),
        tuple(one.last_step for one in short),
        tuple(
            one_number
            for one in short
            for one_number in (
                Number("last step", one.last_step, one.run_id),
                Number("usual last step", one.usual, one.run_id),
            )
        ),
        section="metrics",
        code=f"runs.history_summary({code.metric(evidence, task.objective.key)})" if task.objective else "runs.metrics",
        next=f"Compare at the same step, train {'them' if several else 'it'} as long as the others, or leave "
        f"{'them' if several else 'it'} out.",
        experiment=evidence.experiment(task),
    )


def _unfinished(evidence: Evidence, task: Task) -> list[Finding]:
    """At most one finding: the best of all values is that of a run that does not count, since it did not finish."""
    answer = evidence.answers.get(task.experiment_id)
    if answer is None:
        return []
    key, better = answer.leader.metric, answer.leader.greater_is_better
    that_count = [value for group in answer.groups for value in group.values]
    best_counted = max(that_count) if better else min(that_count)
    waiting = {
        run_id: value
        for group in evidence.groups[task.experiment_id]
        for run_id in group.run_ids
        if evidence.status[run_id] != FINISHED and run_id not in group.scored and run_id not in evidence.diverged
        if abs(value := evidence.metrics[run_id].get(key, float("nan"))) < float("inf")
    }
    if not waiting:
        return []
    best = (max if better else min)(waiting, key=waiting.__getitem__)
    value = waiting[best]
    if not (value > best_counted if better else value < best_counted):
        return []
    status = evidence.status[best].lower()
    return [
        Finding(
            "unequal_budgets",
            "problem",
            "warning",
            f"{evidence.where(task)}The best {key} of all, {number(value)}, is that of {evidence.name(best)}, which "
            f"is {status} and does not count; the best of the others is {number(best_counted)}.",
            (best,),
            (key,),
            numbers=(Number(key, value, best), Number(f"best {key} of the others", best_counted)),
            section="metrics",
            code=f"runs.metrics[{code.metric(evidence, key)}]",
            next="Wait until it has finished before choosing."
            if status == "running"
            else "Run it again to its end, or count it with --status, before choosing.",
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
