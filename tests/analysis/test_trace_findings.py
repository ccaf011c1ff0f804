"""Findings and headline of traces without runs: what is said, of how many traces, and what is not examined."""

from __future__ import annotations

import json
import re

import pytest

from qualia_lab.analysis import spans_read as reading
from qualia_lab.analysis.cut_requests import inputs_of_cut_requests, judged_with_cut_request
from qualia_lab.analysis.evaluations import evaluations_of
from qualia_lab.analysis.findings.finding import Finding
from qualia_lab.analysis.spans_read import spans_read
from qualia_lab.analysis.trace_events import SeenTraces, first_trace_events, see_traces, trace_events_between
from qualia_lab.analysis.trace_headline import failed_of, headline_of_traces
from qualia_lab.analysis.trace_summary import summarise_traces
from qualia_lab.errors import QualiaLabError
from qualia_lab.runs import trace_findings
from qualia_lab.runs.finding_charts import trace_finding_charts
from tests.held_traces import START, held_traces, span, trace

from .genai_samples import feedback, spans_of, traces_of
from .genai_samples import span as bare_span
from .genai_samples import trace as row
from .planted_genai import evaluated, found, served

CUT = "x" * 997 + "..."


def _service(failing_from=120, n=200):
    """A service that begins to fail; one trace calls a tool again and again."""
    rows = [
        trace(f"tr-{i:03}", request_time=START + i * 60_000, state="ERROR" if i >= failing_from and i % 2 else "OK")
        for i in range(n)
    ]
    spans = [span("tr-007", f"s{i}", name="search", inputs='{"q": "refund"}') for i in range(5)]
    spans += [
        span(one["trace_id"], "root", status="ERROR", status_message="no answer after 30 s")
        for one in rows
        if one["state"] == "ERROR"
    ]
    return held_traces(rows, spans)


def test_the_headline_says_how_many_failed_what_went_wrong_and_what_to_do():
    traces = _service()
    lines = repr(traces.headline()).splitlines()
    assert lines[0] == "40 of 200 traces failed (20 %)."
    assert lines[1] == "The most frequent error began in step (no answer after ‹n› s), in 40 traces."
    assert lines[2].startswith("From 2025-10-09 10:54 UTC on, 40 of 79 traces failed, before that 0 of 121")
    assert lines[-1] == "Next: Find what was changed at that time, and read the first traces that failed."
    headline = traces.headline().headline
    assert [(one.what, one.value) for one in headline.numbers] == [("failed", 40), ("traces", 200)]


@pytest.mark.parametrize(
    ("failed", "said"),
    [(1, "1 of 3,000 traces failed (under 0.1 %)."), (2_999, "(over 99.9 %)."), (3_000, "(100 %)."), (75, "(2.5 %).")],
)
def test_a_share_is_not_rounded_to_none_or_all(failed, said):
    traces = traces_of([row(f"tr-{i}", state="ERROR" if i < failed else "OK") for i in range(3_000)]).traces
    assert failed_of(summarise_traces(traces)).endswith(said)


def test_findings_name_their_traces_and_the_sections_of_the_notebook():
    traces = _service()
    frame = traces.findings()
    assert list(frame["rule"]) == ["errors_began", "repeated_tool_calls"]
    assert set(frame["trace_ids"][0]) <= {f"tr-{i:03}" for i in range(121, 200, 2)}
    assert frame["trace_ids"][1] == ("tr-007",)
    card = traces.show_findings()
    assert repr(card).startswith("What stands out among 200 traces: 2 problems.")
    assert 'href="#trace_errors"' in card._repr_html_()
    assert "Traces such as tr-007<" in card._repr_html_()
    assert "traces.findings()" in card._repr_html_()
    assert "runs." not in card._repr_html_() + repr(card)
    [chart] = card.charts.values()
    assert chart.sentence == "failed: from then on: 40 of 79; before: 0 of 121."
    of_model = found(served(4, failing_model="m2"), rules=("errors_began",))["errors_began"]
    assert re.match(r"failed: with it: \d+ of 150; other traces: \d+ of 250\.", _sentence_of_chart(of_model))
    assert list(traces.findings(errors_began=False)["rule"]) == ["repeated_tool_calls"]
    with pytest.raises(QualiaLabError, match="no_such_rule"):
        traces.findings(no_such_rule=False)


def _sentence_of_chart(finding):
    [chart] = trace_finding_charts([finding]).values()
    return chart.sentence


def test_what_was_not_examined_is_said(monkeypatch):
    for module in (reading, trace_findings):
        monkeypatch.setattr(module, "MOST_BARE", 60)
    traces = _service()
    card = repr(traces.show_findings())
    assert card.startswith("Nothing stands out among the latest 60 of 200 traces.")
    assert "Not examined: the 140 earliest traces." in [one.sentence for one in traces.find({})]
    assert "40 of 200 traces failed" in repr(traces.headline())


