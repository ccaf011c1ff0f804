"""Spans as MLflow writes them in JSON: in the artifact `traces.json` of a trace, and in a database's column `content`.

MLflow 2 and 3 name the parts of a span differently; both become rows of schema.SPANS. What they hold is untrusted.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import StoreError
from qualia_lab.stores.values import integer, number, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qualia_lab.stores.protocol import ArtifactPlace

    Row = dict[str, Any]

TRACE_FILE = "traces.json"
LARGEST_FILE = 100_000_000  # bytes; a part of a file is no JSON
_HEXADECIMAL = re.compile(r"(0x)?([0-9a-f]{16})\Z")
_STATUSES = {"0": "UNSET", "1": "OK", "2": "ERROR"}  # the numbers of OpenTelemetry
_INPUTS, _OUTPUTS, _TYPE = "mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.spanType"
_MODEL, TOKEN_USAGE, _COST = "mlflow.llm.model", "mlflow.chat.tokenUsage", "mlflow.llm.cost"


def spans_at(place: ArtifactPlace, trace_id: str, *, content: bool) -> list[Row]:
    """The spans in the file of a trace, by start and id; none if it cannot be read.

    Args:
        place: where the artifacts of the trace are, by the rules of `artifact_place`.
        trace_id: the trace.
        content: see ReadsGenAI.read_spans.
    """
    try:
        data = place.read_bytes(TRACE_FILE, LARGEST_FILE + 1)
    except StoreError:
        return []
    return spans_in_file(data, trace_id, content=content) if len(data) <= LARGEST_FILE else []


def spans_in_file(data: bytes, trace_id: str, *, content: bool) -> list[Row]:
    """The spans in the bytes of a `traces.json`, by start and id; none if it is no such file."""
    read = parsed(data)
    spans = read.get("spans") if isinstance(read, dict) else None
    rows = [span_row(span, trace_id, content=content) for span in _list(spans) if isinstance(span, dict)]
    return sorted(rows, key=lambda row: (row["start_ns"] or 0, row["span_id"] or ""))


def span_row(span: Mapping[str, Any], trace_id: str, *, content: bool) -> Row:
    """The row of schema.SPANS of one span.

    Args:
        span: as in the file, of MLflow 2 or 3.
        trace_id: the trace.
        content: False leaves inputs, outputs, attributes and events null.
    """
    context, status = _dict(span.get("context")), span.get("status")
    of_status = status if isinstance(status, dict) else {"code": span.get("status_code", status)}
    code = _word(of_status.get("code"))
    return {
        "trace_id": trace_id,
        "span_id": _id(context.get("span_id", span.get("span_id"))),
        "parent_id": _id(span.get("parent_id", span.get("parent_span_id"))),
        "name": _word(span.get("name")),
        "type": _word(_decoded(_dict(span.get("attributes")).get(_TYPE))),
        "status": None if code is None else _STATUSES.get(code, code.removeprefix("STATUS_CODE_")),
        "start_ns": _or_none(integer, span.get("start_time_unix_nano", span.get("start_time"))),
        "end_ns": _or_none(integer, span.get("end_time_unix_nano", span.get("end_time"))),
        **content_of(span, content=content),
    }


def content_of(span: Mapping[str, Any], *, content: bool) -> Row:
    """The columns of schema.SPANS that a database has no column for.

    Args:
        span: as in the file, of MLflow 2 or 3; {} makes all of them null.
        content: False leaves inputs, outputs, attributes and events null.
    """
    status, attributes = _dict(span.get("status")), _dict(span.get("attributes"))
    usage, cost = _dict(_decoded(attributes.get(TOKEN_USAGE))), _dict(_decoded(attributes.get(_COST)))
    row: Row = {
        "status_message": _word(status.get("message", span.get("status_message"))) or None,
        "model": _word(_decoded(attributes.get(_MODEL))),
        "input_tokens": _or_none(integer, usage.get("input_tokens")),
        "output_tokens": _or_none(integer, usage.get("output_tokens")),
        "total_cost": _or_none(number, cost.get("total_cost")),
    }
    if content:
        others = {key: _decoded(value) for key, value in attributes.items() if key not in (_INPUTS, _OUTPUTS)}
        events = [_event(event) for event in _list(span.get("events")) if isinstance(event, dict)]
        row |= {
            "inputs": _json(attributes.get(_INPUTS)),
            "outputs": _json(attributes.get(_OUTPUTS)),
            "attributes": _dumped(others) if others else None,
            "events": _dumped(events) if events else None,
        }
    return row


def parsed(data: str | bytes | None) -> Any:
    """What this JSON says; None if it is none."""
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError):
        return None


def _event(event: Mapping[str, Any]) -> Row:
    """An event with its name, its time in ns and its attributes."""
    return {
        "name": event.get("name"),
        "timestamp": event.get("time_unix_nano", event.get("timestamp")),
        "attributes": event.get("attributes"),
    }


def _id(value: Any) -> str | None:
    """The id of a span: 16 hexadecimal digits, from base64 in MLflow 3, after `0x` in MLflow 2."""
    word = _word(value)
    if not word:
        return None
    if match := _HEXADECIMAL.match(word):
        return match[2]
    try:
        return base64.b64decode(word, validate=True).hex()
    except (binascii.Error, ValueError):
        return word


def _decoded(value: Any) -> Any:
    """The value of an attribute, which MLflow stores as JSON text."""
    if not isinstance(value, str):
        return value
    read = parsed(value)
    return value if read is None and value != "null" else read


def _json(value: Any) -> str | None:
    """The value of an attribute as JSON text; None if there is none."""
    if value is None:
        return None
    return text(value) if isinstance(value, str) and (parsed(value) is not None or value == "null") else _dumped(value)


def _dumped(value: Any) -> str:
    return text(json.dumps(value, ensure_ascii=False)) or ""


def _word(value: Any) -> str | None:
    return _dumped(value) if isinstance(value, (list, dict)) else text(value)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _or_none(convert: Callable[[Any], Any], value: Any) -> Any:
    """The value as a number; None if it is none."""
    try:
        return None if value is None else convert(value)
    except ValueError:
        return None
