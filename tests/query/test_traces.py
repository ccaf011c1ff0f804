"""The query language for traces: parsing, and the same traces as MLflow's `search_traces` finds."""

from __future__ import annotations

import json
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

import mlflow
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.tracing.client import TracingClient

from qualia_lab import schema
from qualia_lab.errors import FilterError
from qualia_lab.genai_tables import trace_tables
from qualia_lab.query.conditions import And, Comparison, Not, Order
from qualia_lab.query.trace_fields import TraceField
from qualia_lab.query.traces import needed_parts, needs_spans, parse_trace_filter, parse_trace_order, select_traces
from tests.genai_stores import HUMAN, traced_to
from tests.query.trace_filters import ADDED, MLFLOW, MLFLOW_ORDERS
from tests.query.trace_oracle import TraceOracle


@pytest.fixture(scope="module")
def traced(genai_sample, tmp_path_factory):
    """A copy of the store, to which an assessment of a session, an issue and a linked prompt are added."""
    path = tmp_path_factory.mktemp("traced") / "mlflow.db"
    shutil.copyfile(genai_sample / "mlflow.db", path)
    ids = json.loads((genai_sample / "ids.json").read_text())
    of_session = {"mlflow.trace.session": "session 1"}
    linked = json.dumps([{"name": "greeting", "version": "1"}])
    with traced_to(f"sqlite:///{path}"):
        mlflow.log_feedback(
            trace_id=ids["traces"]["v1 1"], name="polite", value="yes", source=HUMAN, metadata=of_session
        )
        mlflow.set_trace_tag(ids["traces"]["v1 2"], "mlflow.linkedPrompts", linked)
        prompt = mlflow.genai.register_prompt("greeting", "Hello {{name}}")
        client = mlflow.MlflowClient()
        client.link_prompt_versions_to_trace([prompt], ids["traces"]["v1 2"])
        issue = TracingClient()._create_issue(ids["experiments"]["qa"], "wrong sums", "Sums of two are wrong.")
        mlflow.log_issue(trace_id=ids["traces"]["v1 0"], issue_id=issue.issue_id)
    oracle = TraceOracle(path)
    oracle.ids = {**ids["runs"], "trace": ids["traces"]["v1 0"], "issue": issue.issue_id}
    return oracle


def with_ids(text: str, traced) -> str:
    for name, value in traced.ids.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def selected(traced, text: str, orders=()) -> list[str]:
    return select_traces(
        parse_trace_filter(with_ids(text, traced)), parse_trace_order(orders), traced.tables, traced.read_spans
    )


@pytest.mark.parametrize("text", MLFLOW)
def test_filters_of_mlflow_find_what_mlflow_finds(traced, text):
    assert selected(traced, text) == traced.search(with_ids(text, traced))


def test_the_filters_of_mlflow_tell_the_traces_apart(traced):
    found = [tuple(traced.search(with_ids(text, traced))) for text in MLFLOW]
    assert len(set(found)) > len(MLFLOW) / 3
    assert sum(1 for ids in found if ids) > len(MLFLOW) * 3 / 4


@pytest.mark.parametrize("orders", MLFLOW_ORDERS, ids=", ".join)
def test_orders_of_mlflow_sort_as_mlflow_sorts(traced, orders):
    assert selected(traced, "", orders) == traced.search("", orders)


@pytest.mark.parametrize(("text", "equal_filters"), ADDED)
def test_an_added_filter_finds_the_union_of_filters_of_mlflow(traced, text, equal_filters):
    expected = {trace_id for equal in equal_filters for trace_id in traced.search(with_ids(equal, traced))}
    found = selected(traced, text)
    assert set(found) == expected and found
    assert len(found) == len(expected)


def test_tokens_and_costs_are_compared(traced):
    traces = traced.tables.traces.to_pylist()
    dear = {row["trace_id"] for row in traces if (row["total_cost"] or 0) > 0.003}
    assert set(selected(traced, "cost > 0.003")) == dear
    many = {row["trace_id"] for row in traces if (row["total_tokens"] or 0) >= 114}
    assert set(selected(traced, "total_tokens >= 114")) == many
    unknown = {row["trace_id"] for row in traces if row["input_tokens"] is None}
    assert set(selected(traced, "input_tokens IS NULL")) == unknown
    assert dear and many and unknown


def test_conditions_on_spans_are_about_one_span_and_not_is_about_all(traced):
    failed = selected(traced, "span.type = 'TOOL' AND span.status = 'ERROR'")
    assert len(failed) == 1
    assert not selected(traced, "span.type = 'CHAT_MODEL' AND span.status = 'ERROR'")
    without = selected(traced, "NOT (span.type = 'TOOL' AND span.status = 'ERROR')")
    assert sorted([*failed, *without]) == sorted(traced.tables.traces.column("trace_id").to_pylist())
    assert (
        len(selected(traced, "span.attributes.top_k > 2")) == len(selected(traced, "span.attributes.top_k = '3'")) > 9
    )
    assert not selected(traced, "span.attributes.top_k > 3")
    assert selected(traced, "span.attributes.`mlflow.llm.model` = 'small-1'")


