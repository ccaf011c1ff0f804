"""Runs that went on after they had nothing more to gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, count, number, parts

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """part: the last part of a history's points.  gain: share of its whole gain that is nothing. fewest_points.

    chance: of a history to look like this when it is only noise.
    """

    part: float = 0.5
    gain: float = 0.01
    fewest_points: int = 20
    chance: float = 0.001


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding, about the metric that leads: its best value hardly moved in the last part of the points.

    Of noise around a constant the best point lies in the first half half of the time, and there was no gain to lose:
    only a history that is smoother than noise is asked.
    """
    key = evidence.lead_curve
    if key is None:
        return []
    found = [
        one
        for one in evidence.histories(key)
        if one.points >= thresholds.fewest_points
        and not one.bad_points
        and one.gain > 0
        and abs(one.best - one.early_best) <= thresholds.gain * one.gain
        and one.chance < thresholds.chance
    ]
    if not found:
        return []
    share = number(100 * thresholds.part)
    clauses = [
        f"{evidence.name(one.run_id)}, {number(one.early_best)} before that and {number(one.best)} in all"
        for one in found
    ]
    numbers = [
        Number(what, value, one.run_id)
        for one in found[:NAMED]
        for what, value in (("best before", one.early_best), ("best", one.best))
    ]
    sentence = (
        f"The last {share} % of the points brought no better {key} in {count(len(found), 'run')} "
        f"of {len(evidence.run_ids):,} (less than {number(100 * thresholds.gain)} % of the gain): {parts(clauses, 2)}."
    )
    return [
        Finding(
            "plateau",
            "note",
            sentence,
            tuple(one.run_id for one in found),
            (key,),
            tuple(one.best_step for one in found),
            tuple(numbers),
            "curves",
            code.history_summary(evidence, key, (one.run_id for one in found[:NAMED])),
        )
    ]


RULE = Rule(
    "plateau",
    "the last part of a run's points brought hardly any of its gain in the metric that leads, whose course is no noise",
    "von Neumann 1941",
    Thresholds(),
    find,
)
