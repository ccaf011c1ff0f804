"""The values of the fields of traces and spans, column by column, and which of them satisfy a comparison."""

from __future__ import annotations

import json
import operator
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.columns import column, column_of, filled, numbers_of, whole
from qualia_lab.query.conditions import And, Comparison, Condition, Or
from qualia_lab.query.evaluate import predicate
from qualia_lab.query.trace_fields import CONTENT, NUMBERS, PROMPT, RUN, TIMES, TraceField
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qualia_lab.genai_tables import TraceTables
    from qualia_lab.query.conditions import Order, Scalar

    Mask = np.ndarray[Any, np.dtype[np.bool_]]

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_PROMPTS_TAG = "mlflow.linkedPrompts"
# In the metadata of an assessment that counts for every trace of the session.
_OF_SESSION = '"mlflow.trace.session":'
# Attributes for which schema.SPANS has a column.
_SPAN_COLUMNS = {"mlflow.spanInputs": "inputs", "mlflow.spanOutputs": "outputs"}
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_. -]*")
_SPAN_TEXTS = ("name", "status_message", "inputs", "outputs", "attributes", "events")


class Traces:
    """The traces of TraceTables by their position, with one method for each thing that is asked of all of them."""

    def __init__(self, tables: TraceTables) -> None:
        self.tables = tables
        self.ids = whole(tables.traces.column("trace_id"))
        self.count = len(self.ids)

    def ids_of(self, mask: Mask) -> list[str]:
        """The ids of these traces, in the order of the tables."""
        ids: list[str] = self.ids.filter(as_arrow(mask)).to_pylist()
        return ids

    def having(self, trace_ids: pa.Array | pa.ChunkedArray, rows: Mask) -> Mask:
        """The traces to which one of these rows of another table belongs."""
        owners = numbers_of(filled(pc.index_in(whole(trace_ids), value_set=self.ids), -1))[rows]
        mask = np.zeros(self.count, np.bool_)
        mask[owners[owners >= 0]] = True
        return mask

    def among(self, trace_ids: Sequence[pa.Array]) -> Mask:
        """The traces whose id is in one of these arrays."""
        is_in = pc.is_in(self.ids, value_set=whole(pa.chunked_array(trace_ids, pa.string())))
        mask: Mask = numbers_of(pc.cast(is_in, pa.int8())).astype(np.bool_)
        return mask

    def matching(self, comparison: Comparison) -> Mask:
        """The traces that satisfy a comparison of anything but spans, and not IS NULL."""
        field = comparison.field
        assert isinstance(field, TraceField)
        if field.is_assessment or field.kind == "issue":
            return self.assessed(comparison, field)
        if field.kind != "attribute":
            rows = rows_with(getattr(self.tables, field.table), "key", [field.key])
            return self.having(rows.column("trace_id"), text_rows(rows.column("value"), predicate(comparison)))
        if field == PROMPT:
            rows = rows_with(self.tables.tags, "key", [_PROMPTS_TAG])
            holds = predicate(comparison)
            return self.having(
                rows.column("trace_id"),
                text_rows(rows.column("value"), lambda text: any(map(holds, _prompts(text)))),
            )
        if field.key in TIMES or field.key in NUMBERS or field.key == "duration":
            return _number_rows(*self.numbers(field.key), comparison)
        mask = text_rows(self.tables.traces.column(field.key), predicate(comparison))
        if field == RUN and comparison.operator in ("=", "IN"):
            links = self.tables.links
            mask |= self.having(links.column("trace_id"), text_rows(links.column("run_id"), predicate(comparison)))
        return mask

    def numbers(self, key: str) -> tuple[np.ndarray[Any, Any], Mask]:
        """The values of an attribute that is a number, and where there is one."""
        traces = self.tables.traces
        if key == "end_time":
            starts, is_there = self.numbers("request_time")
            return starts + self.numbers("duration")[0], is_there
        values = whole(traces.column(key))
        return numbers_of(filled(values, 0)), _is_valid(values)

    def assessed(self, comparison: Comparison, field: TraceField) -> Mask:
        """The traces with a valid assessment of this name, or of their session, that satisfies the comparison."""
        rows = rows_with(self.tables.assessments, "kind", [field.kind])
        if field.kind == "issue":
            return self.having(rows.column("trace_id"), text_rows(rows.column("name"), predicate(comparison)))
        rows = rows_with(rows, "name", [field.key])
        is_valid = numbers_of(filled(pc.cast(rows.column("valid"), pa.int8()), 1)).astype(np.bool_)
        holds = _judgement(comparison)
        # An assessment without a value, as of a judge that failed, is there: MLflow compares it as null.
        matches = is_valid & text_rows(rows.column("value"), holds, missing=holds("null"))
        mask = self.having(rows.column("trace_id"), matches)
        of_session = matches & text_rows(rows.column("metadata"), lambda text: _OF_SESSION in text)
        if of_session.any():
            sessions = whole(self.tables.traces.column("session_id"))
            named = sessions.filter(as_arrow(self.having(rows.column("trace_id"), of_session))).drop_null()
            is_in = pc.is_in(sessions, value_set=named)
            mask |= numbers_of(pc.cast(is_in, pa.int8())).astype(np.bool_) & _is_valid(sessions)
        return mask

    def ordered(self, mask: Mask, orders: Sequence[Order]) -> list[str]:
        """The ids of these traces, sorted; missing values come last in both directions."""
        keys: list[np.ndarray[Any, Any]] = []
        for order in orders:
            ranks, is_there = self.ranks(order.field)
            keys += [~is_there, np.where(is_there, -ranks if order.descending else ranks, 0)]
        times, is_timed = self.latest
        keys += [~is_timed, times, self.id_ranks]
        rows = np.lexsort(keys[::-1])
        ids: list[str] = self.ids.take(column_of(rows[mask[rows]].astype(np.int64), pa.int64())).to_pylist()
        return ids

    @cached_property
    def latest(self) -> tuple[np.ndarray[Any, Any], Mask]:
        """Ranks by which the latest request comes first."""
        times, is_there = self.numbers("request_time")
        return -_ranks_of_numbers(times), is_there

    @cached_property
    def id_ranks(self) -> np.ndarray[Any, Any]:
        """The rank of each trace by its id."""
        return _ranks_of_texts(self.ids)

    def ranks(self, field: Any) -> tuple[np.ndarray[Any, Any], Mask]:
        """The rank of each trace by a field, and where there is a value. NaN is larger than all numbers."""
        if field.kind != "attribute":
            rows = rows_with(getattr(self.tables, field.table), "key", [field.key])
            places = pc.index_in(self.ids, value_set=whole(rows.column("trace_id")))
            values = pc.take(whole(rows.column("value")), places)
        elif field.key in TIMES or field.key in NUMBERS or field.key == "duration":
            numbers, is_there = self.numbers(field.key)
            return _ranks_of_numbers(numbers), is_there
        else:
            values = whole(self.tables.traces.column(field.key))
        return _ranks_of_texts(values), _is_valid(values)


