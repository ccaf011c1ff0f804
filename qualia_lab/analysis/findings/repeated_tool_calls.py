"""Traces that call a tool again and again with the same input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Number, Rule
from qualia_lab.analysis.findings.judged import MOST_IDS, latest_spans, of_latest
from qualia_lab.analysis.repeated_calls import repeated_calls
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        calls: Minimum number of calls of a tool with the same input in a trace.
        traces: Minimum number of traces with such calls.
    """

    calls: int = 3
    traces: int = 1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most two findings: calls repeated after errors (retries), and calls repeated although they worked (loops)."""
    spans, asked = latest_spans(evidence)
    repeated = repeated_calls(spans, thresholds.calls)
    findings = []
    for is_retry in (False, True):
        calls = [one for one in repeated if one.is_retry == is_retry]
        trace_ids = tuple(dict.fromkeys(one.trace_id for one in calls))
        if len(trace_ids) < max(1, thresholds.traces):
            continue
        most = calls[0]
        how = "where all but at most one failed" if is_retry else "although it had answered"
        subject = f"{len(trace_ids):,} {of_latest(evidence, asked)} {'calls' if len(trace_ids) == 1 else 'call'}"
        findings.append(
            Finding(
                "repeated_tool_calls",
                "problem",
                "note" if is_retry else "warning",
                f"{subject} a tool {thresholds.calls:,} times or more with the same input, {how}: "
                f"{one_line(most.tool, 60)} up to {most.calls:,} times, in {one_line(most.trace_id, 60)}.",
                numbers=(
                    Number("traces with repeated calls", len(trace_ids)),
                    Number("traces", asked),
                    Number("least calls", thresholds.calls),
                    Number("calls", most.calls),
                ),
                section="trace_errors",
                next="Limit the retries and wait longer between them."
                if is_retry
                else "Read one of these traces: does the model see the tool's answer, and when does it stop?",
                trace_ids=trace_ids[:MOST_IDS],
            )
        )
    return findings


def unexamined(evidence: Evidence, thresholds: Thresholds) -> list[str]:
    """Traces whose spans were not read, because only the latest ones are."""
    del thresholds
    if evidence.traces is None or evidence.read_spans is None:
        return []
    rest = evidence.traces.traces.num_rows - latest_spans(evidence)[1]
    return [f"the spans of the {counted(rest, 'earliest trace', 'earliest traces')}"] if rest > 0 else []


RULE = Rule(
    "repeated_tool_calls",
    "a trace calls a tool several times with the same input, after errors or although it had answered",
    "",
    Thresholds(),
    find,
    unexamined,
)
