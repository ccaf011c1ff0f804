"""Runs whose best value is well before their last one, which the table of latest values does not show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.block_curves import lead_block_curves
from qualia_lab.analysis.findings.collapse import collapsed_runs
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses, number
from qualia_lab.analysis.findings.overfitting import overfitted_runs
from qualia_lab.analysis.findings.per_task import count_text, runs_by_task
from qualia_lab.analysis.trends import trend_p

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        margin: Lost share of the gain.
        noises: The same loss in standard deviations of the noise of a block mean.
        alpha: Significance level of the trend after the best point.
    """

    margin: float = 0.1
    noises: float = 6.0
    alpha: float = 0.01


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, about its lead curve if that is an objective not measured on training data.

    After its best point the metric has to get worse more steadily than random walks do after theirs (`trends.trend_p`).
    Runs that collapse or overfit are reported by those rules instead.
    """
    lost = lost_runs(evidence, thresholds) - collapsed_runs(evidence) - overfitted_runs(evidence)
    findings = []
    for task, run_ids in runs_by_task(evidence, lost):
        key = evidence.lead_curve(task) or ""
        side = "below" if evidence.study.greater_is_better(key) else "above"
        histories = sorted(
            evidence.histories_of(key, run_ids),
            key=lambda history: -history.lost / history.gain if history.gain else 0.0,
        )
        clauses = [
            f"{evidence.name(history.run_id)}, {number(history.best)} at step {history.best_step:,}, "
            f"{number(history.last)} at the end"
            for history in histories
        ]
        findings.append(
            Finding(
                "best_not_last",
                "problem",
                "warning",
                f"{evidence.prefix(task)}The last {key} is well {side} the best in {count_text(len(histories), task)}: "
                f"{joined_clauses(clauses)}.",
                tuple(history.run_id for history in histories),
                (key,),
                tuple(history.best_step for history in histories),
                tuple(
                    Number(what, value, history.run_id)
                    for history in histories[:MOST_NAMED]
                    for what, value in (
                        ("best", history.best),
                        ("step of the best", history.best_step),
                        ("last", history.last),
                    )
                ),
                "curves",
                expressions.history_summary(evidence, key, (history.run_id for history in histories[:MOST_NAMED])),
                next=f"Save the best checkpoint by {key} and compare runs by it, or stop when it no longer improves.",
                experiment=evidence.experiment(task),
            )
        )
    return findings


def lost_runs(evidence: Evidence, limits: Thresholds) -> frozenset[str]:
    """The runs that lose much of what the objective had gained, without those that diverged."""
    return evidence.cached(("best_not_last", limits), lambda: _lost_runs(evidence, limits))


@np.errstate(all="ignore")
def _lost_runs(evidence: Evidence, limits: Thresholds) -> frozenset[str]:
    curves = lead_block_curves(evidence)
    series, study = evidence.series, evidence.study
    held_out = np.array(
        [study.metric[key].role == "objective" and study.metric[key].split != "training" for key in evidence.keys],
        np.bool_,
    )
    lost = (
        held_out[series.key[curves.rows]]
        & curves.learned
        & (curves.lost > limits.margin * curves.gain)
        & (curves.lost > limits.noises * curves.noise)
    )
    lost_run_ids = set()
    for row, sign in zip(curves.rows[lost].tolist(), curves.sign[lost].tolist(), strict=True):
        run_id = evidence.run_ids[series.run[row]]
        full_curve = evidence.full_curves.curves.get(row)
        if full_curve is not None and run_id not in evidence.diverged:
            cost = sign * full_curve.values
            if trend_p(cost[int(cost.argmin()) :]) < limits.alpha:
                lost_run_ids.add(run_id)
    return frozenset(lost_run_ids)


RULE = Rule(
    "best_not_last",
    "after its best value a run's objective lost much of its gain, more steadily than a random walk does",
    "Hamed and Rao 1998; simulated random walks",
    Thresholds(),
    find,
)
