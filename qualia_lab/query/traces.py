"""Filters and orders of traces, evaluated on TraceTables; spans are read only where a condition is about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from qualia_lab.query.conditions import And, Comparison, Condition, Field, Not, Or, Order, comparisons, conjuncts
from qualia_lab.query.trace_fields import CONTENT, RUN, TraceField
from qualia_lab.query.trace_parser import parse_trace_filter, parse_trace_order
from qualia_lab.query.trace_values import Traces, as_arrow, span_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.genai_tables import TracePart, TraceTables

    Mask = np.ndarray[Any, np.dtype[np.bool_]]

__all__ = ["needed_parts", "needs_spans", "parse_trace_filter", "parse_trace_order", "select_traces"]


class ReadSpans(Protocol):
    """`ReadsGenAI.read_spans`."""

    def __call__(self, trace_ids: Sequence[str], *, content: bool) -> Iterable[pa.RecordBatch]:
        """The spans of these traces."""
        ...


def needed_parts(condition: Condition | None, orders: Sequence[Order]) -> frozenset[TracePart]:
    """The tables of TraceTables that the condition and the orders read; always includes `traces`."""
    fields = [*(comparison.field for comparison in comparisons(condition)), *(order.field for order in orders)]
    parts = {"traces", *(field.table for field in fields if field.table)}
    if any(comparison.field == RUN for comparison in comparisons(condition)):
        parts.add("links")
    return frozenset(cast("set[TracePart]", parts))


def needs_spans(condition: Condition | None) -> bool:
    """Whether the condition is about spans, so that `select_traces` needs `read_spans`."""
    return any(_is_of_span(comparison.field) for comparison in comparisons(condition))


def select_traces(
    condition: Condition | None,
    orders: Sequence[Order],
    tables: TraceTables,
    read_spans: ReadSpans | None = None,
) -> list[str]:
    """The ids of the traces that match, sorted by `orders`, then the latest request first, then by id.

    As in MLflow: a trace that lacks a field matches no comparison with it but IS NULL; one of several assessments of a
    name, or one of several spans, is enough; conditions on spans that are joined by AND are about the same span; an
    assessment of a session counts for every trace of the session; `run_id =` includes the traces linked to the run.

    Args:
        condition: the parsed filter; None matches every trace.
        orders: sort keys, the most significant first.
        tables: the traces; only the tables that `needed_parts` names have to be filled.
        read_spans: reads spans; required if `needs_spans`. It is called once, for the traces that are left after all
            conditions that are not about spans.

    Returns:
        Trace ids.

    Raises:
        TypeError: the condition is about spans and `read_spans` is None.
    """
    traces = Traces(tables)
    remaining = np.ones(traces.count, np.bool_)
    later = []
    for part in conjuncts(condition):
        if needs_spans(part):
            later.append(part)
        else:
            remaining &= _matching(part, traces, {})
    if later and remaining.any():
        rest = And(tuple(later))
        groups = dict.fromkeys(_span_groups(rest))
        remaining &= _matching(rest, traces, _read_groups(groups, traces, remaining, read_spans))
    return traces.ordered(remaining, orders)


def _matching(condition: Condition, traces: Traces, with_span: dict[Condition, Mask]) -> Mask:
    """For each trace whether the condition is true; `with_span`: which traces have a span of each group."""
    if isinstance(condition, Not):
        return ~_matching(condition.part, traces, with_span)
    if isinstance(condition, And):
        group, others = _split(condition)
        masks = [_matching(part, traces, with_span) for part in others]
        all_of: Mask = np.logical_and.reduce([*masks, with_span[group]] if group else masks)
        return all_of
    if isinstance(condition, Or):
        any_of: Mask = np.logical_or.reduce([_matching(part, traces, with_span) for part in condition.parts])
        return any_of
    if condition.operator == "IS NULL":
        is_there = Comparison(condition.field, "IS NOT NULL")
        return ~_matching(is_there, traces, with_span)
    return with_span[And((condition,))] if _is_of_span(condition.field) else traces.matching(condition)


def _span_groups(condition: Condition) -> Iterator[And]:
    """The conditions that `_matching` looks up: each of them has to be true of one and the same span."""
    if isinstance(condition, Not):
        yield from _span_groups(condition.part)
    elif isinstance(condition, And):
        group, others = _split(condition)
        if group:
            yield group
        for part in others:
            yield from _span_groups(part)
    elif isinstance(condition, Or):
        for part in condition.parts:
            yield from _span_groups(part)
    elif condition.operator == "IS NULL":
        yield from _span_groups(Comparison(condition.field, "IS NOT NULL"))
    elif _is_of_span(condition.field):
        yield And((condition,))


def _split(condition: And) -> tuple[And | None, list[Condition]]:
    """The parts of an AND that are about one span, and the others."""
    parts = conjuncts(condition)
    about_spans = tuple(part for part in parts if _is_about_one_span(part))
    return And(about_spans) if about_spans else None, [part for part in parts if part not in about_spans]


def _is_about_one_span(condition: Condition) -> bool:
    """Whether a span alone makes the condition true; NOT and IS NULL are about all spans of a trace."""
    if isinstance(condition, Comparison):
        return _is_of_span(condition.field) and condition.operator != "IS NULL"
    return not isinstance(condition, Not) and all(_is_about_one_span(part) for part in condition.parts)


def _read_groups(
    groups: Iterable[And], traces: Traces, remaining: Mask, read_spans: ReadSpans | None
) -> dict[Condition, Mask]:
    """For each group which of the remaining traces have a span of which it is true."""
    if read_spans is None:
        raise TypeError("conditions on spans need read_spans")
    found: dict[And, list[pa.Array]] = {group: [] for group in groups}
    fields = [comparison.field for group in found for comparison in comparisons(group)]
    content = any(field == CONTENT or field.kind == "span_attribute" for field in fields)
    for batch in read_spans(traces.ids_of(remaining), content=content):
        for group, trace_ids in found.items():
            trace_ids.append(batch.column("trace_id").filter(as_arrow(span_rows(group, batch))).unique())
    return {group: traces.among(trace_ids) for group, trace_ids in found.items()}


def _is_of_span(field: Field) -> bool:
    return isinstance(field, TraceField) and field.is_of_span
