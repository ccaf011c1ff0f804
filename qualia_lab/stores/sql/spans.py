"""The spans of traces: from the table of spans, and of older traces from their files (schema.SPANS)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.stores.sql.entity_rows import EntityRows, Wanted, with_nulls
from qualia_lab.stores.sql.genai_tables import spans, trace_tags
from qualia_lab.stores.sql.rows import batched, in_order
from qualia_lab.stores.trace_files import TOKEN_USAGE, content_of, parsed, spans_at
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.sql.connection import SqlConnection

    PlaceOf = Callable[[str, str], ArtifactPlace]

# Traces that are read at once: their spans are in memory together, with content or without.
_TRACES_WITH_CONTENT, _TRACES = 100, 2_000

_ID_COLUMNS = (
    "trace_id",
    "span_id",
    "parent_id",
    "name",
    "type",
    "status",
    "start_ns",
    "end_ns",
    "model",
    "total_cost",
)
_STORED = pa.schema([*map(schema.SPANS.field, _ID_COLUMNS), pa.field("content", schema.STRING)])
_LOCATION = "mlflow.artifactLocation"


def read_spans(
    database: SqlConnection, place_of: PlaceOf, trace_ids: Sequence[str], *, content: bool
) -> Iterator[pa.RecordBatch]:
    """See ReadsGenAI.read_spans.  place_of: where the artifacts of a trace are, by its id and recorded address."""
    wanted = list(dict.fromkeys(trace_ids))
    for some in batched(wanted, _TRACES_WITH_CONTENT if content else _TRACES):
        stored = _stored(database, some, content=content)
        in_table = set(stored.column("trace_id").to_pylist())
        places = _locations(database, [one for one in some if one not in in_table])
        rows = [row for one, uri in places.items() for row in spans_at(place_of(one, uri), one, content=content)]
        table = pa.concat_tables([stored, table_of(schema.SPANS, rows)]) if rows else stored
        yield from in_order(table, "trace_id", some, ("start_ns", "span_id")).to_batches()


def _stored(database: SqlConnection, trace_ids: list[str], *, content: bool) -> pa.Table:
    """The spans of these traces in the table of spans."""
    if "spans" not in database.has_genai:
        return table_of(schema.SPANS, [])
    span = spans.c
    # Tokens and messages are only in the content, which few spans have to be parsed for.
    tells_more = sa.or_(span.status == "ERROR", span.content.contains(TOKEN_USAGE, autoescape=True))
    select = sa.select(
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        span.name,
        span.type,
        span.status,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.model_name if "spans.model_name" in database.has_genai else sa.cast(sa.null(), sa.String(1)),
        span.total_cost if "spans.total_cost" in database.has_genai else sa.cast(sa.null(), sa.Double()),
        span.content if content else sa.case((tells_more, span.content)),
    )
    table = EntityRows(database).of(_STORED, select, span.trace_id, Wanted(trace_ids), ())
    return _with_content(with_nulls(table, ["total_cost"]), content=content)


def _with_content(table: pa.Table, *, content: bool) -> pa.Table:
    """The rows with the columns that only the JSON of a span tells."""
    columns: dict[str, Any] = {name: table.column(name) for name in _ID_COLUMNS}
    parts = table.column("content").to_pylist()
    told = [_NOTHING if part is None else content_of(_as_dict(part), content=content) for part in parts]
    for one in schema.SPANS:
        if one.name not in columns:
            columns[one.name] = column([row.get(one.name) for row in told], one.type)
        elif one.name in ("model", "total_cost") and table.column(one.name).null_count:
            values = zip(table.column(one.name).to_pylist(), told, strict=True)
            columns[one.name] = column([row[one.name] if value is None else value for value, row in values], one.type)
    return pa.Table.from_arrays([columns[name] for name in schema.SPANS.names], schema=schema.SPANS)


def _as_dict(content: str) -> dict[str, Any]:
    span = parsed(content)
    return span if isinstance(span, dict) else {}


_NOTHING = content_of({}, content=False)


def _locations(database: SqlConnection, trace_ids: list[str]) -> dict[str, str]:
    """Where the artifacts of these traces are, as MLflow recorded it."""
    if not trace_ids or "trace_tags" not in database.has_genai:
        return {}
    tag = trace_tags.c
    select = sa.select(tag.request_id, tag.value).where(tag.key == _LOCATION, tag.value.is_not(None))
    rows = EntityRows(database).of(
        pa.schema([("trace_id", schema.STRING), ("uri", schema.STRING)]), select, tag.request_id, Wanted(trace_ids), ()
    )
    return dict(zip(*(rows.column(name).to_pylist() for name in rows.schema.names), strict=True))
