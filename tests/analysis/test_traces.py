"""Summaries of traces and spans, with trees that no library writes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab import schema
from qualia_lab.analysis.model_usage import usage_by_model
from qualia_lab.analysis.repeated_calls import repeated_calls
from qualia_lab.analysis.span_columns import span_columns
from qualia_lab.analysis.span_time import own_times, time_by_type
from qualia_lab.analysis.span_tree import span_tree
from qualia_lab.analysis.telling_traces import telling_traces
from qualia_lab.analysis.trace_errors import error_kinds, message_kind
from qualia_lab.analysis.trace_summary import MOST_PERIODS, summarise_traces
from qualia_lab.tables import table_of

from .genai_samples import START, feedback, span, spans_of, trace, traces_of

IDS = st.sampled_from(["a", "b", "c", "d", "e", "f", ""])
TREES = st.lists(st.tuples(IDS, st.none() | IDS, st.none() | st.integers(0, 9)), max_size=12)
TIMED = st.lists(
    st.tuples(
        st.sampled_from("tu"), IDS, st.none() | IDS, st.none() | st.integers(0, 20), st.none() | st.integers(0, 20)
    ),
    max_size=14,
)


@given(TREES)
def test_a_tree_has_every_span_once_below_its_parent(rows):
    ids, parents, starts = ([row[place] for row in rows] for place in range(3))
    tree = span_tree(ids, parents, starts)
    assert sorted(one.row for one in tree) == list(range(len(rows)))
    depth = {one.row: one.depth for one in tree}
    seen = set()
    for one in tree:
        if one.parent is None:
            assert one.depth == 0
            assert bool(one.remark) == bool(parents[one.row])
        else:
            assert one.parent in seen
            assert ids[one.parent] == parents[one.row]
            assert one.depth == depth[one.parent] + 1
        seen.add(one.row)


def test_a_tree_says_which_spans_have_lost_their_parents():
    ids, parents = ["root", "child", "orphan", "x", "y", "self"], [None, "root", "gone", "y", "x", "self"]
    tree = span_tree(ids, parents, [1, 2, 3, 5, 4, 6])
    assert [(ids[one.row], one.depth, one.remark) for one in tree] == [
        ("root", 0, ""),
        ("child", 1, ""),
        ("orphan", 0, "its parent is missing"),
        ("self", 0, "its parent is missing"),
        ("y", 0, "its parents form a cycle"),
        ("x", 1, ""),
    ]


def covered(rows, parent, own):
    """The nanoseconds of a span in which a child ran, counted one by one."""
    start, end = rows[parent]["start_ns"], rows[parent]["end_ns"]
    children = [
        row
        for place, row in enumerate(rows)
        if own[place] == parent and None not in (row["start_ns"], row["end_ns"]) and row["end_ns"] >= row["start_ns"]
    ]
    return sum(any(child["start_ns"] <= tick < child["end_ns"] for child in children) for tick in range(start, end))


@given(TIMED)
def test_own_time_is_what_no_child_covers(drawn):
    rows = [span(t, s, p, (start, end)) for t, s, p, start, end in drawn]
    spans = span_columns(spans_of(rows))
    parents = spans.parent.tolist()
    for place, row in enumerate(rows):
        first = [
            other
            for other, one in enumerate(rows)
            if row["parent_id"] is not None
            and one["trace_id"] == row["trace_id"]
            and one["span_id"] == row["parent_id"]
        ]
        assert parents[place] == (first[0] if first and first[0] != place else -1)
    own = own_times(spans)
    for place, row in enumerate(rows):
        if None in (row["start_ns"], row["end_ns"]) or row["end_ns"] < row["start_ns"]:
            assert own[place] == 0
        else:
            expected = row["end_ns"] - row["start_ns"] - covered(rows, place, parents)
            assert own[place] == pytest.approx(expected)


def test_time_by_type_counts_overlapping_children_once():
    rows = [
        span("t", "root", None, (0, 10_000_000_000), type="AGENT"),
        span("t", "a", "root", (1_000_000_000, 6_000_000_000), type="LLM"),
        span("t", "b", "root", (4_000_000_000, 8_000_000_000), type="LLM"),
        span("t", "c", "root", (9_000_000_000, None), type=None),
    ]
    times = {one.type: one for one in time_by_type(spans_of(rows))}
    assert (times["AGENT"].own_seconds, times["LLM"].own_seconds) == (3.0, 9.0)
    assert times["LLM"].share == 0.75
    assert (times["UNKNOWN"].spans, times["UNKNOWN"].untimed) == (1, 1)
    assert time_by_type(spans_of([])) == ()


def test_messages_that_differ_in_numbers_ids_and_quotes_are_of_one_kind():
    kinds = {
        message_kind(
            f"RateLimit: request 'req-{i}' of https://host/{i} to model can't be served, retry in {i}.5 s (id {i:032x})"
        )
        for i in (1, 23, 456)
    }
    assert kinds == {"RateLimit: request ‹text› of ‹url› to model can't be served, retry in ‹n› s (id ‹id›)"}
    assert message_kind("added face to facade") == "added face to facade"
    assert len(message_kind("x" * 10_000)) == 200


def test_an_error_is_counted_where_it_began():
    event = [{"name": "exception", "attributes": {"exception.type": "KeyError", "exception.message": "'a'"}}]
    rows = [
        *(span(t, "root", None, status="ERROR", status_message="it failed") for t in "tuv"),
        *(span(t, "search", "root", status="ERROR", status_message=f"no index {n}") for n, t in enumerate("tu")),
        span("v", "llm", "root", status="ERROR", events=json.dumps(event)),
        span("v", "fine", "root"),
    ]
    kinds = error_kinds(spans_of(rows))
    assert [(kind.span_name, kind.message, kind.trace_ids) for kind in kinds] == [
        ("search", "no index ‹n›", ("t", "u")),
        ("llm", "KeyError: ‹text›", ("v",)),
    ]


def test_usage_by_model_counts_a_call_once():
    usage = {"model": "large", "input_tokens": 100, "output_tokens": 10, "total_cost": 0.5}
    rows = [
        span("t", "chat", None, **usage),
        span("t", "sdk", "chat", **usage),
        span("t", "other", None, model="small", input_tokens=7),
        span("u", "chat", "gone", **usage),
    ]
    large, small = usage_by_model(spans_of(rows))
    assert (large.model, large.calls, large.traces, large.input_tokens, large.total_cost) == ("large", 2, 2, 200, 1.0)
    assert (small.input_tokens, small.output_tokens, small.without_cost) == (7, 0, 1)


def test_a_summary_counts_unfinished_traces_apart():
    rows = [trace(f"t{i}", duration=i * 100, request_time=START + i * 60_000, total_tokens=i) for i in range(1, 101)]
    rows += [
        trace("open", state="IN_PROGRESS", duration=10**9),
        trace("bad", state="ERROR", duration=None, request_time=None),
    ]
    found = summarise_traces(table_of(schema.TRACES, rows))
    durations = np.arange(1, 101) * 100
    assert (found.traces, found.failed, found.unfinished, found.without_time) == (102, 1, 1, 1)
    assert (found.latency.n, found.latency.longest) == (100, 10_000)
    assert (found.latency.p50, found.latency.p95) == pytest.approx(np.quantile(durations, (0.5, 0.95)))
    assert (found.total_tokens.total, found.total_tokens.without) == (5050, 2)
    assert sum(period.traces for period in found.periods) == 101
    assert len(found.periods) <= MOST_PERIODS
    assert all(period.end - period.start == 5 * 60_000 for period in found.periods)


@given(st.lists(st.none() | st.integers(-(2**62), 2**62), max_size=8))
def test_periods_hold_every_trace_with_a_possible_time(times):
    found = summarise_traces(
        table_of(schema.TRACES, [trace(str(i), request_time=time) for i, time in enumerate(times)])
    )
    assert sum(period.traces for period in found.periods) == len(times) - found.without_time
    assert len(found.periods) <= MOST_PERIODS


def test_repeated_calls_have_equal_inputs():
    rows = [span("t", f"s{i}", type="TOOL", name="search", inputs='{"q": 1, "k": 2}') for i in range(3)]
    rows += [span("t", "s9", type="TOOL", name="search", inputs='{"k": 2,"q": 1}', status="ERROR")]
    rows += [span("t", f"x{i}", type="TOOL", name="search", inputs=json.dumps({"q": i})) for i in range(5)]
    rows += [span("t", f"n{i}", type="TOOL", name="search", inputs=None) for i in range(5)]
    [call] = repeated_calls(spans_of(rows))
    assert (call.tool, call.calls, call.failed, call.is_retry) == ("search", 4, 1, False)


def test_telling_traces_say_why_they_were_chosen():
    rows = [trace(f"t{i}", duration=i * 1000, name="answer") for i in range(20)]
    rows[3]["state"] = "ERROR"
    judged = [feedback(f"t{i}", "correctness", i != 7) for i in range(20)]
    judged += [
        feedback(f"t{i}", "correctness", i != 9, source_type="HUMAN", source_id="ann", assessment_id=f"h{i}")
        for i in range(8, 12)
    ]
    spans = spans_of([span("t3", "search", status="ERROR", status_message="no index")])
    found = {one.trace_id: one.reasons for one in telling_traces(traces_of(rows, judged), error_kinds(spans))}
    assert found["t3"] == ("search failed: no index",)
    assert found["t19"] == ("the slowest: 19 s",)
    assert found["t7"] == ("correctness: false",)
    assert found["t9"] == ("judge and human disagree on correctness",)
    assert len(telling_traces(traces_of(rows, judged), most=2)) == 2
    assert telling_traces(traces_of([])) == ()
    assert math.isfinite(len(found))
