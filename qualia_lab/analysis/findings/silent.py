"""Runs that finished without logging a metric."""

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
    """Thresholds of the rule.

    Attributes:
        fewest: Minimum number of runs without a metric.
    """

    fewest: int = 1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding: finished runs without any metric of the model, while similar runs have some.

    Parents and continued runs need no metric. Runs are similar if they share half of their params: a run that only sets
    up a session, or holds what other runs wrote, shares few.
    """
    study = evidence.study
    without = [
        run_id
        for run_id in evidence.metrics.without()
        if evidence.status[run_id] == FINISHED and run_id not in study.parents and run_id not in study.continued
    ]
    if not without:
        return []
    param_sets = {
        frozenset(evidence.params[run_id]) for run_id in evidence.run_ids if evidence.metrics.how_many(run_id)
    }
    run_ids = tuple(run_id for run_id in without if _is_similar(frozenset(evidence.params[run_id]), param_sets))
    if not run_ids or len(run_ids) < thresholds.fewest:
        return []
    others = len(without) - len(run_ids)
    rest = f"; {others:,} more {'has' if others == 1 else 'have'} none either, and other params" if others else ""
    return [
        Finding(
            "silent",
            "problem",
            "warning",
            f"{len(run_ids):,} of {counted(len(evidence.run_ids), 'run')} finished without any metric of the model, "
            f"though runs with similar params have some: {listed(map(evidence.name, run_ids))}{rest}.",
            run_ids,
            section="overview",
            next="Check whether they stopped before the first evaluation, or log under other names or in another run.",
            code='runs.overview()[lambda rows: (rows["metrics"] == 0) & rows["status"].str.endswith("finished")]',
        )
    ]


def _is_similar(keys: frozenset[str], param_sets: Collection[frozenset[str]]) -> bool:
    """Whether one of these sets of params shares at least half of its union with `keys`."""
    return any(2 * len(keys & param_set) >= len(keys | param_set) for param_set in param_sets)


RULE = Rule(
    "silent",
    "a run is FINISHED and has no metrics other than system metrics, while similar runs have some",
    "",
    Thresholds(),
    find,
)
