"""The errors of traces by the span in which they began and the kind of their message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from qualia_lab.analysis.span_columns import span_columns
from qualia_lab.analysis.structured_text import parse_json
from qualia_lab.columns import column_of
from qualia_lab.escaping import one_line

_ERROR = "ERROR"
_WIDTH = 200  # characters of a kind of message
_LONGEST = 4_000  # characters of a message that are read

# Longer alternatives first: what differs between messages of one kind is replaced by a sign.
_VARIABLE = (
    (re.compile(r"‹([a-z]{1,20}(?: [a-z]{1,20}){0,4}) \d{1,9}›"), r"‹\1›"),  # what stands for a text that is left out
    (re.compile(r"(?i)\b[a-z][a-z0-9+.-]*://\S+"), "‹url›"),
    (re.compile(r"(?<!\w)'[^'\n]{0,300}'(?!\w)|\"[^\"\n]{0,300}\"|`[^`\n]{0,300}`"), "‹text›"),
    (re.compile(r"(?i)\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b"), "‹id›"),
    (re.compile(r"(?i)\b(?=[a-z_-]*\d)(?:[a-z]{1,8}[-_])?[0-9a-f]{8,}\b|\b0x[0-9a-f]+\b"), "‹id›"),
    (re.compile(r"(?<![\w.])[-+]?\d+(?:[.,:]\d+)*(?:e[-+]?\d+)?"), "‹n›"),
)


@dataclass(frozen=True)
class ErrorKind:
    """Errors that began in spans of one name with one kind of message.

    Attributes:
        span_name: the name of the spans.
        message: the message without what differs between them; "" where none was recorded.
        example: one of the messages, as it was recorded.
        spans: how many spans.
        trace_ids: the traces in which they are, in order.
    """

    span_name: str
    message: str
    example: str
    spans: int
    trace_ids: tuple[str, ...]


def error_kinds(table: pa.Table) -> tuple[ErrorKind, ...]:
    """Group the errors of spans, those of most traces first.

    An error is counted where it began: in a failed span none of whose children failed. The spans above it failed
    because of it.

    Args:
        table: schema.SPANS of whole traces.

    Returns:
        The kinds.
    """
    spans = span_columns(table)
    has_failed = np.array([status == _ERROR for status in spans.texts("status")], np.bool_)
    parents = spans.parent[has_failed]
    began = has_failed.copy()
    began[parents[parents >= 0]] = False
    rows = np.flatnonzero(began)
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in table.take(column_of(rows, pa.int64())).to_pylist():
        message = error_message(row)
        found.setdefault((row["name"] or "", message_kind(message)), []).append((row["trace_id"] or "", message))
    kinds = [
        ErrorKind(name, kind, of_kind[0][1], len(of_kind), tuple(dict.fromkeys(trace_id for trace_id, _ in of_kind)))
        for (name, kind), of_kind in found.items()
    ]
    return tuple(sorted(kinds, key=lambda kind: (-len(kind.trace_ids), kind.span_name, kind.message)))


def message_kind(message: str) -> str:
    """A message without what differs from one error to the next: numbers, ids, addresses and quoted texts.

    Args:
        message: the message.

    Returns:
        One line of at most 200 characters.

    Example:
        >>> message_kind("Timeout: no answer from 'search' after 30.5 s")
        'Timeout: no answer from ‹text› after ‹n› s'
    """
    kind = message[:_LONGEST]
    for pattern, sign in _VARIABLE:
        kind = pattern.sub(sign, kind)
    return one_line(kind, _WIDTH)


def error_message(span: dict[str, Any]) -> str:
    """The message of a failed span: that of its status, else of the exception among its events; "" for none.

    Args:
        span: a row of schema.SPANS.
    """
    if span["status_message"]:
        return str(span["status_message"])
    try:
        events = parse_json(span["events"] or "[]")
    except ValueError:
        return ""
    for event in events if isinstance(events, list) else ():
        attributes = event.get("attributes") if isinstance(event, dict) else None
        if isinstance(attributes, dict) and isinstance(attributes.get("exception.message"), str):
            kind = attributes.get("exception.type")
            return f"{kind}: {attributes['exception.message']}" if kind else str(attributes["exception.message"])
    return ""
