"""`load_traces`: read traces by tracking URI and conditions, as the cells of a notebook do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.errors import SelectionError
from qualia_lab.escaping import one_line
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.runs.trace_source import TraceSource
from qualia_lab.runs.traces import Traces
from qualia_lab.settings import find_settings
from qualia_lab.stores.protocol import ReadsGenAI, find_experiments
from qualia_lab.stores.snapshot.hand_over import find_traces
from qualia_lab.stores.trace_names import read_trace_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.genai_tables import TraceTables
    from qualia_lab.stores.trace_names import TraceNames


def load_traces(
    tracking_uri: str,
    query: Mapping[str, Any] | None = None,
    *,
    redact: bool | None = None,
    content: bool | None = None,
) -> Traces:
    """Read traces from a tracking store, with or without runs.

    Args:
        tracking_uri: a tracking URI as in MLflow, or a path; as for `load_runs`.
        query: the conditions, all of which must hold: `experiment_ids`, `run_ids`, `trace_ids`, `filter` (of the query
            language for traces), `order_by`, `limit`. Without `order_by`, the latest request is first.
        redact: replace e-mail addresses, phone numbers and a project's patterns; None for what the project says.
        content: whether what people and models wrote is shown; None for what the project says.

    Returns:
        The traces, with tables, charts and cards. Spans are read when they are needed.

    Raises:
        SelectionError: `query` has an unknown key or a value of another type, or the store cannot hold traces.
        FilterError: the filter or the order is invalid.
        StoreError: the store cannot be read.

    Example:
        >>> traces = load_traces("sqlite:///mlflow.db", {"experiment_ids": ["1"], "filter": "status = 'ERROR'"})
        >>> traces.errors()
    """
    wanted = TraceQuery.of(query or {})
    project = find_settings()
    privacy = project.privacy.with_choice(redact, content)
    store, is_of_these = find_traces(tracking_uri, wanted, project.masking, privacy)
    if not isinstance(store, ReadsGenAI):
        raise SelectionError(f"{one_line(store.uri, 100)} holds no traces.", "Name another tracking URI.")
    rows = find_experiments(store, "all")
    names = dict(zip(*(rows.column(name).to_pylist() for name in ("experiment_id", "name")), strict=True))
    reads = store

    def read() -> TraceTables:
        asked = TraceQuery(experiment_ids=tuple(reads.count_traces())) if is_of_these else wanted
        return reads.read_traces(asked, ("traces", "assessments"))

    def read_names(tables: TraceTables) -> TraceNames:
        return read_trace_names(store, tables)

    return Traces(TraceSource(reads, read, names, read_names=read_names))