def span_rows(condition: Condition, batch: pa.RecordBatch) -> Mask:
    """The spans of a batch of which a condition without NOT is true."""
    if isinstance(condition, And | Or):
        join = np.logical_and if isinstance(condition, And) else np.logical_or
        mask: Mask = join.reduce([span_rows(part, batch) for part in condition.parts])
        return mask
    assert isinstance(condition, Comparison)
    field, holds = condition.field, predicate(condition)
    if field == CONTENT:
        line_break = column(["\n"], pa.string())[0]
        texts = [batch.column(name) for name in _SPAN_TEXTS]
        return text_rows(pc.binary_join_element_wise(*texts, line_break, null_handling="replace"), holds)
    if field.kind == "span":
        return text_rows(batch.column(field.key), holds)
    if field.key in _SPAN_COLUMNS:
        return text_rows(batch.column(_SPAN_COLUMNS[field.key]), holds)
    mask = np.zeros(batch.num_rows, np.bool_)
    attributes = batch.column("attributes")
    # Only few spans have the attribute; a key that JSON may write in several ways is looked for in all.
    part = field.key if _PLAIN_KEY.fullmatch(field.key) else ""
    may_have = numbers_of(filled(pc.cast(pc.match_substring(attributes, part), pa.int8()), 0))
    for row in np.flatnonzero(may_have).tolist():
        value = _attribute(attributes[row].as_py(), field.key)
        mask[row] = value is not None and holds(value)
    return mask


