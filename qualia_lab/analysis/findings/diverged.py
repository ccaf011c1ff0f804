"""Losses that grow without bound or stop being numbers."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, count, number, parts

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence, History

_LOSS = re.compile(
    r"(?i).*(loss|mse|mae)|err(or)?|rmse|mape|msle|nll|perplexity|ppl|deviance|brier|(cross_?)?entropy|objective|cost"
)
_WORD = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class Thresholds:
    """growth: times its start that a loss has to end above.  fewest_points: of a history that is looked at."""

    growth: float = 10.0
    fewest_points: int = 3


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per loss in which it began, with the first bad step: from it on every point is bad.

    A point is bad when it is not finite, or above `growth` times the larger of the history's first and lowest value.
    One high point at the very end does not count, one that is not finite does.
    """
    first: dict[str, tuple[int, str, History]] = {}
    for key in evidence.keys:
        if evidence.greater_is_better[key] is False and is_loss(key):
            for one in evidence.histories(key, evidence.series.bad_points > 0):
                if is_diverged(one, thresholds):
                    first[one.run_id] = min(first.get(one.run_id, (one.bad_step, key, one)), (one.bad_step, key, one))
    by_key: dict[str, list[History]] = defaultdict(list)
    for run_id in evidence.run_ids:
        if run_id in first:
            by_key[first[run_id][1]].append(first[run_id][2])
    return [_finding(evidence, key, found, thresholds.growth) for key, found in by_key.items()]


def is_loss(key: str) -> bool:
    """Whether the metric is a loss or an error, by a word of its name; the likes of a duration are not."""
    return any(_LOSS.fullmatch(word) for word in _WORD.split(key))


def is_diverged(one: History, thresholds: Thresholds) -> bool:
    """Whether a history of a loss ends bad; one high point at the very end does not count."""
    if one.points < thresholds.fewest_points or not one.bad_points:
        return False
    return one.bad_points > 1 or one.last_step < one.end_step


def _finding(evidence: Evidence, key: str, found: list[History], growth: float) -> Finding:
    clauses, numbers = [], []
    above = f"above {number(growth)} times its start"
    for one in found:
        name, start = evidence.name(one.run_id), f"from step {one.bad_step:,} on"
        numbers.append(Number("first bad step", one.bad_step, one.run_id))
        if one.last_step >= one.end_step:
            clauses.append(f"{name} {above} {start} ({number(one.first)} → {number(one.last)})")
            numbers += [Number("first", one.first, one.run_id), Number("last", one.last, one.run_id)]
        elif one.nan + one.infinite == one.bad_points:
            clauses.append(f"{name} not finite {start}")
        else:
            clauses.append(f"{name} {above} or not finite {start}")
    named = {one.run_id for one in found[:NAMED]}
    return Finding(
        "diverged",
        "problem",
        f"{key} diverges in {count(len(found), 'run')} of {len(evidence.run_ids):,}: {parts(clauses)}.",
        tuple(one.run_id for one in found),
        (key,),
        tuple(one.bad_step for one in found),
        tuple(entry for entry in numbers if entry.run_id in named),
        "curves",
        code.history_summary(evidence, key, (one.run_id for one in found[:NAMED])),
    )


RULE = Rule(
    "diverged",
    "a loss ends not finite, or at many times its start, and does not come back",
    "",
    Thresholds(),
    find,
)
