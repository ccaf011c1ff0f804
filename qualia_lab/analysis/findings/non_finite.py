"""NaN and infinite values among the metrics of the model."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, listed, parts
from qualia_lab.analysis.findings.per_task import runs_by_task, some_of

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence, History
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """fewest: points of a history that are not finite, from which on they are worth a word."""

    fewest: int = 1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, each run by the metric in which it began.

    MLflow's stand-in for infinity, ±1.797e308, counts as infinite. A problem where a history ends so, a warning where
    it went on. Runs that diverged are told there.
    """
    first: dict[str, tuple[tuple[bool, int, str], History]] = {}
    metrics: dict[str, set[str]] = defaultdict(set)
    odd = evidence.series.nan + evidence.series.infinite >= max(1, thresholds.fewest)
    for key in evidence.keys:
        for one in evidence.histories(key, odd):
            if one.run_id in evidence.diverged:
                continue
            metrics[one.run_id].add(key)
            rank = (one.points == 1, one.odd_step, key)  # what is logged once, at the end, has step 0
            if one.run_id not in first or rank < first[one.run_id][0]:
                first[one.run_id] = (rank, one)
    return [
        _finding(evidence, task, [(first[run_id][0][2], first[run_id][1]) for run_id in run_ids], metrics)
        for task, run_ids in runs_by_task(evidence, first)
    ]


def _finding(evidence: Evidence, task: Task, found: list[tuple[str, History]], metrics: dict[str, set[str]]) -> Finding:
    clauses = [
        f"{evidence.name(one.run_id)}, {key} {_kind(one)} "
        + (f"in {one.nan + one.infinite:,} of {one.points:,} points, first at step {one.odd_step:,}" if one.points > 1
           else "as its only value")
        + (f", like {listed(sorted(metrics[one.run_id] - {key}), 3)}" if len(metrics[one.run_id]) > 1 else "")
        for key, one in found
    ]  # fmt: skip
    numbers = [
        Number(what, value, one.run_id)
        for _, one in found[:NAMED]
        for what, value in (
            ("first step", one.odd_step),
            ("points not finite", one.nan + one.infinite),
            ("points", one.points),
        )
    ]
    first = found[0][0]
    has = "has" if len(found) == 1 else "have"
    return Finding(
        "non_finite",
        "problem",
        "problem" if any(one.last_step < one.end_step or math.isnan(one.last) for _, one in found) else "warning",
        f"{evidence.where(task)}{some_of(len(found), task)} {has} values that are not finite: {parts(clauses)}.",
        tuple(one.run_id for _, one in found),
        tuple(dict.fromkeys(key for key, _ in found)),
        tuple(one.odd_step for _, one in found),
        tuple(numbers),
        "curves",
        code.history_summary(evidence, first, [one.run_id for key, one in found if key == first][:NAMED]),
        next="Look for a division by zero, a logarithm of zero or an empty batch or class in what is computed there; "
        "no mean counts such values.",
        experiment=evidence.experiment(task),
    )


def _kind(one: History) -> str:
    return "NaN and infinite" if one.nan and one.infinite else "NaN" if one.nan else "infinite"


RULE = Rule("non_finite", "a metric of the model has a NaN or infinite value", "", Thresholds(), find)
