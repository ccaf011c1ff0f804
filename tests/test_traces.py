"""`load_traces` and `runs.traces` on the store of `create-demo-runs --genai`, and on traces of known content."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest

from qualia_lab import NotebookGenerator, load_runs, load_traces
from qualia_lab.charts.marks import Bars
from qualia_lab.errors import FilterError, NoTraceMatches, SelectionError
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.runs.message import Message
from qualia_lab.selection import Conditions

from .held_traces import START, held_traces, shown_of, span, trace


@pytest.fixture(scope="module")
def uri(genai_demo):
    return f"sqlite:///{genai_demo}"


@pytest.fixture(scope="module")
def traces(uri):
    return load_traces(uri)


@pytest.fixture(scope="module")
def stored(genai_demo):
    """The rows of MLflow's own table."""
    with closing(sqlite3.connect(f"file:{genai_demo}?mode=ro", uri=True)) as database:
        return pd.read_sql_query("SELECT * FROM trace_info", database)


def test_a_summary_counts_what_the_store_holds(traces, stored):
    summary = traces.summary().loc["docs-assistant"]
    assert summary["traces"] == len(traces) == len(stored)
    assert summary["failed"] == (stored["status"] == "ERROR").sum() > 0
    assert summary["median (s)"] == pytest.approx(np.quantile(stored["execution_time_ms"], 0.5) / 1000)
    assert summary["p95 (s)"] == pytest.approx(np.quantile(stored["execution_time_ms"], 0.95) / 1000)
    assert summary["tokens"] == stored["total_tokens"].sum()
    assert summary["with tokens"] == stored["total_tokens"].notna().sum() < len(stored)
    assert summary["USD"] == pytest.approx(stored["total_cost"].sum())
    assert summary["first (UTC)"] == pd.to_datetime(stored["timestamp_ms"].min(), unit="ms").floor("s")
    assert f"{summary['failed']} of {len(stored)} traces failed (5.8 %)." in repr(traces.answer())


def test_errors_are_those_of_the_failed_traces_and_have_an_example(traces, stored):
    errors = traces.errors()
    assert errors["traces"].sum() == (stored["status"] == "ERROR").sum()
    assert errors["traces"].is_monotonic_decreasing
    failed = set(stored.loc[stored["status"] == "ERROR", "request_id"])
    assert set(errors["trace_id"]) <= failed
    for span_name, row in errors.iterrows():
        card = repr(traces.show(row["trace_id"]))
        assert span_name in card
        assert row["example"] in card
    assert errors.attrs == {"showing": f"{len(errors)} of {len(errors)}", "over": f"spans of {len(stored)} traces"}
    assert traces.errors(limit=1).attrs["showing"] == f"1 of {len(errors)}"


def test_tokens_by_model_add_up_to_those_of_the_traces(traces, stored):
    models = traces.by_model()
    assert models["input tokens"].sum() + models["output tokens"].sum() == stored["total_tokens"].sum()
    assert models["USD"].sum() == pytest.approx(stored["total_cost"].sum())
    assert traces.time_by_type()["share (%)"].sum() == pytest.approx(100, abs=0.2)


def test_examples_say_why_and_the_slowest_are_in_order(traces, stored):
    examples, slowest = traces.examples(), traces.slowest(5)
    assert set(examples["trace_id"]) <= set(stored["request_id"])
    assert examples["why"].str.len().gt(0).all()
    assert (examples["state"] == "failed").sum() >= len(traces.errors())
    longest = stored.nlargest(5, "execution_time_ms")
    assert slowest["took (s)"].tolist() == pytest.approx((longest["execution_time_ms"] / 1000).tolist())
    assert len(traces.show_examples(2)) == 2


def test_a_table_takes_the_query_language(traces, stored):
    slow_and_failed = traces.table("status = 'ERROR' AND execution_time > 4 s", limit=3)
    expected = ((stored["status"] == "ERROR") & (stored["execution_time_ms"] > 4000)).sum()
    assert slow_and_failed.attrs["showing"] == f"3 of {expected}"
    topics = traces.table("tags.topic = 'prices'", limit=1000)
    assert 0 < len(topics) < len(stored)
    ordered = traces.table(order_by=["execution_time DESC"], limit=2)
    assert ordered["took (s)"].iloc[0] == stored["execution_time_ms"].max() / 1000
    assert "None of the" in repr(traces.table("name = 'no such name'"))
    with pytest.raises(FilterError):
        traces.table("metrics.auc > 1")