def test_spans_are_read_once_and_only_of_the_traces_that_are_left(traced):
    traced.reads.clear()
    assert (
        len(selected(traced, "span.type = 'TOOL' AND (span.name = 'a' OR status = 'ERROR') AND status = 'ERROR'")) == 1
    )
    assert traced.reads == [(1, False)]
    selected(traced, "span.content LIKE '%What%'")
    assert traced.reads[1:] == [(traced.tables.traces.num_rows, True)]
    assert not selected(traced, "status = 'NONE' AND span.type = 'TOOL'")
    assert len(traced.reads) == 2
    with pytest.raises(TypeError):
        select_traces(parse_trace_filter("span.type = 'TOOL'"), (), traced.tables)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("status = 'OK'", {"traces"}),
        ("tags.a = 'x' OR prompt = 'a/1'", {"traces", "tags"}),
        ("metadata.a = 'x'", {"traces", "metadata"}),
        ("metadata.`mlflow.trace.session` = 'x'", {"traces"}),
        ("NOT run_id = 'x'", {"traces", "links"}),
        ("feedback.a > 1 AND issue.id = 'x'", {"traces", "assessments"}),
        ("span.type = 'TOOL'", {"traces"}),
    ],
)
def test_the_tables_that_a_filter_needs(text, parts):
    assert needed_parts(parse_trace_filter(text), ()) == parts
    assert needs_spans(parse_trace_filter(text)) == ("span." in text)
    assert needed_parts(None, parse_trace_order(["tags.a"])) == {"traces", "tags"}


DURATION = TraceField("attribute", "duration")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("", None),
        ("execution_time > 2 s", Comparison(DURATION, ">", 2000.0)),
        ("duration > 1.5h", Comparison(DURATION, ">", 5_400_000.0)),
        ("execution_time_ms > 2", Comparison(DURATION, ">", 2.0)),
        ("feedback.ok = false", Comparison(TraceField("feedback", "ok"), "=", False)),
        ("expectation.`a b` = 42", Comparison(TraceField("expectation", "a b"), "=", 42.0)),
        ("NOT Trace.Status = 'OK'", Not(Comparison(TraceField("attribute", "state"), "=", "OK"))),
        ("span.attributes.`a b` RLIKE '^x'", Comparison(TraceField("span_attribute", "a b"), "RLIKE", "^x")),
        (
            "span.attributes.llm.model NOT RLIKE 'x'",
            Comparison(TraceField("span_attribute", "llm.model"), "NOT RLIKE", "x"),
        ),
        (
            "timestamp BETWEEN 1 AND 2",
            And(
                (
                    Comparison(TraceField("attribute", "request_time"), ">=", 1),
                    Comparison(TraceField("attribute", "request_time"), "<=", 2),
                )
            ),
        ),
    ],
)
def test_a_filter_is_parsed_to_a_condition(text, condition):
    assert parse_trace_filter(text) == condition


def test_an_order_is_parsed():
    tag = TraceField("tag", "a b")
    assert parse_trace_order(["execution_time desc, tags.`a b`"]) == (Order(DURATION, True), Order(tag))


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("statsu = 'OK'", 0, "Did you mean status?"),
        ("execution_tme > 1", 0, "Did you mean execution_time?"),
        ("metrics.acc > 1", 0, "no kind of field called metrics"),
        ("feedbak.a = 'x'", 0, "Did you mean feedback.a?"),
        ("span.kind = 'x'", 5, "A span has no kind"),
        ("span.attributes. = 'x'", 5, "a key is missing"),
        ("issue.name = 'x'", 6, "Write issue.id"),
        ("status > 1", 7, "text"),
        ("status = OK", 9, "'OK'"),
        ("name = true", 7, "'true'"),
        ("execution_time > 2 parsecs", 19, "not a unit of time"),
        ("execution_time > 2 s ago", 21, "Expected AND"),
        ("timestamp > 2 s", 15, "but this is a duration"),
        ("timestamp > 99999999 weeks ago", 12, "No trace is that old"),
        ("span.content = 'x'", 0, "ILIKE"),
        ("trace.text IN ('x')", 0, "pattern"),
        ("name RLIKE '('", 11, "not a regular expression"),
        ("feedback.a > true", 13, "a number"),
        ("feedback.a > '5'", 13, "Write 5 without quotes"),
        ("cost LIKE 'x'", 5, "is a number"),
    ],
)
def test_an_error_says_where_and_what_to_write(text, position, words):
    with pytest.raises(FilterError) as caught:
        parse_trace_filter(text)
    assert (caught.value.position, caught.value.text) == (position, text)
    assert words in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("text", ["feedback.a", "span.name", "prompt DESC", "name down", "nope"])