def text_rows(values: pa.Array | pa.ChunkedArray, holds: Callable[[str], Any], *, missing: bool = False) -> Mask:
    """The rows whose text satisfies a predicate, which is asked once for each distinct text."""
    encoded = whole(values).dictionary_encode()
    found = np.array([*(bool(holds(text)) for text in encoded.dictionary.to_pylist()), missing], np.bool_)
    rows: Mask = found[numbers_of(filled(encoded.indices, -1))]
    return rows


def _number_rows(values: np.ndarray[Any, Any], is_there: Mask, comparison: Comparison) -> Mask:
    operand: Any = comparison.value
    if comparison.operator == "IS NOT NULL":
        return is_there
    if isinstance(operand, tuple):
        is_in = np.isin(values, np.array(operand))
        return is_there & (is_in if comparison.operator == "IN" else ~is_in)
    holds: Mask = is_there & _COMPARE[comparison.operator](values, operand)
    return holds


def _judgement(comparison: Comparison) -> Callable[[str], bool]:
    """A predicate on the JSON text of an assessment's value."""
    name, operand = comparison.operator, comparison.value
    if name == "IS NOT NULL":
        return lambda _: True
    if "LIKE" in name:
        return predicate(comparison)
    if name in ("=", "!=", "IN", "NOT IN"):
        operands = operand if isinstance(operand, tuple) else (operand,)
        is_negated = name in ("!=", "NOT IN")
        return lambda text: any(_is_value(text, value) for value in operands) != is_negated
    compare = _COMPARE[name]

    def holds(text: str) -> bool:
        value = _decoded(text)
        return isinstance(value, int | float) and not isinstance(value, bool) and compare(value, operand)

    return holds


def _is_value(text: str, operand: Scalar | None) -> bool:
    """Whether JSON text is this value; text in a filter is compared with a string and with the JSON text."""
    value = _decoded(text)
    if isinstance(operand, str):
        return operand in (text, value)
    if isinstance(operand, bool):
        return value is operand
    return isinstance(value, int | float) and not isinstance(value, bool) and value == operand


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _attribute(text: str, key: str) -> str | None:
    """The value of an attribute of a span as text: a string as it is, anything else as JSON."""
    attributes = _decoded(text)
    value = attributes.get(key) if isinstance(attributes, dict) else None
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _prompts(text: str) -> list[str]:
    """The prompt versions that a trace is linked to, as `name/version`."""
    linked = _decoded(text)
    items = linked if isinstance(linked, list) else []
    return [f"{item.get('name')}/{item.get('version')}" for item in items if isinstance(item, dict)]


def _ranks_of_numbers(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    ranks: np.ndarray[Any, Any] = np.unique(values, return_inverse=True)[1]
    return ranks


def _ranks_of_texts(values: pa.Array) -> np.ndarray[Any, Any]:
    """The rank of each text by its code points; 0 for a missing one."""
    encoded = values.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    rank_of = np.zeros(len(texts) + 1, np.int64)
    rank_of[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    ranks: np.ndarray[Any, Any] = rank_of[numbers_of(filled(encoded.indices, -1))]
    return ranks


def _is_valid(values: pa.Array) -> Mask:
    return numbers_of(pc.cast(pc.is_valid(values), pa.int8())).astype(np.bool_)


def as_arrow(mask: Mask) -> pa.Array:
    """A mask as an Arrow array."""
    return pc.cast(column_of(mask.astype(np.int8), pa.int8()), pa.bool_())
