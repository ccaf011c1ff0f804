"""Judged traces whose request MLflow cut in its preview: their rows are paired by the inputs of their root spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.masking.redactor import is_cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pyarrow as pa

    from qualia_lab.genai_tables import TraceTables

# Of these traces at most, inputs are read; the rows of others with a cut request are not paired by it.
MOST_CUT = 20_000


def judged_with_cut_request(tables: TraceTables) -> tuple[str, ...]:
    """The latest traces with assessments and a cut request, at most MOST_CUT.

    Args:
        tables: the traces with their assessments.
    """
    judged = set(tables.assessments.column("trace_id").to_pylist())
    if not judged:
        return ()
    columns = (tables.traces.column(name).to_pylist() for name in ("trace_id", "request_time", "request_preview"))
    cut = [
        (-(time or 0), trace_id)
        for trace_id, time, preview in zip(*columns, strict=True)
        if trace_id in judged and preview and is_cut(preview)
    ]
    return tuple(trace_id for _, trace_id in sorted(cut)[:MOST_CUT])


def inputs_of_cut_requests(
    tables: TraceTables, read_spans: Callable[[Sequence[str]], Iterable[pa.RecordBatch]]
) -> dict[str, str]:
    """The inputs of the root spans of these traces as JSON, by trace; without those that are not recorded.

    Args:
        tables: the traces with their assessments.
        read_spans: reads the spans of some traces (schema.SPANS) with their inputs.
    """
    cut = judged_with_cut_request(tables)
    inputs: dict[str, str] = {}
    for batch in read_spans(cut) if cut else ():
        for span in batch.select(["trace_id", "parent_id", "inputs"]).to_pylist():
            if span["parent_id"] is None and span["inputs"]:
                inputs.setdefault(span["trace_id"], span["inputs"])
    return inputs