def test_a_headline_of_part_of_the_traces_says_so():
    summary = summarise_traces(traces_of([row("a", state="ERROR"), row("b", state="IN_PROGRESS")]).traces)
    findings = [Finding("errors_began", "problem", "problem", "It failed; " * 40, next="Look.")]
    said = headline_of_traces(summary, findings, over="latest 20 of 30 traces").sentences
    assert said[0] == "1 of 2 traces failed (50 %); 1 has not finished."
    assert said[1].startswith("Among the latest 20 of 30 traces: It failed; ")
    assert said[1].endswith("; more in the findings.")
    assert len(said[1]) < 300
    assert said[2] == "Next: Look."
    findings = [Finding("usage_regression", "problem", "warning", f"{'It takes more, ' * 20}1.5 times. The others: b.")]
    assert headline_of_traces(summary, findings).sentences[1].endswith(", 1.5 times.")
    alone = headline_of_traces(summarise_traces(traces_of([row("a")]).traces), ()).sentences
    assert alone == ("No trace failed.",)
    assert headline_of_traces(summarise_traces(traces_of([]).traces), ()).sentences == ("There are no traces.",)


def test_traces_of_nothing_have_no_finding():
    traces = held_traces([], [])
    assert repr(traces.headline()) == "There are no traces."
    assert [one.rule for one in held_traces([trace("tr-1")], []).find({})] == []


# The same rows are pairs in findings and in the section on evaluations


def _cut(judged=True):
    """Two versions on 40 questions that begin alike, so that only the inputs of their root spans tell them apart."""
    rows, spans, assessments = [], [], []
    for version, run in enumerate("ab"):
        for i in range(40):
            rows.append(row(f"{run}{i}", run, request_preview=CUT, request_time=START + version * 1000 + i))
            spans.append(bare_span(f"{run}{i}", "root", inputs=json.dumps({"q": f"{CUT} {i}"})))
            spans.append(bare_span(f"{run}{i}", "child", "root", inputs='{"q": "the same"}'))
            if judged:
                assessments.append(feedback(f"{run}{i}", "correctness", bool(version or i % 2)))
    return traces_of(rows, assessments), spans


def test_rows_with_cut_requests_are_paired_by_the_inputs_of_their_root_spans():
    tables, spans = _cut()
    one = found(tables, spans=spans, rules=("best_version",))["best_version"]
    assert re.match(
        r"b leads by correctness with 1 on 40 rows, before a with 0\.5 on 40 rows\. Over the same rows, it is better "
        r"than a\.",
        one.sentence,
    )
    assert "No row of b has the same inputs" in found(tables, rules=("best_version",))["best_version"].sentence

    inputs = inputs_of_cut_requests(tables, lambda _ids: spans_of(spans).to_batches())
    first, second = evaluations_of(tables, inputs)
    assert [one.keys.inputs for one in first.rows] == [one.keys.inputs for one in second.rows]
    assert len({one.keys.inputs for one in first.rows}) == 40
    chosen = spans_read(tables)
    assert set(chosen.cut) == set(judged_with_cut_request(tables)) == {f"{run}{i}" for run in "ab" for i in range(40)}
    assert judged_with_cut_request(_cut(judged=False)[0]) == ()


def test_each_trace_is_read_in_one_way():
    tables, _ = _cut()
    chosen = spans_read(tables)
    assert chosen.inputs == () and chosen.bare == ()  # all of them are read whole
    many = traces_of([row(f"t{i}", request_time=START + i) for i in range(1_500)])
    chosen = spans_read(many)
    kinds = (chosen.whole, chosen.inputs, chosen.bare)
    assert len(chosen.whole) == 200
    assert sum(map(len, kinds)) == 1_500
    assert set().union(*kinds) == set(many.traces.column("trace_id").to_pylist())


def test_rules_about_traces_find_the_same_without_runs():
    for tables in (evaluated(1, better=0.5, worse_on=0.5, slower=1.6, rows=150), served(3, failing_from=250)):
        traces = held_traces([], [])
        traces._source._read = lambda tables=tables: tables
        alone = {one.rule: one.sentence for one in traces.find({}) if one.kind != "not examined"}
        assert alone == {rule: one.sentence for rule, one in found(tables).items()}


# What happened between two looks


def test_events_say_what_happened_between_two_looks():
    before = traces_of([row("a"), row("b", state="IN_PROGRESS"), row("c")], [feedback("a", "correctness", True)])
    after = traces_of(
        [row("a"), row("b", state="ERROR"), row("d", state="ERROR"), row("e")],
        [feedback("a", "correctness", True), feedback("a", "relevance", 1), feedback("d", "correctness", False)],
    )
    first, second = see_traces(before), see_traces(after)
    assert [one.sentence for one in first_trace_events(first)] == ["3 traces, 0 of them failed, 1 not finished."]
    events = list(trace_events_between(first, second))
    assert [(one.kind, one.sentence, one.number, one.failed) for one in events] == [
        ("new_traces", "2 new traces, 1 of them failed: d.", 2, 1),
        ("traces_ended", "1 trace ended, it failed: b.", 1, 1),
        ("feedback", "1 trace with new feedback or expectations.", 1, None),
        ("traces_gone", "1 trace is no longer among these.", 1, None),
    ]
    assert list(trace_events_between(second, second)) == []
    assert next(trace_events_between(SeenTraces(), second)).number == 4
