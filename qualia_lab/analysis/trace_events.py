"""What happened to traces between two looks at them: new ones, ones that ended or failed, and new feedback."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from qualia_lab.analysis.trace_summary import FAILED, UNFINISHED
from qualia_lab.counts import and_more, counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.genai_tables import TraceTables

Kind = Literal["traces", "new_traces", "traces_ended", "feedback", "traces_gone", "finding"]
_NAMED = 3  # failed traces that a sentence names


@dataclass(frozen=True)
class SeenTraces:
    """Traces as they were seen: the state of each, and the ids of their feedback and expectations, by trace id."""

    states: Mapping[str, str] = field(default_factory=dict)
    assessments: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class TraceEvent:
    """Something that happened to traces.

    Attributes:
        kind: what happened; `traces` says what was there at the first look, `finding` what stands out since.
        sentence: plain text, with names from the store.
        number: how many traces; None for a finding.
        failed: how many of them failed; None where that is not counted.
        rule: the rule of a finding.
    """

    kind: Kind
    sentence: str
    number: int | None = None
    failed: int | None = None
    rule: str = ""


def see_traces(tables: TraceTables) -> SeenTraces:
    """Return what is seen of traces.

    Args:
        tables: the traces with their assessments.
    """
    columns = (tables.traces.column(name).to_pylist() for name in ("trace_id", "state"))
    found: dict[str, set[str]] = {}
    of_assessments = (tables.assessments.column(name).to_pylist() for name in ("trace_id", "assessment_id"))
    for trace_id, assessment_id in zip(*of_assessments, strict=True):
        found.setdefault(trace_id, set()).add(assessment_id)
    states = {trace_id: state or "" for trace_id, state in zip(*columns, strict=True)}
    return SeenTraces(states, {trace_id: frozenset(ids) for trace_id, ids in found.items()})


def first_trace_events(seen: SeenTraces) -> tuple[TraceEvent, ...]:
    """Say how many traces there are at the first look."""
    states = Counter(seen.states.values())
    failed, unfinished = states[FAILED], sum(states[state] for state in UNFINISHED)
    sentence = f"{counted(len(seen.states), 'trace')}, {failed:,} of them failed"
    sentence += f", {unfinished:,} not finished." if unfinished else "."
    return (TraceEvent("traces", sentence, len(seen.states), failed),)


def trace_events_between(before: SeenTraces, now: SeenTraces) -> Iterator[TraceEvent]:
    """Yield what happened between two looks: new traces first, then what happened to the ones that were there.

    Args:
        before: the earlier look.
        now: the later look.
    """
    new = [trace_id for trace_id in now.states if trace_id not in before.states]
    if new:
        yield _of_states("new_traces", "new trace", new, now)
    ended = [
        trace_id
        for trace_id, state in before.states.items()
        if state in UNFINISHED and now.states.get(trace_id, state) not in UNFINISHED
    ]
    if ended:
        yield _of_states("traces_ended", "trace", ended, now, " ended")
    judged = [
        trace_id
        for trace_id, ids in now.assessments.items()
        if trace_id in before.states and trace_id in now.states and ids - before.assessments.get(trace_id, frozenset())
    ]
    if judged:
        sentence = f"{counted(len(judged), 'trace')} with new feedback or expectations."
        yield TraceEvent("feedback", sentence, len(judged))
    gone = len(before.states.keys() - now.states.keys())
    if gone:
        verb = "is" if gone == 1 else "are"
        yield TraceEvent("traces_gone", f"{counted(gone, 'trace')} {verb} no longer among these.", gone)


def _of_states(kind: Kind, noun: str, trace_ids: Sequence[str], now: SeenTraces, verb: str = "") -> TraceEvent:
    """`12 new traces, 2 of them failed: tr-1, tr-2.`."""
    failed = [trace_id for trace_id in trace_ids if now.states[trace_id] == FAILED]
    sentence = f"{counted(len(trace_ids), noun)}{verb}"
    if failed:
        which = "it" if len(trace_ids) == 1 else f"{len(failed):,} of them"
        sentence += f", {which} failed: {and_more([one_line(one, 60) for one in failed], _NAMED)}"
    return TraceEvent(kind, f"{sentence}.", len(trace_ids), len(failed))
