"""Runs whose best value is not their last one: what the table of latest values does not show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, count, number, parts

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """margin: share of the gain that is lost at the end.  noises: the same loss in the curve's own noise.

    chance: of a history to look like this when it is only noise.
    """

    margin: float = 0.1
    noises: float = 6.0
    chance: float = 0.001


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding, about the metric that leads.

    noises: the best of many noisy points lies some standard deviations beyond the rest by chance alone (3 of 300
    points), so the loss has to be twice that. The noise is estimated from the differences of neighbouring points.
    chance: noise that is often the same value, or now and then far off, seems small by that measure.
    """
    key = evidence.lead_curve
    if key is None:
        return []
    found = [
        one
        for one in evidence.histories(key)
        if one.best_step < one.last_step
        and one.gain > 0
        and one.lost > thresholds.margin * one.gain
        and one.lost > thresholds.noises * one.noise
        and one.chance < thresholds.chance
    ]
    if not found:
        return []
    found.sort(key=lambda one: -one.lost / one.gain)
    clauses = [
        f"{evidence.name(one.run_id)}, {number(one.best)} at step {one.best_step:,} and {number(one.last)} at the end"
        for one in found
    ]
    numbers = [
        Number(what, value, one.run_id)
        for one in found[:NAMED]
        for what, value in (("best", one.best), ("step of the best", one.best_step), ("last", one.last))
    ]
    return [
        Finding(
            "best_not_last",
            "warning",
            f"The last {key} is not the best in {count(len(found), 'run')} of {len(evidence.run_ids):,}: "
            f"{parts(clauses)}.",
            tuple(one.run_id for one in found),
            (key,),
            tuple(one.best_step for one in found),
            tuple(numbers),
            "curves",
            code.history_summary(evidence, key, (one.run_id for one in found[:NAMED])),
        )
    ]


RULE = Rule(
    "best_not_last",
    "a run's best value of the metric that leads came well before its last, and much of it was lost, not by noise",
    "von Neumann 1941",
    Thresholds(),
    find,
)
