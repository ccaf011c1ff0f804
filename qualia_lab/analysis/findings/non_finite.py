"""NaN and infinite values in the metrics of the model."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses, listed
from qualia_lab.analysis.findings.per_task import count_text, runs_by_task

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence, History
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest: Minimum number of non-finite points of a history.
    """

    fewest: int = 1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, listing each run under the metric that was non-finite first.

    MLflow's substitute for infinity, ±1.797e308, counts as infinite. The severity is `problem` if a history ends
    non-finite, and `warning` if it recovers. Diverged runs are reported by the rule `diverged` instead.
    """
    first: dict[str, tuple[tuple[bool, int, str], History]] = {}
    metrics: dict[str, set[str]] = defaultdict(set)
    odd = evidence.series.nan + evidence.series.infinite >= max(1, thresholds.fewest)
    for key in evidence.keys:
        for history in evidence.histories(key, odd):
            if history.run_id in evidence.diverged:
                continue
            metrics[history.run_id].add(key)
            rank = (history.points == 1, history.odd_step, key)  # a metric logged once, at the end, has step 0
            if history.run_id not in first or rank < first[history.run_id][0]:
                first[history.run_id] = (rank, history)
    return [
        _finding(evidence, task, [(first[run_id][0][2], first[run_id][1]) for run_id in run_ids], metrics)
        for task, run_ids in runs_by_task(evidence, first)
    ]


def _finding(
    evidence: Evidence, task: Task, histories: list[tuple[str, History]], metrics: dict[str, set[str]]
) -> Finding:
    clauses = [
        f"{evidence.name(history.run_id)}, {key} {_kind(history)} "
        + (f"in {history.nan + history.infinite:,} of {history.points:,} points, first at step {history.odd_step:,}"
           if history.points > 1 else "as its only value")
        + (f", as in {listed(sorted(metrics[history.run_id] - {key}), 3)}" if len(metrics[history.run_id]) > 1 else "")
        for key, history in histories
    ]  # fmt: skip
    numbers = [
        Number(what, value, history.run_id)
        for _, history in histories[:MOST_NAMED]
        for what, value in (
            ("first step", history.odd_step),
            ("points not finite", history.nan + history.infinite),
            ("points", history.points),
        )
    ]
    first = histories[0][0]
    has = "has" if len(histories) == 1 else "have"
    return Finding(
        "non_finite",
        "problem",
        "problem"
        if any(history.last_step < history.end_step or math.isnan(history.last) for _, history in histories)
        else "warning",
        f"{evidence.prefix(task)}{count_text(len(histories), task)} {has} non-finite values: "
        f"{joined_clauses(clauses)}.",
        tuple(history.run_id for _, history in histories),
        tuple(dict.fromkeys(key for key, _ in histories)),
        tuple(history.odd_step for _, history in histories),
        tuple(numbers),
        "curves",
        expressions.history_summary(
            evidence, first, [history.run_id for key, history in histories if key == first][:MOST_NAMED]
        ),
        next="Look for a division by zero, a logarithm of zero or an empty batch or class in what is computed there; "
        "means exclude such values.",
        experiment=evidence.experiment(task),
    )


def _kind(history: History) -> str:
    return "NaN and infinite" if history.nan and history.infinite else "NaN" if history.nan else "infinite"


RULE = Rule("non_finite", "a metric of the model has a NaN or infinite value", "", Thresholds(), find)
