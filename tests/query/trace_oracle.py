"""The tables of traces as MLflow's client reads them, for comparing filters with `search_traces`."""

from __future__ import annotations

import json
import sqlite3
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from mlflow import MlflowClient

from qualia_lab import schema
from qualia_lab.genai_tables import TraceTables, trace_tables

if TYPE_CHECKING:
    from mlflow.entities import Span


class TraceOracle:
    """The traces of a SQLite store: what MLflow finds, and what it returns of each trace as tables."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.client = MlflowClient(f"sqlite:///{path}")
        self.experiment_ids = [experiment.experiment_id for experiment in self.client.search_experiments()]
        self.traces = self.client.search_traces(locations=self.experiment_ids, max_results=500, include_spans=False)
        self.tables = self._tables()
        self.reads: list[tuple[int, bool]] = []

    def search(self, text: str, order_by: list[str] | None = None) -> list[str]:
        found = self.client.search_traces(
            locations=self.experiment_ids, filter_string=text, order_by=order_by, max_results=500, include_spans=False
        )
        return [trace.info.trace_id for trace in found]

    def read_spans(self, trace_ids: list[str], *, content: bool) -> list[pa.RecordBatch]:
        self.reads.append((len(trace_ids), content))
        rows = [_span(span, content) for trace_id in trace_ids for span in self._spans.get(trace_id, ())]
        return pa.Table.from_pylist(rows, schema=schema.SPANS).to_batches(max_chunksize=7)

    @cached_property
    def _spans(self) -> dict[str, list[Span]]:
        """The spans of the traces that ended; MLflow looks elsewhere for those of a trace in progress."""
        ended = [trace.info.trace_id for trace in self.traces if trace.info.state != "IN_PROGRESS"]
        return {trace_id: self.client.get_trace(trace_id).data.spans for trace_id in ended}

    def _tables(self) -> TraceTables:
        infos = [trace.info for trace in self.traces]
        rows = {
            "traces": [_trace(info) for info in infos],
            "tags": [
                {"trace_id": info.trace_id, "key": key, "value": value}
                for info in infos
                for key, value in info.tags.items()
            ],
            "metadata": [
                {"trace_id": info.trace_id, "key": key, "value": value}
                for info in infos
                for key, value in info.trace_metadata.items()
            ],
            "links": self._links(),
            "assessments": [_assessment(info, each) for info in infos for each in info.assessments],
        }
        return trace_tables(
            **{name: pa.Table.from_pylist(rows[name], schema=schema.TRACE_TABLES[name]) for name in rows}
        )

    def _links(self) -> list[dict[str, str]]:
        """From the database, because the client does not return them."""
        with sqlite3.connect(self.path) as connection:
            found = connection.execute(
                "SELECT source_id, destination_id FROM entity_associations"
                " WHERE source_type = 'trace' AND destination_type = 'run'"
            )
            return [{"trace_id": trace_id, "run_id": run_id} for trace_id, run_id in found]


def _trace(info):
    usage = info.token_usage or {}
    return {
        "trace_id": info.trace_id,
        "experiment_id": info.experiment_id,
        "run_id": info.trace_metadata.get("mlflow.sourceRun"),
        "name": info.tags.get("mlflow.traceName"),
        "state": info.state.value,
        "request_time": info.request_time,
        "duration": info.execution_duration,
        "request_preview": info.request_preview,
        "response_preview": info.response_preview,
        "client_request_id": info.client_request_id,
        "session_id": info.trace_metadata.get("mlflow.trace.session"),
        "user": info.trace_metadata.get("mlflow.trace.user"),
        "model_id": info.trace_metadata.get("mlflow.modelId"),
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "total_cost": (info.cost or {}).get("total_cost"),
    }


def _assessment(info, each):
    value = each.feedback.value if each.feedback else each.expectation.value if each.expectation else None
    return {
        "trace_id": info.trace_id,
        "assessment_id": each.assessment_id,
        "name": each.name,
        "kind": "feedback" if each.feedback else "expectation" if each.expectation else "issue",
        "value": None if value is None else json.dumps(value),
        "valid": each.valid,
        "metadata": json.dumps(each.metadata) if each.metadata else None,
    }


def _span(span, content):
    columns = {"trace_id": span.trace_id, "span_id": span.span_id, "name": span.name}
    columns |= {"type": span.span_type, "status": span.status.status_code.value}
    if content:
        attributes = {key: span.get_attribute(key) for key in span.attributes}
        columns |= {
            "inputs": json.dumps(span.inputs, ensure_ascii=False),
            "outputs": json.dumps(span.outputs, ensure_ascii=False),
            "attributes": json.dumps(attributes, ensure_ascii=False),
            "events": json.dumps([[event.name, str(event.attributes)] for event in span.events], ensure_ascii=False),
        }
    return columns
