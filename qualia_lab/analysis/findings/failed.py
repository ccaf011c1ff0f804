"""Runs that did not end well."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Number, Rule, duration, listed
from qualia_lab.counts import counted
from qualia_lab.study.statuses import FAILED, FINISHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.findings.evidence import Evidence

_FEWEST_TIMES = 3  # runs of which it is known how long they took


@dataclass(frozen=True)
class Thresholds:
    """fewest: failed or killed runs, from which on they are worth a word."""

    fewest: int = 1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding: the runs whose status is FAILED or KILLED, but those that another run has continued."""
    continued = evidence.study.continued
    found = tuple(
        run_id for run_id in evidence.run_ids if evidence.status[run_id] in FAILED and run_id not in continued
    )
    if not found or len(found) < thresholds.fewest:
        return []
    killed = all(evidence.status[run_id] == "KILLED" for run_id in found)
    failed = all(evidence.status[run_id] == "FAILED" for run_id in found)
    what = "was killed" if killed else "failed" if failed else "failed or was killed"
    if len(found) > 1:
        what = what.replace("was", "were")
    when, numbers = _when(evidence, found)
    return [
        Finding(
            "failed",
            "problem",
            "warning",
            f"{len(found):,} of {counted(len(evidence.run_ids), 'run')} {what}: {listed(map(evidence.name, found))}"
            f"{when}.",
            found,
            numbers=numbers,
            section="overview",
            code="runs.failures.endings()",
            next="Read how their logs end: the debug template shows it, and what sets these runs apart.",
        )
    ]


def _when(evidence: Evidence, found: Sequence[str]) -> tuple[str, tuple[Number, ...]]:
    """`; half of them ended within 12 s, where half of those that finished took 40 min or longer`; "" where alike."""
    took = _seconds(evidence)
    failed = [took[run_id] for run_id in found if run_id in took]
    finished = [took[run_id] for run_id, status in evidence.status.items() if status == FINISHED and run_id in took]
    if len(failed) < _FEWEST_TIMES or len(finished) < _FEWEST_TIMES:
        return "", ()
    numbers = Number("median of failed, s", median(failed)), Number("median of finished, s", median(finished))
    if numbers[0].value > numbers[1].value / 2:
        return "", ()
    return (
        f"; half of them ended within {duration(numbers[0].value)}, where half of those that finished took "
        f"{duration(numbers[1].value)} or longer"
    ), numbers


def _seconds(evidence: Evidence) -> dict[str, float]:
    """How long each run took, of those with a start and a later end."""
    columns = (evidence.tables.runs.column(name).to_pylist() for name in ("run_id", "start_time", "end_time"))
    return {
        run_id: (end - start) / 1000
        for run_id, start, end in zip(*columns, strict=True)
        if start is not None and end is not None and end > start > 0
    }


RULE = Rule("failed", "a run's status is FAILED or KILLED", "", Thresholds(), find)
