"""Chooses traces among those that a store without an index has read, and puts their tables in order."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.columns import column, column_of, filled, numbers_of
from qualia_lab.genai_tables import TraceTables, trace_tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from qualia_lab.genai_tables import TracePart, TraceQuery
    from qualia_lab.query.traces import ReadSpans

ALL_PARTS: tuple[TracePart, ...] = ("traces", "tags", "metadata", "links", "assessments")


def parts_to_choose(query: TraceQuery) -> frozenset[TracePart]:
    """The tables that `chosen_ids` needs. Raises FilterError if the filter or the order cannot be parsed."""
    if not query.filter and not query.order_by:
        return frozenset({"traces", "links"} if query.run_ids else {"traces"})
    from qualia_lab.query.traces import needed_parts, parse_trace_filter, parse_trace_order

    needed = needed_parts(parse_trace_filter(query.filter), parse_trace_order(query.order_by))
    return needed | {"links"} if query.run_ids else needed


def chosen_ids(query: TraceQuery, tables: TraceTables, read_spans: ReadSpans) -> list[str]:
    """The ids of the traces that match, in the query's order, up to its limit.

    Args:
        query: its experiments are not looked at: only traces of these have been read.
        tables: all traces that may match, with the tables of `parts_to_choose`.
        read_spans: see ReadsGenAI; called if the filter is about spans.
    """
    if query.run_ids:
        tables = _of_runs(query.run_ids, tables)
    if not query.filter and not query.order_by:
        return _latest_first(tables.traces)[: query.limit]
    from qualia_lab.query.traces import parse_trace_filter, parse_trace_order, select_traces

    condition, orders = parse_trace_filter(query.filter), parse_trace_order(query.order_by)
    return select_traces(condition, orders, tables, read_spans)[: query.limit]


def in_order(tables: TraceTables, trace_ids: Sequence[str], parts: Collection[TracePart]) -> TraceTables:
    """The rows of these traces in this order, in the tables of these parts; problems are kept."""
    order = column(list(trace_ids), schema.STRING)
    kept = {"traces", *parts}
    return trace_tables(
        **{field.name: _by_trace(getattr(tables, field.name), order) for field in fields(tables) if field.name in kept},
        problems=tables.problems,
    )


def _by_trace(table: pa.Table, trace_ids: pa.Array) -> pa.Table:
    """The rows of these traces, in the order of the traces; the order of the rows within a trace is kept."""
    positions = numbers_of(filled(pc.index_in(table.column("trace_id"), value_set=trace_ids), -1))
    rows = np.argsort(positions, kind="stable")
    rows = rows[np.count_nonzero(positions < 0) :]
    return table.take(column_of(rows.astype(np.int64), pa.int64()))


def _of_runs(run_ids: Sequence[str], tables: TraceTables) -> TraceTables:
    """The traces that were made in one of these runs or are linked to one."""
    wanted = set(run_ids)
    linked = {trace_id for trace_id, run_id in _pairs(tables.links) if run_id in wanted}
    trace_ids = [trace_id for trace_id, run_id in _pairs(tables.traces) if run_id in wanted or trace_id in linked]
    return in_order(tables, trace_ids, ALL_PARTS)


def _pairs(table: pa.Table) -> Iterator[tuple[str, str | None]]:
    """(trace id, run id) of each row."""
    return zip(table.column("trace_id").to_pylist(), table.column("run_id").to_pylist(), strict=True)


def _latest_first(traces: pa.Table) -> list[str]:
    """The ids of all traces, the latest request first, then by id; those without a time come last."""
    rows = zip(traces.column("request_time").to_pylist(), traces.column("trace_id").to_pylist(), strict=True)
    return [trace_id for _, trace_id in sorted(rows, key=lambda row: (row[0] is None, -(row[0] or 0), row[1]))]
