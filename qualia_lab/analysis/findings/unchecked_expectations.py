"""Expectations on traces without any feedback, which nothing has compared with what was answered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.assessments import assessments_that_count
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, listed
from qualia_lab.analysis.findings.judged import MOST_IDS
from qualia_lab.analysis.trace_summary import FAILED
from qualia_lab.counts import counted
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest: Minimum number of traces.
    """

    fewest: int = 1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding: the traces that did not fail, have expectations and no valid feedback.

    Of a trace with feedback nothing is said: which expectation a judge used is not recorded.
    """
    if evidence.traces is None:
        return []
    failed = set(rows_with(evidence.traces.traces, "state", [FAILED]).column("trace_id").to_pylist())
    expected = [
        one for one in assessments_that_count(evidence.traces.assessments, "expectation") if one.trace_id not in failed
    ]
    if not expected:
        return []
    judged = {one.trace_id for one in assessments_that_count(evidence.traces.assessments) if not one.error}
    with_any = dict.fromkeys(one.trace_id for one in expected)
    without = tuple(trace_id for trace_id in with_any if trace_id not in judged)
    if len(without) < max(1, thresholds.fewest):
        return []
    unjudged = set(without)
    names = [name for name, _ in Counter(one.name for one in expected if one.trace_id in unjudged).most_common()]
    has = "has" if len(without) == 1 else "have"
    return [
        Finding(
            "unchecked_expectations",
            "problem",
            "note",
            f"{len(without):,} of {counted(len(with_any), 'trace')} with expectations ({listed(names)}) {has} no "
            "feedback: nothing recorded compares them with the answer.",
            keys=tuple(names),
            numbers=(Number("without feedback", len(without)), Number("with expectations", len(with_any))),
            section="evaluations",
            next="Evaluate these traces with a scorer that reads the expectations, such as MLflow's Correctness.",
            trace_ids=without[:MOST_IDS],
        )
    ]


RULE = Rule(
    "unchecked_expectations",
    "traces that did not fail have expectations and no valid feedback of anybody",
    "",
    Thresholds(),
    find,
)
