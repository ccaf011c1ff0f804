"""Tables of traces, assessments, spans and models, from short rows."""

from __future__ import annotations

import json

from qualia_lab import schema
from qualia_lab.genai_tables import model_tables, trace_tables
from qualia_lab.tables import table_of

START = 1_700_000_000_000  # ms


def trace(trace_id, run_id="", **columns):
    """A row of schema.TRACES."""
    return {
        "trace_id": trace_id,
        "experiment_id": "1",
        "run_id": run_id,
        "state": "OK",
        "request_time": START,
    } | columns


def feedback(trace_id, name, value, **columns):
    """A row of schema.ASSESSMENTS: feedback of code, unless columns say otherwise."""
    row = {"trace_id": trace_id, "name": name, "kind": "feedback", "value": json.dumps(value), "source_type": "CODE"}
    row |= {"source_id": "code", "valid": True, "creation_time": START, "assessment_id": f"a-{trace_id}-{name}"}
    return row | columns


def span(trace_id, span_id, parent_id=None, times=(0, 1_000_000), **columns):
    """A row of schema.SPANS."""
    row = {"trace_id": trace_id, "span_id": span_id, "parent_id": parent_id, "name": span_id, "type": "CHAIN"}
    return row | {"status": "OK", "start_ns": times[0], "end_ns": times[1]} | columns


def spans_of(rows):
    return table_of(schema.SPANS, rows)


def traces_of(traces, assessments=(), tags=(), links=()):
    """TraceTables from rows; tags are (trace id, key, value), links (trace id, run id)."""
    return trace_tables(
        traces=table_of(schema.TRACES, traces),
        assessments=table_of(schema.ASSESSMENTS, assessments),
        tags=table_of(schema.TRACE_TAGS, [dict(zip(("trace_id", "key", "value"), tag, strict=True)) for tag in tags]),
        links=table_of(schema.TRACE_LINKS, [dict(zip(("trace_id", "run_id"), link, strict=True)) for link in links]),
    )


def models_of(models=(), metrics=(), outputs=(), versions=(), aliases=()):
    """ModelTables from rows; metrics are (model id, key, value, step, dataset name)."""
    names = ("model_id", "key", "value", "step", "dataset_name")
    points = [{"timestamp": START, "run_id": "r"} | dict(zip(names, one, strict=True)) for one in metrics]
    return model_tables(
        models=table_of(schema.MODELS, [{"experiment_id": "1", "name": "m"} | one for one in models]),
        metrics=table_of(schema.MODEL_METRICS, points),
        outputs=table_of(schema.MODEL_OUTPUTS, outputs),
        versions=table_of(schema.MODEL_VERSIONS, versions),
        aliases=table_of(schema.MODEL_ALIASES, aliases),
    )
