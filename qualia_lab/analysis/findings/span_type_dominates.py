"""One type of spans that takes most of the time of traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from qualia_lab.analysis.findings.finding import Finding, Number, Rule, duration, number
from qualia_lab.analysis.findings.judged import latest_spans, of_latest
from qualia_lab.analysis.span_time import time_by_type
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        share: Share of the own time of all spans.
        fewest: Minimum number of traces with spans.
    """

    share: float = 0.75
    fewest: int = 20


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding: the type with most of the own time, if there are other types."""
    spans, asked = latest_spans(evidence)
    traces = pc.count_distinct(spans.column("trace_id")).as_py()
    if traces < thresholds.fewest:
        return []
    first, *others = time_by_type(spans)
    if not others or first.share < thresholds.share or first.type == "UNKNOWN":
        return []
    return [
        Finding(
            "span_type_dominates",
            "relation",
            "note",
            f"Spans of type {one_line(first.type, 40)} take {number(round(100 * first.share, 1))} % of the time of all "
            f"spans {of_latest(evidence, asked)}: {duration(first.own_seconds)} in {counted(first.spans, 'span')}, "
            "without the time of the spans that they call.",
            numbers=(
                Number("share, %", round(100 * first.share, 1)),
                Number("own time, s", first.own_seconds),
                Number("spans", first.spans),
                Number("traces", asked),
            ),
            section="trace_latency",
            next=f"To make traces faster, start with these spans: all others together take "
            f"{number(round(100 - 100 * first.share, 1))} %.",
        )
    ]


RULE = Rule(
    "span_type_dominates",
    "the spans of one type take most of the time of traces, without that of the spans that they call",
    "",
    Thresholds(),
    find,
)
