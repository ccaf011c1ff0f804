"""Reads the spans of a server's traces: several traces at once where it can, else the file of each trace."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from qualia_lab import schema
from qualia_lab.errors import StoreUnreadable
from qualia_lab.stores.http.endpoints import API3, PAGES2, PAGES3
from qualia_lab.stores.http.history import batches_of
from qualia_lab.stores.http.rest import RequestRejected
from qualia_lab.stores.http.rows import objects
from qualia_lab.stores.limits import Budget
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.trace_files import span_row, spans_in_file
from qualia_lab.stores.trace_rows import trace_id_of
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.stores.http.rest import RestClient

    Json = dict[str, Any]
    Rows = list[Json]

_TRACES_PER_REQUEST = 50
_CONCURRENCY = 4
_LARGEST_FILE = 64 << 20  # bytes, as of other answers
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")


class ServerSpans:
    """The spans of the traces of one server."""

    def __init__(self, client: RestClient) -> None:
        self._client = client
        self._in_batches = True  # until it says otherwise

    def read(self, trace_ids: Sequence[str], *, content: bool) -> Iterator[pa.RecordBatch]:
        """The spans of these traces, in batches; traces whose spans cannot be read yield nothing."""
        valid = [trace_id for trace_id in dict.fromkeys(trace_ids) if _ID.match(trace_id)]
        budget = Budget(self._client.uri.safe, "spans")

        def read(batch: list[str]) -> Rows:
            return self._read(batch, budget, content=content)

        for rows in in_parallel(read, batches_of(valid, _TRACES_PER_REQUEST), _CONCURRENCY):
            if rows:
                yield from table_of(schema.SPANS, rows).to_batches()

    def _read(self, trace_ids: list[str], budget: Budget, *, content: bool) -> Rows:
        """The spans of some traces, in this order."""
        found = self._together(trace_ids, budget, content=content) if self._in_batches else {}
        # Spans of older traces, and all of a server over a folder of files, are in a file for each trace.
        others = [trace_id for trace_id in trace_ids if not found.get(trace_id)]
        found |= {trace_id: self._file(trace_id, budget, content=content) for trace_id in others}
        return [row for trace_id in trace_ids for row in found[trace_id]]

    def _together(self, trace_ids: list[str], budget: Budget, *, content: bool) -> dict[str, Rows]:
        """{trace id: its spans} of those that the server gives in one answer, which is split if it is too large."""
        parameters = [("trace_ids", trace_id) for trace_id in trace_ids]
        try:
            answer, size = self._client.request_json_with_size("GET", f"{API3}/traces/batchGet", parameters=parameters)
        except RequestRejected:
            self._in_batches = False
            return {}
        except StoreUnreadable:
            if len(trace_ids) == 1:
                return {}
            halves = batches_of(trace_ids, -(-len(trace_ids) // 2))
            return {key: rows for half in halves for key, rows in self._together(half, budget, content=content).items()}
        found = {}
        for trace in objects(answer, "traces"):
            info = trace.get("trace_info")
            trace_id = trace_id_of(info if isinstance(info, dict) else {})
            found[trace_id] = _rows(objects(trace, "spans"), trace_id, content=content)
        budget.spend(sum(map(len, found.values())), size, pages=0)
        return found

    def _file(self, trace_id: str, budget: Budget, *, content: bool) -> Rows:
        """The spans in the file of one trace; none if there is none, or if it is too large."""
        for path in (PAGES3, PAGES2):
            try:
                data = self._client.fetch(
                    "GET", f"{path}/get-trace-artifact", parameters=[("request_id", trace_id)], limit=_LARGEST_FILE
                )
            except RequestRejected as error:
                if error.error_code:  # the endpoint exists, the file does not
                    return []
                continue
            if len(data) > _LARGEST_FILE:
                return []
            rows = spans_in_file(data, trace_id, content=content)
            budget.spend(len(rows), len(data), pages=0)
            return rows
        return []


def _rows(spans: list[Json], trace_id: str, *, content: bool) -> Rows:
    """Rows of schema.SPANS from OpenTelemetry's JSON of spans, by start and id; none if they are nested too deeply."""
    try:
        rows = [span_row(_as_in_file(span), trace_id, content=content) for span in spans]
    except RecursionError:
        return []
    return sorted(rows, key=lambda row: (row["start_ns"] or 0, row["span_id"] or ""))


def _as_in_file(span: Json) -> Json:
    """A span as in MLflow's file: attributes as an object of JSON texts, those of events as an object."""
    events = [{**event, "attributes": _values(objects(event, "attributes"))} for event in objects(span, "events")]
    attributes = {
        key: json.dumps(value, ensure_ascii=False) for key, value in _values(objects(span, "attributes")).items()
    }
    return {**span, "attributes": attributes, "events": events}


def _values(attributes: list[Json]) -> Json:
    return {str(attribute.get("key")): _value(attribute.get("value")) for attribute in attributes}


def _value(value: Any) -> Any:
    """The value that OpenTelemetry's JSON wraps in an object with its type."""
    if not isinstance(value, dict):
        return None
    for kind, content in value.items():
        if kind == "kvlist_value":
            return _values(objects(content, "values"))
        if kind == "array_value":
            return [_value(item) for item in objects(content, "values")]
        if kind == "int_value":
            return _number(int, content)
        if kind == "double_value":
            return _number(float, content)
        return content
    return None


def _number(kind: type[int | float], content: Any) -> Any:
    """The number, which JSON gives as text if it is large or not finite."""
    try:
        return kind(content)
    except (ValueError, TypeError, OverflowError):
        return content
