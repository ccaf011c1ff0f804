"""Runs that failed or were killed."""

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

_FEWEST_TIMES = 3  # runs of known duration


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest: Minimum number of failed or killed runs.
    """

    fewest: int = 1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding: the runs with status FAILED or KILLED, without those that another run continued."""
    continued = evidence.study.continued
    run_ids = tuple(
        run_id for run_id in evidence.run_ids if evidence.status[run_id] in FAILED and run_id not in continued
    )
    if not run_ids or len(run_ids) < thresholds.fewest:
        return []
    killed = all(evidence.status[run_id] == "KILLED" for run_id in run_ids)
    failed = all(evidence.status[run_id] == "FAILED" for run_id in run_ids)
    what = "was killed" if killed else "failed" if failed else "failed or was killed"
    if len(run_ids) > 1:
        what = what.replace("was", "were")
    when, numbers = _when(evidence, run_ids)
    return [
        Finding(
            "failed",
            "problem",
            "warning",
            f"{len(run_ids):,} of {counted(len(evidence.run_ids), 'run')} {what}: {listed(map(evidence.name, run_ids))}"
            f"{when}.",
            run_ids,
            numbers=numbers,
            section="overview",
            code="runs.failures.endings()",
            next="Read how their logs end: the debug template shows it, and what sets these runs apart.",
        )
    ]


def _when(evidence: Evidence, run_ids: Sequence[str]) -> tuple[str, tuple[Number, ...]]:
    """`; half of them ended within 12 s, where half of those that finished took 40 min or longer`; "" if similar."""
    seconds = _seconds(evidence)
    failed = [seconds[run_id] for run_id in run_ids if run_id in seconds]
    finished = [
        seconds[run_id] for run_id, status in evidence.status.items() if status == FINISHED and run_id in seconds
    ]
    if len(failed) < _FEWEST_TIMES or len(finished) < _FEWEST_TIMES:
        return "", ()
    numbers = Number("median of failed, s", median(failed)), Number("median of finished, s", median(finished))
    if numbers[0].value > numbers[1].value / 2:
        return "", ()
    return (
        f"; half of them ended within {duration(numbers[0].value)}, while half of those that finished took "
        f"{duration(numbers[1].value)} or longer"
    ), numbers


def _seconds(evidence: Evidence) -> dict[str, float]:
    """The duration in seconds of each run that has a start and a later end."""
    columns = (evidence.tables.runs.column(name).to_pylist() for name in ("run_id", "start_time", "end_time"))
    return {
        run_id: (end - start) / 1000
        for run_id, start, end in zip(*columns, strict=True)
        if start is not None and end is not None and end > start > 0
    }


RULE = Rule("failed", "a run's status is FAILED or KILLED", "", Thresholds(), find)
