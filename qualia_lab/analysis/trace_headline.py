"""The headline of a notebook of traces: how many failed, what went wrong, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Number, number
from qualia_lab.analysis.headline import Headline
from qualia_lab.counts import counted, none_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.analysis.trace_summary import TraceSummary

_MOST_TROUBLES = 2  # findings that are quoted
_WIDTH = 250  # characters of a finding that is quoted


def headline_of_traces(
    summary: TraceSummary, findings: Sequence[Finding], most_frequent: str = "", over: str = ""
) -> Headline:
    """Summarise traces and findings; nothing is computed that neither of them contains.

    Args:
        summary: the traces in numbers.
        findings: the findings, sorted as `find_findings` sorts them.
        most_frequent: a sentence on the most frequent error; "" for none.
        over: the traces that were examined for findings, such as `latest 20,000 of 30,000 traces`; "" for all of them.
    """
    if not summary.traces:
        return Headline(("There are no traces.",))
    answer = next((one for one in findings if one.kind == "answer"), None)
    troubles = [one for one in findings if one.kind == "problem" and one.severity != "note"]
    quoted = [_short(one.sentence) for one in troubles[:_MOST_TROUBLES]]
    if quoted and over:
        quoted[0] = f"Among the {over}: {quoted[0]}"
    advised = next((one.next for one in (*troubles, *findings) if one.next), "")
    if not troubles and summary.failed:
        advised = "Read a trace of each kind of error, with the inputs and outputs of its spans."
    return Headline(
        lead=(failed_of(summary), *filter(None, (most_frequent, answer.sentence if answer else ""))),
        trouble=" ".join(quoted),
        next=advised,
        numbers=(Number("failed", summary.failed), Number("traces", summary.traces)),
    )


def _short(sentence: str) -> str:
    """The first sentence of a long finding, or the first clauses of a long list of them."""
    if len(sentence) <= _WIDTH:
        return sentence
    first, dot, _ = sentence.partition(". ")
    place = first.rfind("; ", 0, _WIDTH)
    return f"{first[:place]}; more in the findings." if len(first) > _WIDTH and place > 0 else first + dot.strip()


def failed_of(summary: TraceSummary) -> str:
    """`28 of 480 traces failed (5.8 %), 3 have not finished.`."""
    unfinished = f"; {summary.unfinished:,} {'has' if summary.unfinished == 1 else 'have'} not finished"
    ending = f"{unfinished}." if summary.unfinished else "."
    if not summary.failed:
        return f"{none_of(summary.traces, 'trace')} failed{ending}"
    share = _percent(summary.failed, summary.traces)
    return f"{summary.failed:,} of {counted(summary.traces, 'trace')} failed ({share}){ending}"


def _percent(part: int, whole: int) -> str:
    """`5.8 %`; some are never `0 %`, and all but some never `100 %`."""
    share = round(100 * part / whole, 1)
    if 0 < part < whole and share in (0, 100):
        return "under 0.1 %" if share == 0 else "over 99.9 %"
    return f"{number(share)} %"
