"""Runs whose best value is not their last one: what the table of latest values does not show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.collapse import collapsed_runs
from qualia_lab.analysis.findings.courses import lead_courses
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, number, parts
from qualia_lab.analysis.findings.overfitting import overfitted_runs
from qualia_lab.analysis.findings.per_task import runs_by_task, some_of
from qualia_lab.analysis.trends import trend_p

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """margin: share of the gain that is lost.  noises: the same loss in the noise of a level.  alpha: of its trend."""

    margin: float = 0.1
    noises: float = 6.0
    alpha: float = 0.01


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, about its objective where that is of no training data.

    After its best point the metric has to get worse more steadily than a random walk does from there on
    (`trends.trend_p`). Runs that collapse or overfit are told there.
    """
    lost = lost_runs(evidence, thresholds) - collapsed_runs(evidence) - overfitted_runs(evidence)
    found = []
    for task, run_ids in runs_by_task(evidence, lost):
        key = evidence.lead_curve(task) or ""
        side = "below" if evidence.study.greater_is_better(key) else "above"
        ones = sorted(evidence.histories_of(key, run_ids), key=lambda one: -one.lost / one.gain if one.gain else 0.0)
        clauses = [
            f"{evidence.name(one.run_id)}, {number(one.best)} at step {one.best_step:,}, {number(one.last)} at the end"
            for one in ones
        ]
        found.append(
            Finding(
                "best_not_last",
                "problem",
                "warning",
                f"{evidence.where(task)}The last {key} is well {side} the best in {some_of(len(ones), task)}: "
                f"{parts(clauses)}.",
                tuple(one.run_id for one in ones),
                (key,),
                tuple(one.best_step for one in ones),
                tuple(
                    Number(what, value, one.run_id)
                    for one in ones[:NAMED]
                    for what, value in (("best", one.best), ("step of the best", one.best_step), ("last", one.last))
                ),
                "curves",
                code.history_summary(evidence, key, (one.run_id for one in ones[:NAMED])),
                next=f"Save the best checkpoint by {key} and compare runs by it, or stop when it no longer improves.",
                experiment=evidence.experiment(task),
            )
        )
    return found


def lost_runs(evidence: Evidence, limits: Thresholds) -> frozenset[str]:
    """The runs that lose much of what the objective had gained, those that diverged aside."""
    return evidence.once(("best_not_last", limits), lambda: _lost_runs(evidence, limits))


@np.errstate(all="ignore")
def _lost_runs(evidence: Evidence, limits: Thresholds) -> frozenset[str]:
    courses = lead_courses(evidence)
    series, study = evidence.series, evidence.study
    held_out = np.array(
        [study.metric[key].role == "objective" and study.metric[key].split != "training" for key in evidence.keys],
        np.bool_,
    )
    lost = (
        held_out[series.key[courses.rows]]
        & courses.learned
        & (courses.lost > limits.margin * courses.gain)
        & (courses.lost > limits.noises * courses.noise)
    )
    found = set()
    for row, sign in zip(courses.rows[lost].tolist(), courses.sign[lost].tolist(), strict=True):
        run_id, key = evidence.run_ids[series.run[row]], evidence.keys[series.key[row]]
        curve = evidence.second_look.curves.get((run_id, key))
        if curve is not None and run_id not in evidence.diverged:
            cost = sign * curve.values
            if trend_p(cost[int(cost.argmin()) :]) < limits.alpha:
                found.add(run_id)
    return frozenset(found)


RULE = Rule(
    "best_not_last",
    "the best value of a run's objective came well before its last, and much was lost, steadier than by a random walk",
    "Hamed and Rao 1998; simulated random walks",
    Thresholds(),
    find,
)
