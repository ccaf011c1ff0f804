"""Single jumps in a curve that come back."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, count, number, parts

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence, History


@dataclass(frozen=True)
class Thresholds:
    """deviations: robust standard deviations of the step-to-step differences.  fewest_points: of a history."""

    deviations: float = 10.0
    fewest_points: int = 20


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per metric, each run under the one in which its spike is largest.

    The differences of neighbouring points have a median and a MAD (Iglewicz and Hoaglin 1993, How to Detect and Handle
    Outliers); a spike is a difference in the worse direction that lies `deviations` times 1.4826 MAD from the median,
    is at least a quarter of the history's gain, and of which half is gone within ten points.
    """
    largest: dict[str, tuple[float, str, History]] = {}
    for key in evidence.keys:
        if evidence.greater_is_better[key] is None:
            continue
        for one in evidence.histories(key, evidence.series.spikes > 0):
            is_spiked = (
                one.spikes and one.points >= thresholds.fewest_points and one.spike_size >= thresholds.deviations
            )
            if is_spiked and (one.run_id not in largest or one.spike_size > largest[one.run_id][0]):
                largest[one.run_id] = (one.spike_size, key, one)
    by_key: dict[str, list[History]] = defaultdict(list)
    for _, key, one in sorted(largest.values(), key=lambda row: -row[0]):
        by_key[key].append(one)
    return [_finding(evidence, key, found) for key, found in by_key.items()]


def _finding(evidence: Evidence, key: str, found: list[History]) -> Finding:
    clauses = [
        f"{evidence.name(one.run_id)} at step {one.spike_step:,}, {number(one.spike_before)} → "
        f"{number(one.spike_value)}, {number(one.spike_size)} robust standard deviations"
        + (f", the largest of {one.spikes:,}" if one.spikes > 1 else "")
        for one in found
    ]
    numbers = [
        Number(what, value, one.run_id)
        for one in found[:NAMED]
        for what, value in (
            ("step", one.spike_step),
            ("before", one.spike_before),
            ("value", one.spike_value),
            ("size", one.spike_size),
            ("spikes", one.spikes),
        )
    ]
    return Finding(
        "spikes",
        "warning",
        f"{key} spikes and comes back in {count(len(found), 'run')} of {len(evidence.run_ids):,}: {parts(clauses)}.",
        tuple(one.run_id for one in found),
        (key,),
        tuple(one.spike_step for one in found),
        tuple(numbers),
        "curves",
        code.history_summary(evidence, key, (one.run_id for one in found[:NAMED])),
    )


RULE = Rule(
    "spikes",
    "a metric jumps the wrong way, far outside its own differences, and comes back",
    "Iglewicz and Hoaglin 1993",
    Thresholds(),
    find,
)
