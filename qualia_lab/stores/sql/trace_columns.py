"""The columns of schema.TRACES in a database: MLflow keeps what older schemas have among metadata and tags in columns.

MLflow's client shows such columns as metadata and tags all the same, and so do the tables here.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.columns import column, whole
from qualia_lab.stores.sql.entity_rows import value_by_id
from qualia_lab.stores.sql.genai_tables import trace_info, trace_metadata
from qualia_lab.stores.sql.tables import text_id
from qualia_lab.stores.trace_files import parsed
from qualia_lab.stores.values import integer, number
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME = "mlflow.traceName"
_SESSION, _USAGE, _COST = "mlflow.trace.session", "mlflow.trace.tokenUsage", "mlflow.trace.cost"
# The columns of schema.TRACES that are values of metadata in every schema.
_METADATA = {"run_id": "mlflow.sourceRun", "user": "mlflow.trace.user", "model_id": "mlflow.modelId"}
# Those that are columns of the database since MLflow 3, and the metadata that held them before.
_PREVIEWS = {"request_preview": "mlflow.traceInputs", "response_preview": "mlflow.traceOutputs"}
_TOKENS = ("input_tokens", "output_tokens", "total_tokens")
_FURTHER_TOKENS = ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation_input_tokens_above_1hr")
COSTS = ("input_cost", "output_cost", "total_cost")
_STATES = {"TRACE_STATUS_UNSPECIFIED": "STATE_UNSPECIFIED"}  # MLflow 2's word and MLflow 3's


class TraceColumns:
    """How the traces of one database schema become schema.TRACES."""

    def __init__(self, has: frozenset[str]) -> None:
        self.has = has
        self.in_columns = "trace_info.session_id" in has  # name, session, tokens and costs

    @cached_property
    def stored(self) -> pa.Schema:
        """The columns that are read from the table of traces."""
        names = ["trace_id", "experiment_id", "name", "state", "request_time", "duration", *_PREVIEWS]
        names += ["client_request_id", "session_id", *_TOKENS, *_FURTHER_TOKENS, *COSTS]
        return pa.schema([(name, _kind(name)) for name in names])

    @cached_property
    def selected(self) -> list[sa.ColumnElement[Any]]:
        """The same columns in SQL, null where the schema lacks them."""
        trace = trace_info.c
        renamed = {
            "trace_id": trace.request_id,
            "experiment_id": text_id(trace.experiment_id),
            "name": self._column("trace_name"),
            "state": sa.case(_STATES, value=trace.status, else_=trace.status),
            "request_time": trace.timestamp_ms,
            "duration": trace.execution_time_ms,
        }
        return [renamed[name] if name in renamed else self._column(name) for name in self.stored.names]

    @cached_property
    def at_once(self) -> list[sa.ColumnElement[Any]]:
        """As `selected`, with previews and further columns from metadata, which is faster for a few traces."""
        columns = dict(zip(self.stored.names, self.selected, strict=True))
        columns |= {name: sa.func.coalesce(columns[name], _of_metadata(key)) for name, key in _PREVIEWS.items()}
        return [*columns.values(), *map(_of_metadata, _METADATA.values())]

    @cached_property
    def stored_at_once(self) -> pa.Schema:
        """The columns of `at_once`."""
        return pa.schema([*self.stored, *((name, schema.STRING) for name in _METADATA)])

    def _column(self, name: str) -> sa.ColumnElement[Any]:
        if f"trace_info.{name}" in self.has:
            return trace_info.c[name]
        kind = _kind(name)
        of_kind: sa.types.TypeEngine[Any] = (
            sa.BigInteger() if kind == schema.INT else sa.Double() if kind == schema.FLOAT else sa.String(1)
        )
        return sa.cast(sa.null(), of_kind)

    @property
    def promoted(self) -> tuple[str, ...]:
        """The keys of tags and metadata that this schema keeps as columns, whatever rows are left of them."""
        return (_NAME, _SESSION, _USAGE, _COST) if self.in_columns else ()

    @property
    def of_metadata(self) -> tuple[str, ...]:
        """The keys of metadata that the columns of schema.TRACES need, except for previews."""
        return (*_METADATA.values(), *(() if self.in_columns else (_SESSION, _USAGE, _COST)))

    def of_previews(self, stored: pa.Table) -> tuple[str, ...]:
        """The keys of metadata that hold previews which these traces lack."""
        return tuple(key for name, key in _PREVIEWS.items() if stored.column(name).null_count)

    @property
    def of_tags(self) -> tuple[str, ...]:
        """The keys of tags that the columns of schema.TRACES need."""
        return () if self.in_columns else (_NAME,)

    def traces(self, stored: pa.Table, metadata: pa.Table, tags: pa.Table) -> pa.Table:
        """The table schema.TRACES.  metadata, tags: of these traces, at least with the needed keys."""
        ids = whole(stored.column("trace_id"))

        def looked_up(rows: pa.Table, key: str) -> pa.Array:
            return value_by_id(rows_with(rows, "key", [key]).select(["trace_id", "value"]), ids)

        columns = {name: stored.column(name) for name in stored.schema.names}
        for name, key in _METADATA.items():
            if name not in columns:
                columns[name] = looked_up(metadata, key)
        for name, key in _PREVIEWS.items():
            if columns[name].null_count and metadata.num_rows:
                columns[name] = pc.coalesce(columns[name], looked_up(metadata, key))
        if not self.in_columns:
            columns |= {"name": looked_up(tags, _NAME), "session_id": looked_up(metadata, _SESSION)}
            usage, cost = ([parsed(one) for one in looked_up(metadata, key).to_pylist()] for key in (_USAGE, _COST))
            columns |= {name: _numbers(usage, name, integer) for name in _TOKENS}
            columns["total_cost"] = _numbers(cost, "total_cost", number)
        return pa.Table.from_arrays([columns[name] for name in schema.TRACES.names], schema=schema.TRACES)

    def promoted_tags(self, stored: pa.Table) -> list[pa.Table]:
        """Columns of the table of traces that MLflow's client shows as tags."""
        return [_keyed(stored, _NAME, stored.column("name"))] if self.in_columns else []

    def promoted_metadata(self, stored: pa.Table) -> list[pa.Table]:
        """Columns of the table of traces that MLflow's client shows as metadata."""
        if not self.in_columns:
            return []
        return [
            _keyed(stored, _SESSION, stored.column("session_id")),
            _keyed(stored, _USAGE, _as_json(stored, (*_TOKENS, *_FURTHER_TOKENS))),
            _keyed(stored, _COST, _as_json(stored, COSTS)),
        ]


