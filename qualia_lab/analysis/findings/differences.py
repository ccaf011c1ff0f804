"""Configurations that differ for real from the best one, and not by the luck of their seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.baseline import FEWEST_RUNS, compare_to_baseline
from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, n_numbers, n_text, number, parts
from qualia_lab.analysis.groups import group_runs
from qualia_lab.analysis.two_samples import holm
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.baseline import Difference
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.groups import Group


@dataclass(frozen=True)
class Thresholds:
    """alpha: of the corrected p.  fewest: runs of either configuration, three at least."""

    alpha: float = 0.05
    fewest: int = FEWEST_RUNS


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding, about the primary metric: what the best mean is really apart from.

    Paired by seed, Welch or Mann-Whitney as `analysis.baseline` chooses. The best is chosen after looking, so the p
    values are corrected for all pairs of configurations (Holm 1979), and not for those with the best one alone.
    """
    key = evidence.primary_metric
    better = evidence.greater_is_better.get(key or "")
    if key is None or better is None:
        return []
    groups = [
        group
        for group in group_runs(
            evidence.tables, key, evidence.seeds, greater_is_better=better, statuses=evidence.statuses
        )
        if len(group.values) >= max(FEWEST_RUNS, thresholds.fewest)
    ]
    if len(groups) < 2:
        return []
    best = max(groups, key=lambda group: (group.mean or 0.0) * (1 if better else -1))
    differences = compare_to_baseline(groups, best).differences
    pairs = len(groups) * (len(groups) - 1) // 2
    unasked = [1.0] * (pairs - len(differences))
    corrected = holm([*(one.comparison.p for one in differences), *unasked])
    real = [
        one
        for one, p in zip(differences, corrected, strict=False)
        if one.verdict == "worse" and p is not None and p < thresholds.alpha
    ]
    return [_finding(evidence, key, best, real)] if real else []


def _finding(evidence: Evidence, key: str, best: Group, real: list[Difference]) -> Finding:
    real = sorted(real, key=lambda one: -abs(one.comparison.difference or 0.0))
    clauses, numbers = [], n_numbers(best)
    for one in real:
        found = one.comparison
        values = [value for value in (found.difference, found.low, found.high) if value is not None]
        interval = f", 95 % {number(values[1])} to {number(values[2])}" if len(values) == 3 else ""
        clauses.append(f"{_label(one.group, best)} ({number(values[0])}{interval}, {n_text(one.group)})")
        if len(clauses) <= NAMED:
            numbers += [*(Number("difference", value) for value in values), *n_numbers(one.group)]
    return Finding(
        "differences",
        "note",
        f"{_label(best, real[0].group)} ({n_text(best)}) has a better mean {key}, by more than luck, than "
        f"{parts(clauses)}.",
        (*best.run_ids, *(run_id for one in real for run_id in one.group.run_ids)),
        (key,),
        numbers=tuple(numbers),
        section="baseline",
        code=f"runs.compare_to_baseline({code.metric(evidence, key)}, "
        f"baseline={code.run_id(evidence, best.run_ids[0])}{code.chosen(evidence)})",
    )


def _label(group: Group, other: Group) -> str:
    """The params that set a configuration apart from another, at most four."""
    theirs = dict(other.params)
    apart = [(name, value) for name, value in group.params if theirs.get(name) != value]
    said = [f"{name}={one_line(value, 30)}" for name, value in apart if value is not None]
    said += [f"no {name}" for name, value in apart if value is None]
    return ", ".join(said[:4]) + (", …" if len(said) > 4 else "")


RULE = Rule(
    "differences",
    "the best configuration's mean is further from another's than their seeds explain, with three runs or more in each",
    "Welch 1947; Holm 1979",
    Thresholds(),
    find,
)
