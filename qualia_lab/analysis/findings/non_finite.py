"""NaN and infinite values among the metrics of the model."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, count, listed, number, parts

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence, History


@dataclass(frozen=True)
class Thresholds:
    """fewest: points of a history that are not finite, from which on they are worth a word."""

    fewest: int = 1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per metric in which it began; MLflow's stand-in for infinity, ±1.797e308, counts as infinite.

    A problem where a history ends so, a warning where it went on.
    """
    first: dict[str, tuple[tuple[bool, int, str], History]] = {}
    metrics: dict[str, set[str]] = defaultdict(set)
    odd = evidence.series.nan + evidence.series.infinite >= max(1, thresholds.fewest)
    for key in evidence.keys:
        for one in evidence.histories(key, odd):
            metrics[one.run_id].add(key)
            rank = (one.points == 1, one.odd_step, key)  # what is logged once, at the end, has step 0
            if one.run_id not in first or rank < first[one.run_id][0]:
                first[one.run_id] = (rank, one)
    by_key: dict[str, list[History]] = defaultdict(list)
    for run_id in evidence.run_ids:
        if run_id in first:
            by_key[first[run_id][0][2]].append(first[run_id][1])
    return [_finding(evidence, key, found, metrics) for key, found in by_key.items()]


def _finding(evidence: Evidence, key: str, found: list[History], metrics: dict[str, set[str]]) -> Finding:
    clauses = [
        f"{evidence.name(one.run_id)}, {_kind(one)} first at step {number(one.odd_step)}, "
        f"in {number(one.nan + one.infinite)} of {count(one.points, 'point')}"
        + (f", like {listed(sorted(metrics[one.run_id] - {key}), 3)}" if len(metrics[one.run_id]) > 1 else "")
        for one in found
    ]
    numbers = [
        Number(what, value, one.run_id)
        for one in found[:NAMED]
        for what, value in (
            ("first step", one.odd_step),
            ("points not finite", one.nan + one.infinite),
            ("points", one.points),
        )
    ]
    return Finding(
        "non_finite",
        "problem" if any(one.bad_points and one.last_step < one.end_step for one in found) else "warning",
        f"{key} has values that are not finite in {count(len(found), 'run')} of {len(evidence.run_ids):,}: "
        f"{parts(clauses)}.",
        tuple(one.run_id for one in found),
        (key,),
        tuple(one.odd_step for one in found),
        tuple(numbers),
        "curves",
        code.history_summary(evidence, key, (one.run_id for one in found[:NAMED])),
    )


def _kind(one: History) -> str:
    return "NaN and infinite" if one.nan and one.infinite else "NaN" if one.nan else "infinite"


RULE = Rule("non_finite", "a metric of the model has a NaN or infinite value", "", Thresholds(), find)