def test_what_is_no_order_is_refused(text):
    with pytest.raises(FilterError):
        parse_trace_order([text])


PIECES = st.sampled_from(
    (
        *("status", "execution_time", "timestamp", "tags.a", "metadata.`a b`", "feedback.a", "expectation.'x'"),
        *("span.type", "span.attributes.", "`k`", "span.content", "trace.text", "prompt", "run_id", "cost", "issue.id"),
        *("=", "!=", "<", ">=", "LIKE", "ILIKE", "RLIKE", "NOT", "IN", "IS", "NULL", "AND", "OR", "BETWEEN", "(", ")"),
        *(",", "'a'", "'(?P<'", '"b"', "1", "2s", "1e9", "5x", "true", "FALSE", "ms", "s", "min", "days", "ago", "."),
        *("''", "-3", "99999999999999999999", "ASC", "DESC"),
    )
)
FILTERS = st.sampled_from((*MLFLOW, *(text for text, _ in ADDED)))


@given(st.lists(PIECES, max_size=14).map(" ".join) | st.lists(PIECES, max_size=6).map("".join) | st.text())
def test_any_text_is_a_filter_or_raises_an_error_with_a_position(text):
    try:
        parse_trace_filter(text)
    except FilterError as error:
        assert 0 <= error.position <= len(text)
        assert error.message and error.text == text
    with suppress(FilterError):
        parse_trace_order([text])


@settings(max_examples=40)
@given(FILTERS, FILTERS)
def test_or_is_the_union_and_not_the_complement(traced, left, right):
    found = {text: set(selected(traced, text)) for text in (left, right)}
    everything = set(traced.tables.traces.column("trace_id").to_pylist())
    assert set(selected(traced, f"({left}) OR ({right})")) == found[left] | found[right]
    assert set(selected(traced, f"NOT ({left}) AND NOT ({right})")) == everything - found[left] - found[right]


def test_filters_on_many_traces_cost_little_beside_copying_them():
    """100,000 traces: a filter with an order costs less than 10 times what it costs to make Python rows of them."""
    count = 100_000
    ids = [f"tr-{number:032x}" for number in range(count)]
    traces = pa.table(
        {
            "trace_id": ids,
            "state": ["ERROR" if number % 7 == 0 else "OK" for number in range(count)],
            "request_time": list(range(count)),
            "duration": [number % 5000 for number in range(count)],
            "request_preview": [f"question {number}" for number in range(count)],
        }
    )
    tables = trace_tables(
        traces=_with_all_columns(traces, schema.TRACES),
        assessments=_with_all_columns(
            pa.table(
                {
                    "trace_id": ids,
                    "name": ["correctness"] * count,
                    "kind": ["feedback"] * count,
                    "value": ["true" if number % 3 else "false" for number in range(count)],
                    "valid": [True] * count,
                }
            ),
            schema.ASSESSMENTS,
        ),
    )
    condition = parse_trace_filter("status = 'ERROR' AND execution_time > 2 s AND feedback.correctness = false")
    orders = parse_trace_order(["execution_time DESC"])
    started = time.process_time()
    found = select_traces(condition, orders, tables)
    needed = time.process_time() - started
    started = time.process_time()
    rows = tables.traces.to_pylist()
    copying = time.process_time() - started
    matching = [r for n, r in enumerate(rows) if r["state"] == "ERROR" and r["duration"] > 2000 and n % 3 == 0]
    matching.sort(key=lambda row: (-row["duration"], -row["request_time"]))
    assert found == [row["trace_id"] for row in matching]
    assert needed < 10 * copying


def _with_all_columns(table: pa.Table, columns: pa.Schema) -> pa.Table:
    return pa.Table.from_arrays(
        [
            table.column(field.name).cast(field.type)
            if field.name in table.column_names
            else pa.nulls(table.num_rows, field.type)
            for field in columns
        ],
        schema=columns,
    )


def test_the_filters_of_the_page_are_filters_and_find_what_they_say(traced):
    page = (Path(__file__).parents[2] / "docs" / "query_language.md").read_text(encoding="utf-8")
    section = page.partition("\n## Traces\n")[2].partition("\n## ")[0]
    table = section.partition("| filter for traces |")[2].partition("\n\n")[0]
    filters = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(filters) > 10
    for text in filters:
        selected(traced, text)
    fields = section.partition("| field |")[2].partition("\n\n")[0]
    names = [
        name for row in re.findall(r"^\| (`.+?) \|", fields, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    ]
    assert len(names) > 25
    for name in names:
        assert parse_trace_filter(
            f"{name} IS NOT NULL" if "text" not in name and "content" not in name else f"{name} LIKE '%'"
        )
