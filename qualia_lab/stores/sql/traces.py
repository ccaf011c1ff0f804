"""Traces of a database with their tags, metadata, links and assessments (TraceTables)."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.columns import column, column_of, filled, numbers_of, whole
from qualia_lab.genai_tables import TraceTables, trace_tables
from qualia_lab.stores.sql.entity_rows import MANY, EntityRows, Wanted, value_of_ids, with_nulls
from qualia_lab.stores.sql.genai_tables import assessments, associations, trace_info, trace_metadata, trace_tags
from qualia_lab.stores.sql.rows import in_order
from qualia_lab.stores.sql.tables import text_id
from qualia_lab.stores.sql.trace_columns import COSTS, trace_columns
from qualia_lab.stores.sql.trace_statements import (
    IS_LINK,
    STORED_ASSESSMENTS,
    assessments_of_traces,
    keys_and_values,
    matching,
)
from qualia_lab.stores.trace_files import parsed
from qualia_lab.stores.values import text
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.genai_tables import TracePart, TraceQuery
    from qualia_lab.query.traces import ReadSpans
    from qualia_lab.stores.sql.connection import SqlConnection
    from qualia_lab.stores.sql.entity_rows import Begun

    Truth = sa.ColumnElement[bool]

_ALL_PARTS: tuple[TracePart, ...] = ("traces", "tags", "metadata", "links", "assessments")


def read_traces(
    database: SqlConnection, query: TraceQuery, parts: Sequence[TracePart] | None, read_spans: ReadSpans
) -> TraceTables:
    """See ReadsGenAI.read_traces.  read_spans: reads spans of the same database, for conditions on them."""
    asked = _ALL_PARTS if parts is None else parts
    if not query.filter and not query.order_by:
        return _TraceReading(database, query).tables(asked)
    from qualia_lab.query.traces import (
        needed_parts,
        parse_trace_filter,
        parse_trace_order,
        select_traces,
    )

    condition, orders = parse_trace_filter(query.filter), parse_trace_order(query.order_by)
    everything = replace(query, filter="", order_by=(), limit=None)
    searched = _TraceReading(database, everything).tables(tuple(needed_parts(condition, orders)))
    ids = select_traces(condition, orders, searched, read_spans)[: query.limit]
    if not ids:
        return trace_tables(problems=searched.problems)
    found = _TraceReading(database, replace(everything, trace_ids=tuple(ids))).tables(asked)
    return TraceTables(
        problems=found.problems,
        **{name: in_order(getattr(found, name), "trace_id", ids, ()) for name in _ALL_PARTS},
    )


def count_traces(database: SqlConnection, experiment_ids: Sequence[str] = ()) -> dict[str, int]:
    """See ReadsGenAI.count_traces."""
    if "trace_info" not in database.has_genai:
        return {}
    experiment = trace_info.c.experiment_id
    select = sa.select(text_id(experiment), sa.func.count()).group_by(experiment).order_by(experiment)
    if experiment_ids:
        select = select.where(experiment.in_(_numbers(experiment_ids)))
    return {str(name): int(count) for name, count in database.fetch(select)}


class _TraceReading:
    """One `read_traces`: the traces first, then what other tables hold about them."""

    def __init__(self, database: SqlConnection, query: TraceQuery) -> None:
        self.database = database
        self.has = database.has_genai
        self.query = query
        self.rows = EntityRows(database)
        self.columns = trace_columns(self.has)

    def tables(self, parts: Sequence[TracePart]) -> TraceTables:
        """The traces in the order of the query, and these of their tables."""
        at_once = self.columns.in_columns and "metadata" not in parts and self.are_few
        # Where all traces are wanted, what other tables hold about them is read meanwhile.
        traces = self.begin_all() if self.are_all else None
        begun = self.begin_others(parts, None, self.columns.of_metadata) if traces else {}
        stored = with_nulls(self.rows.rows(traces) if traces else self.traces(at_once=at_once), COSTS)
        wanted, previews = self.wanted(stored), self.columns.of_previews(stored)
        if not traces:
            keys = () if at_once else (*self.columns.of_metadata, *previews)
            begun = self.begin_others(parts, wanted, keys)
        elif previews and "metadata" not in parts:
            begun["previews"] = self.begin_keyed(trace_metadata, wanted, previews)
        found = {name: self.rows.rows(one) for name, one in begun.items()}
        metadata = _concatenated(found, "metadata", "previews")
        tables = {"traces": self.columns.traces(stored, metadata, _concatenated(found, "tags"))}
        if "metadata" in parts:
            tables["metadata"] = self.ordered(metadata, self.columns.promoted_metadata(stored), wanted)
        if "tags" in parts:
            tables["tags"] = self.ordered(_concatenated(found, "tags"), self.columns.promoted_tags(stored), wanted)
        if "links" in found:
            tables["links"] = self.links(found["links"], tables["traces"], wanted)
        if "assessments" in found:
            tables["assessments"] = self.assessments(found["assessments"], wanted)
        return trace_tables(**tables, problems=self.rows.problem_table(wanted.ids if self.rows.problems else None))

    @property
    def are_few(self) -> bool:
        """Whether a page of traces is asked for, or a small part of all of them that a cursor has to read."""
        limit = len(self.query.trace_ids) or self.query.limit
        if limit is None:
            return False
        return limit < MANY or (not self.database.reads_arrow and limit * 8 < self.count)

    @property
    def are_all(self) -> bool:
        """Whether most of many traces are wanted, as far as is known before they are read."""
        query = self.query
        if query.trace_ids or query.experiment_ids or query.run_ids or not self.database.reads_arrow:
            return False
        if "trace_info" not in self.has or (query.limit is not None and query.limit < MANY):
            return False
        return self.count >= MANY and (query.limit is None or query.limit * 2 >= self.count)

    def begin_all(self) -> Begun:
        """Begin to read the rows of the table of traces where most are wanted."""
        limit = self.query.limit
        select = self.matching(at_once=False, limited=limit is not None)
        return self.rows.begin(self.columns.stored, [(select, {} if limit is None else {"limit": limit})], self.count)

    def traces(self, *, at_once: bool) -> pa.Table:
        """The rows of the table of traces that match, the latest first.  at_once: with values of metadata."""
        columns = self.columns.stored_at_once if at_once else self.columns.stored
        if "trace_info" not in self.has:
            return table_of(columns, [])
        limit, ids = self.query.limit, list(dict.fromkeys(self.query.trace_ids))
        if not ids:
            select, values = self.matching(at_once=at_once, limited=limit is not None), dict(self.values)
            if limit is not None:
                values["limit"] = limit
            count = limit if limit is not None and limit < MANY else min(self.count, limit or self.count)
            return self.rows.all_of(columns, select, count, **values)
        select = self.matching(at_once=at_once, limited=False)
        wanted = Wanted(ids, are_most=len(ids) >= MANY and len(ids) * 2 >= self.count)
        found = self.rows.of(columns, select, trace_info.c.request_id, wanted, (), **self.values)
        by_id = column(sorted(found.column("trace_id").to_pylist()), schema.STRING)
        places = numbers_of(pc.index_in(found.column("trace_id"), value_set=by_id))
        latest = np.lexsort([places, -numbers_of(filled(found.column("request_time"), 0))])
        return found.take(column_of(latest, schema.INT)).slice(0, limit)

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values of the parameters of the query's conditions."""
        values: dict[str, Any] = {}
        if self.query.experiment_ids:
            values["experiments"] = _numbers(self.query.experiment_ids)
        if self.query.run_ids:
            dialect = self.database.sql.dialect.name
            values["runs"] = value_of_ids(list(dict.fromkeys(self.query.run_ids)), dialect)
        return values

    def matching(self, *, at_once: bool, limited: bool) -> sa.Select[Any]:
        """The traces in the experiments and runs of the query."""
        dialect = self.database.sql.dialect.name
        # SQLite would find the latest traces of several experiments by experiment, not by time.
        by_time = limited and len(self.query.experiment_ids) != 1 and dialect == "sqlite"
        selected = self.columns.at_once if at_once else self.columns.selected
        return matching(self.has, dialect, frozenset(self.values), by_time, limited, *selected)

    @cached_property
    def count(self) -> int:
        """The number of traces in the database."""
        [(count,)] = self.database.fetch(sa.select(sa.func.count()).select_from(trace_info))
        return int(count)

    def wanted(self, stored: pa.Table) -> Wanted:
        """How the rows of these traces are found in other tables."""
        ids: list[str] = stored.column("trace_id").to_pylist()
        if len(ids) < MANY:
            return Wanted(ids)
        return Wanted(ids, are_most=len(ids) * 2 >= self.count)

    def begin_others(
        self, parts: Sequence[TracePart], wanted: Wanted | None, of_metadata: tuple[str, ...]
    ) -> dict[str, Begun]:
        """Begin to read what other tables hold about traces.

        Args:
            parts: the tables that are wanted.
            wanted: which traces; None for all.
            of_metadata: the keys of metadata that columns of traces need.
        """
        begun = {}
        # The largest tables first: two are read at a time.
        if "assessments" in parts and "assessments" in self.has:
            begun["assessments"] = self.begin(
                STORED_ASSESSMENTS, assessments_of_traces(), assessments.c.trace_id, wanted
            )
        for name, table, keys in (
            ("metadata", trace_metadata, of_metadata),
            ("tags", trace_tags, self.columns.of_tags),
        ):
            if table.name in self.has and (name in parts or keys):
                begun[name] = self.begin_keyed(table, wanted, None if name in parts else keys)
        if "links" in parts and "entity_associations" in self.has:
            select = sa.select(associations.c.source_id, associations.c.destination_id).where(IS_LINK)
            begun["links"] = self.begin(schema.TRACE_LINKS, select, associations.c.source_id, wanted)
        return begun

    def begin(
        self, columns: pa.Schema, select: sa.Select[Any], owner: sa.ColumnElement[Any], wanted: Wanted | None
    ) -> Begun:
        """Begin to read the rows of these traces, or of all."""
        if wanted is None:
            return self.rows.begin(columns, [(select, {})], self.count)
        return self.rows.begin_of(columns, select, owner, wanted)

    def begin_keyed(self, table: sa.TableClause, wanted: Wanted | None, only: tuple[str, ...] | None) -> Begun:
        """Begin to read a table of keys and values, without those that MLflow keeps as columns.

        only: the keys that are needed; None for all.
        """
        select = keys_and_values(table, only, self.columns.promoted)
        return self.begin(schema.TRACE_TAGS, select, table.c.request_id, wanted)

    def ordered(self, table: pa.Table, more: list[pa.Table], wanted: Wanted) -> pa.Table:
        """Keys and values, with further ones, by trace and key."""
        return in_order(pa.concat_tables([table, *more]), "trace_id", wanted.ids, ("key",))

    def links(self, links: pa.Table, traces: pa.Table, wanted: Wanted) -> pa.Table:
        """The runs that the traces are linked to, except for their source run."""
        links = in_order(links, "trace_id", wanted.ids, ("run_id",))
        if not links.num_rows:
            return links
        places = pc.index_in(links.column("trace_id"), value_set=whole(traces.column("trace_id")))
        is_other = pc.not_equal(links.column("run_id"), traces.column("run_id").take(places))
        return links.filter(pc.fill_null(is_other, column([True], pa.bool_())[0]))

    def assessments(self, table: pa.Table, wanted: Wanted) -> pa.Table:
        """Everything that was said about the traces."""
        table = in_order(table, "trace_id", wanted.ids, ("creation_time", "assessment_id"))
        valid = table.column("valid").cast(pa.bool_())
        table = table.set_column(table.schema.get_field_index("valid"), "valid", valid)
        errors = table.column("error")
        if errors.null_count < len(errors):
            messages = column([_message(error) for error in errors.to_pylist()], schema.STRING)
            table = table.set_column(table.schema.get_field_index("error"), "error", messages)
        return table.cast(schema.ASSESSMENTS)


def _concatenated(found: dict[str, pa.Table], *names: str) -> pa.Table:
    """The rows of keys and values of these names, as far as there are any."""
    tables = [found[name] for name in names if name in found]
    return pa.concat_tables(tables) if tables else table_of(schema.TRACE_TAGS, [])


def _message(error: str | None) -> str | None:
    """The message of an error that MLflow stores as JSON; its code if it has none."""
    said = parsed(error)
    if not isinstance(said, dict):
        return error
    return text(str(said.get("error_message") or said.get("error_code") or "unknown"))


def _numbers(experiment_ids: Sequence[str]) -> list[int]:
    return [int(one) for one in dict.fromkeys(experiment_ids) if one.lstrip("-").isdigit()]