def test_conditions_choose_traces_and_wrong_ones_are_refused(uri, traces, stored):
    failed = load_traces(uri, {"experiment_ids": ["1"], "filter": "status = 'ERROR'", "limit": 5})
    assert len(failed) == 5
    assert set(failed.tables.traces.column("state").to_pylist()) == {"ERROR"}
    assert repr(load_traces(uri, {"experiment_ids": ["0"]})) == "There are no traces."
    with pytest.raises(NoTraceMatches, match="has the id tr-nothing"):
        traces.show("tr-nothing")
    for wrong in ({"experiments": ["a"]}, {"experiment_ids": "1"}, {"limit": 0}, {"limit": True}, {"filter": 3}):
        with pytest.raises(SelectionError):
            load_traces(uri, wrong)
    query = TraceQuery(("1",), filter="name = 'x'", limit=3)
    assert TraceQuery.of(query.as_data()) == query


def test_runs_have_their_own_traces(uri, stored):
    with NotebookGenerator(uri) as generator:
        run_ids = generator.select(experiments=["docs-assistant"]).run_ids
    of_one = load_runs(uri, run_ids[:1]).traces
    assert 0 < len(of_one) < len(stored)
    assert set(of_one.summary()["traces"]) == {len(of_one)}
    assert len(of_one.show(of_one.examples()["trace_id"].iloc[0]).spans) > 1


def test_no_traces_and_traces_without_spans_times_and_numbers_say_so():
    for name, value in shown_of(held_traces([trace("tr-1", duration=None, request_time=None, state=None)], [])).items():
        assert repr(value), name
    empty = held_traces([], [])
    for name in ("answer", "summary", "errors", "examples", "show_examples", "slowest", "by_model", "time_by_type"):
        assert isinstance(getattr(empty, name)(), Message), name
    for name in ("repeated_calls", "table", "plot_over_time", "plot_latency", "plot_waterfall"):
        assert isinstance(getattr(empty, name)(), Message), name


def test_retries_and_loops_are_told_apart():
    calls = [span("tr-1", f"a{n}", inputs='{"q": "x"}', status="ERROR" if n < 2 else "OK") for n in range(3)]
    calls += [span("tr-2", f"b{n}", inputs='{"q": "y"}', name="search") for n in range(4)]
    repeated = held_traces([trace("tr-1"), trace("tr-2")], calls).repeated_calls()
    assert repeated["is"].to_dict() == {"search": "loop", "step": "retry"}
    assert repeated["calls"].tolist() == [4, 3]
    assert repeated.attrs == {"showing": "2 of 2", "over": "inputs of 2 of 2 traces"}


def test_failed_traces_are_stacked_and_the_waterfall_begins_where_spans_begin():
    rows = [trace(f"tr-{n}", state="ERROR" if n % 4 == 0 else "OK", request_time=START + n * 60_000) for n in range(40)]
    spans = [
        span("tr-0", "r", name="root", end_ns=START * 10**6 + 4 * 10**9),
        span("tr-0", "c", "r", name="child", start_ns=START * 10**6 + 10**9, end_ns=START * 10**6 + 3 * 10**9),
        span("tr-0", "open", "r", name="open", end_ns=None),
    ]
    traces = held_traces(rows, spans)
    failed, others = [mark for mark in traces.plot_over_time().panels[0].marks if isinstance(mark, Bars)]
    assert failed.ends.sum() == 10
    assert others.base.tolist() == failed.ends.tolist()
    assert (others.ends - others.base).sum() == 30
    chart = traces.plot_waterfall("tr-0")
    bars = next(mark for mark in chart.panels[0].marks if isinstance(mark, Bars))
    assert list(zip(bars.base.tolist(), bars.ends.tolist(), strict=True)) == [(0, 4), (1, 3)]
    assert [text for _, text in chart.panels[0].y.ticks] == ["root", "└ child"]
    assert "Not shown: 1 span without a start and an end." in chart.note


def test_a_card_cuts_texts_and_spans_and_says_so():
    spans = [span("tr-1", f"s{n}", "s0" if n else None, inputs='"' + "long " * 400 + '"') for n in range(150)]
    card = held_traces([trace("tr-1")], spans).show("tr-1")
    assert "Showing 100 of 150 spans." in repr(card)
    assert "(showing 1,000 of 2,000 characters)" in card._repr_html_()
    without = held_traces([trace(f"tr-{n:03}") for n in range(300)], [span("tr-299", "s")], is_handed_over=True)
    assert "run the cell in Jupyter" in repr(without.show("tr-299"))
    assert "run the cell in Jupyter" not in repr(without.show("tr-000"))


def test_words_are_left_out_where_the_notebook_says_so(genai_demo):
    uri = f"sqlite:///{genai_demo}"
    for content in (True, False):
        traces = load_traces(uri, {"limit": 50}, content=content)
        said = traces.table(limit=50).to_csv() + repr(traces.examples())
        assert ("cost per month" in said) == content
    with NotebookGenerator(uri, content=False) as generator:
        plan = generator.plan(generator.choose_traces(Conditions.of(experiments=["docs-assistant"])), template="traces")
    cells = {cell.key: cell.source for cell in plan.cells}
    assert "CONTENT = False" in cells["parameters"]
    assert "load_traces(TRACKING_URI, TRACES, content=CONTENT)" in cells["traces_loading"]
