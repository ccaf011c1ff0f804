"""Tables of traces from pages of MLflow's JSON, of its version 3 or 2."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from qualia_lab import schema
from qualia_lab.genai_tables import TraceTables, trace_tables
from qualia_lab.stores.genai_rows import GenAIRows
from qualia_lab.stores.http.rows import objects
from qualia_lab.stores.trace_choice import ALL_PARTS, in_order
from qualia_lab.stores.trace_rows import add_assessments, add_trace, trace_id_of
from qualia_lab.stores.values import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.genai_tables import TracePart

    Json = dict[str, Any]

_ROWS_PER_TABLE = 500


def pages_of(infos: Iterable[Json], parts: frozenset[TracePart]) -> list[TraceTables]:
    """The tables of these traces in pages, each converted to columns before the next is requested."""
    remaining = iter(infos)
    return [_tables(page, parts) for page in iter(lambda: list(islice(remaining, _ROWS_PER_TABLE)), [])]


def _tables(infos: Iterable[Json], parts: frozenset[TracePart]) -> TraceTables:
    rows = GenAIRows(schema.TRACE_TABLES)
    for info in infos:
        trace_id = trace_id_of(info)
        if not trace_id:
            rows.add_problem(None, "the list of traces", "one came without an id")
            continue
        tags = _texts(info.get("tags"), trace_id, rows)
        metadata = _texts(info.get("trace_metadata", info.get("request_metadata")), trace_id, rows)
        add_trace(info, tags, metadata, rows)
        if "tags" in parts:
            rows.add_values("tags", (trace_id,), tags)
        if "metadata" in parts:
            rows.add_values("metadata", (trace_id,), metadata)
        if "assessments" in parts:
            add_assessments(trace_id, objects(info, "assessments"), rows)
    return TraceTables(**rows.to_tables())


def _texts(given: Any, trace_id: str, rows: GenAIRows) -> dict[str, str]:
    """{key: value} of tags or metadata, which are an object in MLflow 3 and a list of keys and values in MLflow 2."""
    items = given.items() if isinstance(given, dict) else ((one.get("key"), one.get("value")) for one in _list(given))
    values = {}
    for key, value in items:
        try:
            values[text(key) or ""] = text(value) or ""
        except ValueError as error:
            rows.add_problem(f"trace {trace_id}", f"value of {key}", error)
    return values


def _list(given: Any) -> list[Json]:
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def merged(pages: Sequence[TraceTables]) -> TraceTables:
    """All pages in one. A trace can be on two pages, as traces may be added during a search; the first one counts."""
    seen: set[str] = set()
    distinct = []
    for page in pages:
        new = [trace_id for trace_id in page.traces.column("trace_id").to_pylist() if trace_id not in seen]
        new = list(dict.fromkeys(new))
        seen.update(new)
        distinct.append(page if len(new) == page.traces.num_rows else in_order(page, new, ALL_PARTS))
    if not distinct:
        return trace_tables()
    return TraceTables(
        **{name: pa.concat_tables([getattr(page, name) for page in distinct]) for name in schema.TRACE_TABLES}
    )


def with_links(tables: TraceTables, links: dict[str, dict[str, None]], rows: GenAIRows) -> TraceTables:
    """The tables with links to the runs other than the source run, and with the problems of these rows."""
    source = zip(*(tables.traces.column(name).to_pylist() for name in ("trace_id", "run_id")), strict=True)
    for trace_id, source_run in source:
        linked = (run_id for run_id in links.get(trace_id, ()) if run_id != source_run)
        rows.tables["links"] += [(trace_id, run_id) for run_id in sorted(linked)]
    added = rows.to_tables()
    own = {name: getattr(tables, name) for name in schema.TRACE_TABLES}
    problems = pa.concat_tables([tables.problems, added["problems"]])
    return TraceTables(**{**own, "links": added["links"], "problems": problems})
