"""Runs that did not end well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Rule, count, listed
from qualia_lab.study.statuses import FAILED

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


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
    return [
        Finding(
            "failed",
            "problem",
            "warning",
            f"{len(found):,} of {count(len(evidence.run_ids), 'run')} {what}: {listed(map(evidence.name, found))}.",
            found,
            section="overview",
            code='runs.overview()["status"].value_counts()',
            next="Read how their logs end: the debug template shows it, and what sets these runs apart.",
        )
    ]


RULE = Rule("failed", "a run's status is FAILED or KILLED", "", Thresholds(), find)
