"""Objectives that cannot rank runs: equal in all runs, at the end of their range, or at chance level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number
from qualia_lab.study.metric_names import read_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.metric_names import MetricName
    from qualia_lab.study.study import Objective

_ACCURACIES = {"acc", "accuracy", "top1"}
_CLASSES = (2, 10, 100, 1000)
_NEAR_ONE_IN = 0.02  # maximum distance of the median accuracy from 1 / classes; any other value may be twice as far
_PART_OF = 5  # the distance is also at most a fifth of 1 / classes


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest_runs: Minimum number of included runs.
        bound: Relative distance within which a metric is at its bound.
        chance: Distance within which a metric is at chance level.
    """

    fewest_runs: int = 3
    bound: float = 0.001
    chance: float = 0.02


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task, about the last values of its objective in all included runs."""
    findings = []
    for task in evidence.study.tasks:
        objective = task.objective
        if objective is None:
            continue
        values = evidence.values(objective.key)
        run_ids = tuple([run_id for run_id in evidence.compared[task.experiment_id] if run_id in values])
        of_task = [values[run_id] for run_id in run_ids]
        statement = _statement(objective, of_task, thresholds) if len(run_ids) >= thresholds.fewest_runs else None
        if statement is None:
            continue
        findings.append(
            Finding(
                "saturated",
                "problem",
                "warning",
                f"{evidence.prefix(task)}{objective.key} {statement[0]}.",
                run_ids,
                (objective.key,),
                numbers=(Number("lowest", min(of_task)), Number("highest", max(of_task))),
                section="metrics",
                code=f"runs.metrics[[{expressions.metric(evidence, objective.key)}]]",
                next=statement[1],
                experiment=evidence.experiment(task),
            )
        )
    return findings


def _statement(objective: Objective, values: Sequence[float], limits: Thresholds) -> tuple[str, str] | None:
    """The predicate of the sentence and the next step; None if the values differ meaningfully."""
    low, high = min(values), max(values)
    name = read_name(objective.key)
    _, most = name.bounds
    if most == 1.0 and 1.0 < high <= 100.0:  # in percent
        most = 100.0
    all_runs = f"all {len(values):,} runs"
    other = "Choose a metric that still differs"
    rivals = f", such as {objective.rivals[0]}" if objective.rivals else ""
    if objective.better == "higher" and most and low >= most * (1 - limits.bound):
        return f"is at its highest, {number(high)}, in {all_runs}: it cannot rank them", (
            f"{other}{rivals}, or harder data; look for a leak of the labels."
        )
    if objective.better == "lower" and name.bounds[0] == 0.0 and high <= 0.0:
        return f"is 0 in {all_runs}: it cannot rank them", f"{other}{rivals}, or harder data; look for a leak."
    if low == high:
        return f"is the same, {number(low)}, in {all_runs}: it cannot rank them", (
            f"{other}{rivals}, and check that it is computed from the results of each run."
        )
    if objective.better == "higher" and name.chance is not None:
        near = np.abs(np.array(values) - name.chance).max() <= limits.chance
        if near or (name.bounds[0] is None and high <= name.chance):
            return f"is no better than chance ({number(name.chance)}) in {all_runs}, {number(high)} at best", (
                "Check the labels, the split and the features before comparing runs: none has learned."
            )
    classes = _classes(objective.better == "higher", name, values)
    if classes is not None:
        return f"is what guessing among {classes:,} classes gives, {number(high)} at best, in {all_runs}", (
            "Check the labels, the split and the learning rate before comparing runs: none seems to have learned."
        )
    return None


def _classes(greater_is_better: bool, name: MetricName, values: Sequence[float]) -> int | None:
    """The number of classes among which guessing gives these accuracies, of common numbers only; None if there is none.

    The number of classes is unknown, so all values have to be close to one over it.
    """
    if not greater_is_better or name.bounds != (0.0, 1.0) or _ACCURACIES.isdisjoint(name.stem.split()):
        return None
    if max(map(abs, values)) > 100:
        return None
    shares = np.array(values) / (100.0 if max(values) > 1 else 1.0)
    for classes in _CLASSES:
        away, limit = np.abs(shares - 1 / classes), min(_NEAR_ONE_IN, 1 / (_PART_OF * classes))
        if np.median(away) <= limit and away.max() <= 2 * limit:
            return classes
    return None


RULE = Rule(
    "saturated",
    "the objective is the same in all runs, at the end of its range, or at chance level",
    "",
    Thresholds(),
    find,
)
