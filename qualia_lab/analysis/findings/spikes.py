"""Single jumps in a curve that come back."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, number, parts
from qualia_lab.analysis.findings.per_task import runs_by_task, some_of

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence, History
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """deviations: robust standard deviations of the step-to-step differences.  fewest_points: of a history.

    tails: share of a history's points that are spikes, from which on it has long tails and no spikes.
    """

    deviations: float = 10.0
    fewest_points: int = 20
    tails: float = 0.02


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task and family of metrics, each run under the metric in which its spike is largest.

    The differences of neighbouring points have a median and a MAD (Iglewicz and Hoaglin 1993, How to Detect and Handle
    Outliers); a spike is a difference in the worse direction that lies `deviations` times 1.4826 MAD from the median,
    is at least a quarter of the history's gain, and of which half is gone within ten points. A history that
    jumps nearly as far without coming back, or in 2 % of its points, has long tails and no spikes; parts of losses have
    them too.
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
    for place in np.unique(series.key[spiked]).tolist():
        key = evidence.keys[place]
        for one in evidence.histories(key, spiked):
            if one.run_id not in evidence.diverged and (
                one.run_id not in largest or one.spike_size > largest[one.run_id][0]
            ):
                largest[one.run_id] = (one.spike_size, key, one)
    found = []
    for task, run_ids in runs_by_task(evidence, largest):
        families: dict[str, list[tuple[float, str, History]]] = defaultdict(list)
        for run_id in run_ids:
            families[study.metric[largest[run_id][1]].family].append(largest[run_id])
        for of_family in families.values():
            ones = sorted(of_family, key=lambda row: -row[0])
            found.append(_finding(evidence, task, [(key, one) for _, key, one in ones]))
    return found


def _finding(evidence: Evidence, task: Task, found: list[tuple[str, History]]) -> Finding:
    clauses = [
        f"{evidence.name(one.run_id)}, {key} at step {one.spike_step:,}, {number(one.spike_before)} → "
        f"{number(one.spike_value)}" + (f", the largest of {one.spikes:,}" if one.spikes > 1 else "")
        for key, one in found
    ]
    numbers = [
        Number(what, value, one.run_id)
        for _, one in found[:NAMED]
        for what, value in (
            ("step", one.spike_step),
            ("before", one.spike_before),
            ("value", one.spike_value),
            ("spikes", one.spikes),
        )
    ]
    first = found[0][0]
    spike = "spikes and comes" if len(found) == 1 else "spike and come"
    return Finding(
        "spikes",
        "problem",
        "warning",
        f"{evidence.where(task)}{some_of(len(found), task)} {spike} back: {parts(clauses)}.",
        tuple(one.run_id for _, one in found),
        tuple(dict.fromkeys(key for key, _ in found)),
        tuple(one.spike_step for _, one in found),
        tuple(numbers),
        "curves",
        code.history_summary(evidence, first, [one.run_id for key, one in found if key == first][:NAMED]),
        next="Look at the batch and the gradients at that step; clipping gradients takes such spikes away.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "spikes",
    "a metric jumps the wrong way, far outside its own differences, and comes back, in less than 2 % of its points",
    "Iglewicz and Hoaglin 1993",
    Thresholds(),
    find,
)