@cache
def trace_columns(has: frozenset[str]) -> TraceColumns:
    """The columns in a database with these tables; built once, since that takes as long as reading a few traces."""
    return TraceColumns(has)


def _of_metadata(key: str) -> sa.ColumnElement[Any]:
    """The value of one key of metadata of the outer query's trace."""
    row = trace_metadata.c.request_id == trace_info.c.request_id
    value = sa.select(trace_metadata.c.value).where(row, trace_metadata.c.key == key)
    return value.correlate(trace_info).scalar_subquery()


def _kind(name: str) -> pa.DataType:
    if name in COSTS:
        return schema.FLOAT
    return schema.INT if name.endswith(("tokens", "_1hr")) or name in ("request_time", "duration") else schema.STRING


def _keyed(stored: pa.Table, key: str, values: pa.ChunkedArray | pa.Array) -> pa.Table:
    """Rows of trace, key and value, where there is a value."""
    keys = column([key] * stored.num_rows, schema.STRING)
    rows = pa.Table.from_arrays([stored.column("trace_id"), keys, values], schema=schema.TRACE_TAGS)
    return rows.filter(values.is_valid()) if values.null_count else rows


def _as_json(stored: pa.Table, names: tuple[str, ...]) -> pa.Array:
    """A JSON object of the numbers in these columns, null where there are none, spelled as MLflow's client does."""
    texts: list[str | None] = []
    for numbers in zip(*(stored.column(name).to_pylist() for name in names), strict=True):
        said = [f'"{name}": {value!r}' for name, value in zip(names, numbers, strict=True) if value is not None]
        texts.append(f"{{{', '.join(said)}}}" if said else None)
    return column(texts, schema.STRING)


def _numbers(values: list[Any], name: str, convert: Callable[[Any], Any]) -> pa.Array:
    """One number of each JSON object; null where it is missing or none."""
    found: list[Any] = []
    for value in values:
        try:
            found.append(convert(value[name]) if isinstance(value, dict) and value.get(name) is not None else None)
        except ValueError:
            found.append(None)
    return column(found, _kind(name))
