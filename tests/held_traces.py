"""Traces that are made of a few texts and held in memory, for tests of what is shown of them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.genai_tables import trace_tables
from qualia_lab.runs.trace_source import TraceSource
from qualia_lab.runs.traces import Traces
from qualia_lab.tables import rows_with, table_of

START = 1_760_000_000_000  # ms


class HeldSpans:
    """Spans by trace, as a store reads them."""

    def __init__(self, spans: pa.Table) -> None:
        self._spans = spans

    def read_spans(self, trace_ids, *, content=True):
        """See ReadsGenAI."""
        found = rows_with(self._spans, "trace_id", trace_ids)
        if not content:
            for name in ("inputs", "outputs", "attributes", "events"):
                nulls = pa.nulls(found.num_rows, schema.STRING)
                found = found.set_column(schema.SPANS.get_field_index(name), name, nulls)
        place = pc.index_in(found.column("trace_id"), value_set=pa.array(trace_ids, schema.STRING))
        keys = [("place", "ascending"), ("start_ns", "ascending"), ("span_id", "ascending")]
        yield from found.take(pc.sort_indices(found.append_column("place", place), sort_keys=keys)).to_batches()


def held_traces(
    traces: list[dict[str, Any]], spans: list[dict[str, Any]], assessments=(), tags=(), *, is_handed_over: bool = False
) -> Traces:
    """`Traces` of these rows."""
    tables = trace_tables(
        traces=table_of(schema.TRACES, traces),
        assessments=table_of(schema.ASSESSMENTS, assessments),
        tags=table_of(schema.TRACE_TAGS, tags),
    )
    store: Any = HeldSpans(table_of(schema.SPANS, spans))
    names = {row["experiment_id"]: row["experiment_id"] for row in traces}
    source = TraceSource(store, lambda: tables, names, is_complete=True)
    source.is_handed_over = is_handed_over
    return Traces(source)


def trace(trace_id: str, **more: Any) -> dict[str, Any]:
    """A trace that finished after a second."""
    usual = {"experiment_id": "support", "name": "answer", "state": "OK", "request_time": START, "duration": 1000}
    return {"trace_id": trace_id, **usual, **more}


def span(trace_id: str, span_id: str, parent: str | None = None, **more: Any) -> dict[str, Any]:
    """A span of ten milliseconds."""
    usual = {"name": "step", "type": "TOOL", "status": "OK", "start_ns": START * 10**6, "end_ns": START * 10**6 + 10**7}
    return {"trace_id": trace_id, "span_id": span_id, "parent_id": parent, **usual, **more}


def traces_with(text: str) -> Traces:
    """Traces with this text wherever somebody can write one: three of them, one of which failed."""
    said = json.dumps({"question": text})
    rows = [
        trace(
            f"tr-{number} {text}",
            experiment_id=text,
            name=text,
            state="ERROR" if number == 0 else "OK",
            duration=1000 * (number + 1),
            request_preview=said,
            response_preview=text,
            client_request_id=text,
            session_id=text,
            user=text,
            total_tokens=10,
            total_cost=0.5,
        )
        for number in range(3)
    ]
    spans = []
    for row in rows:
        trace_id = row["trace_id"]
        spans.append(span(trace_id, "root", name=text, type=text, inputs=said, outputs=json.dumps(text)))
        for number in range(3):
            spans.append(
                span(
                    *(trace_id, f"{number}{text}", "root"),
                    name=text,
                    status="ERROR" if row["state"] == "ERROR" else "OK",
                    status_message=text,
                    model=text,
                    input_tokens=1,
                    inputs=said,
                    outputs=text,
                )
            )
    assessments = [
        {
            "trace_id": row["trace_id"],
            "assessment_id": f"a-{place}-{kind}",
            "name": text,
            "kind": "feedback",
            "value": "true" if (place, kind) != (1, "HUMAN") else "false",
            "rationale": text,
            "source_type": kind,
            "source_id": text,
            "valid": True,
            "creation_time": START,
        }
        for place, row in enumerate(rows)
        for kind in ("HUMAN", "LLM_JUDGE")
    ]
    tags = [{"trace_id": row["trace_id"], "key": f"tag {text}", "value": text} for row in rows]
    return held_traces(rows, spans, assessments, tags)


def shown_of(traces: Traces) -> dict[str, Any]:
    """What every method shows of traces, by its name."""
    first = traces.tables.traces.column("trace_id")[0].as_py()
    shown = {"traces": traces, "show": traces.show(first), "plot_waterfall": traces.plot_waterfall(first)}
    methods = ("answer", "summary", "errors", "examples", "show_examples", "slowest", "by_model", "time_by_type")
    methods += ("repeated_calls", "table", "plot_over_time", "plot_latency", "headline", "show_findings", "findings")
    return shown | {name: getattr(traces, name)() for name in methods}
