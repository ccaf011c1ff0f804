"""The configuration that did best: by its mean over seeds where there are several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, count, listed, n_numbers, n_text, number
from qualia_lab.analysis.groups import finite_values, group_runs
from qualia_lab.escaping import one_line
from qualia_lab.study.statuses import FINISHED

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.groups import Group


@dataclass(frozen=True)
class Thresholds:
    """fewest: runs of a configuration, from which on its mean is compared with others."""

    fewest: int = 2


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding, by the primary metric's latest values: who leads; not whether that is more than luck."""
    key = evidence.primary_metric
    better = evidence.greater_is_better.get(key or "")
    if key is None or better is None:
        return []
    groups = group_runs(evidence.tables, key, evidence.seeds, greater_is_better=better, statuses=evidence.statuses)
    enough = [group for group in groups if group.mean is not None and len(group.values) >= max(2, thresholds.fewest)]
    if len(enough) > 1:
        return [_of_groups(evidence, key, enough, better=better, fewest=max(2, thresholds.fewest))]
    values = finite_values(evidence.tables, key)
    return [_of_runs(evidence, key, values, better=better)] if len(values) > 1 else []


def _of_groups(evidence: Evidence, key: str, groups: list[Group], *, better: bool, fewest: float) -> Finding:
    def rank(group: Group) -> float:
        assert group.mean is not None
        return -group.mean if better else group.mean

    best = min(groups, key=rank)
    assert best.mean is not None
    bounds = (best.interval.low, best.interval.high) if best.interval else ()
    interval = f"95 % {number(bounds[0])} to {number(bounds[1])}, " if bounds else ""
    varies = {name for name, _ in best.params if len({dict(group.params)[name] for group in groups}) > 1}
    params = (f"{name}={one_line(value, 30)}" for name, value in best.params if name in varies and value is not None)
    config = listed(params, 6) or f"that of {evidence.name(best.run_ids[0])}"
    return Finding(
        "best_configuration",
        "note",
        f"Of {count(len(groups), 'configuration')} with several runs, the best mean {key} is "
        f"{number(best.mean)} ({interval}{n_text(best)}): {config}.",
        best.run_ids,
        (key,),
        numbers=(
            Number("configurations", len(groups)),
            Number("mean", best.mean),
            *(Number("bound of 95 %", bound) for bound in bounds),
            *n_numbers(best),
        ),
        section="groups",
        code=f"runs.groups({code.metric(evidence, key)}{code.chosen(evidence)})"
        f'[lambda rows: rows["n"] >= {number(fewest)}]',
    )


def _of_runs(evidence: Evidence, key: str, values: dict[str, float], *, better: bool) -> Finding:
    top = max(values.values()) if better else min(values.values())
    best = [run_id for run_id in evidence.run_ids if values.get(run_id) == top]
    status = {run_id: evidence.status[run_id] for run_id in best}
    names = [
        evidence.name(run_id) + ("" if word == FINISHED else f" ({word.lower()})") for run_id, word in status.items()
    ]
    return Finding(
        "best_configuration",
        "note",
        f"The best last {key} is {number(top)}, of {len(values):,} runs that have it: "
        f"{listed(names)}. No two configurations ran more than once, "
        "so how much of that is luck cannot be told.",
        tuple(best),
        (key,),
        numbers=(Number(key, top), Number("runs that have it", len(values))),
        section="metrics",
        code=f"runs.metrics[{code.metric(evidence, key)}].describe()",
    )


RULE = Rule(
    "best_configuration",
    "the primary metric has a known direction, and two runs have it",
    "Student 1908",
    Thresholds(),
    find,
)
