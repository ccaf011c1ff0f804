"""Isolated jumps in a curve that are reversed soon after."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses, number
from qualia_lab.analysis.findings.per_task import count_text, runs_by_task

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence, History
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        deviations: Minimum size in robust standard deviations of the differences between neighbouring points.
        fewest_points: Minimum number of points of a history.
        tails: Share of spikes among the points from which a history has long-tailed noise rather than spikes.
    """

    deviations: float = 10.0
    fewest_points: int = 20
    tails: float = 0.02


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task and family of metrics, listing each run under the metric with its largest spike.

    The differences of neighbouring points have a median and a MAD (Iglewicz and Hoaglin 1993, How to Detect and Handle
    Outliers); a spike is a difference in the worse direction that is `deviations` times 1.4826 MAD from the median, is
    at least a quarter of the history's gain, and is half reversed within ten points. A history with jumps nearly as
    large that are not reversed, or with spikes in 2 % of its points, has long-tailed noise and no spikes. Components of
    losses are excluded, since they have such noise too.
    """
    series, study = evidence.series, evidence.study
    judged = np.array([study.metric[key].role in ("objective", "training") for key in evidence.keys], np.bool_)
    spiked = (
        (series.spikes > 0)
        & (series.points >= thresholds.fewest_points)
        & (series.spike_size >= thresholds.deviations)
        & (series.jumps <= series.spikes)
        & (series.spikes < np.maximum(2, thresholds.tails * series.points))
        & judged[series.key]
    )
    largest: dict[str, tuple[float, str, History]] = {}
    for position in np.unique(series.key[spiked]).tolist():
        key = evidence.keys[position]
        for history in evidence.histories(key, spiked):
            if history.run_id not in evidence.diverged and (
                history.run_id not in largest or history.spike_size > largest[history.run_id][0]
            ):
                largest[history.run_id] = (history.spike_size, key, history)
    findings = []
    for task, run_ids in runs_by_task(evidence, largest):
        families: dict[str, list[tuple[float, str, History]]] = defaultdict(list)
        for run_id in run_ids:
            families[study.metric[largest[run_id][1]].family].append(largest[run_id])
        for of_family in families.values():
            spiked_histories = sorted(of_family, key=lambda row: -row[0])
            findings.append(_finding(evidence, task, [(key, history) for _, key, history in spiked_histories]))
    return findings


def _finding(evidence: Evidence, task: Task, histories: list[tuple[str, History]]) -> Finding:
    clauses = [
        f"{evidence.name(history.run_id)}, {key} at step {history.spike_step:,}, {number(history.spike_before)} → "
        f"{number(history.spike_value)}" + (f", the largest of {history.spikes:,}" if history.spikes > 1 else "")
        for key, history in histories
    ]
    numbers = [
        Number(what, value, history.run_id)
        for _, history in histories[:MOST_NAMED]
        for what, value in (
            ("step", history.spike_step),
            ("before", history.spike_before),
            ("value", history.spike_value),
            ("spikes", history.spikes),
        )
    ]
    first = histories[0][0]
    spike = "spikes and comes" if len(histories) == 1 else "spike and come"
    return Finding(
        "spikes",
        "problem",
        "warning",
        f"{evidence.prefix(task)}{count_text(len(histories), task)} {spike} back: {joined_clauses(clauses)}.",
        tuple(history.run_id for _, history in histories),
        tuple(dict.fromkeys(key for key, _ in histories)),
        tuple(history.spike_step for _, history in histories),
        tuple(numbers),
        "curves",
        expressions.history_summary(
            evidence, first, [history.run_id for key, history in histories if key == first][:MOST_NAMED]
        ),
        next="Look at the batch and the gradients at that step; clipping gradients removes such spikes.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "spikes",
    "a metric jumps in the worse direction, far beyond its usual differences, and comes back, in less than 2 % "
    "of its points",
    "Iglewicz and Hoaglin 1993",
    Thresholds(),
    find,
)
