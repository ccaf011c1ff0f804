"""Runs that finished and left no metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Rule, listed
from qualia_lab.counts import counted
from qualia_lab.study.statuses import FINISHED

if TYPE_CHECKING:
    from collections.abc import Collection

    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """fewest: silent runs, from which on they are worth a word."""

    fewest: int = 1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding: finished runs without any metric of the model, among others of their kind that have some.

    Parents and continued runs need none. Of the same kind are runs that share half of their params: one that only sets
    up a session, or holds what others wrote, shares few.
    """
    study = evidence.study
    without = [
        run_id
        for run_id in evidence.run_ids
        if evidence.status[run_id] == FINISHED
        and not evidence.metrics.how_many(run_id)
        and run_id not in study.parents
        and run_id not in study.continued
    ]
    if not without:
        return []
    kinds = {frozenset(evidence.params[run_id]) for run_id in evidence.run_ids if evidence.metrics.how_many(run_id)}
    found = tuple(run_id for run_id in without if _is_of_a_kind(frozenset(evidence.params[run_id]), kinds))
    if not found or len(found) < thresholds.fewest:
        return []
    return [
        Finding(
            "silent",
            "problem",
            "warning",
            f"{len(found):,} of {counted(len(evidence.run_ids), 'run')} finished without any metric of the model: "
            f"{listed(map(evidence.name, found))}.",
            found,
            section="overview",
            next="Check whether they stopped before the first evaluation, or log under other names or in another run.",
            code='runs.overview()[lambda rows: (rows["metrics"] == 0) & rows["status"].str.endswith("finished")]',
        )
    ]


def _is_of_a_kind(keys: frozenset[str], kinds: Collection[frozenset[str]]) -> bool:
    """Whether some of these sets of params share half of theirs with it, or nothing has any."""
    return any(2 * len(keys & kind) >= len(keys | kind) for kind in kinds)


RULE = Rule(
    "silent",
    "a run is FINISHED and has no metric but those of the machine, while others of its kind have some",
    "",
    Thresholds(),
    find,
)
