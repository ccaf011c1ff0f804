"""ModelTables, TraceTables, EvaluationTables: what an MLflow 3 store holds beside runs, as bundles of tidy tables."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.errors import SelectionError
from qualia_lab.escaping import one_line
from qualia_lab.tables import check_schemas, digest_of, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from qualia_lab.tables import RunTables

# The type of spans that call a tool.
TOOL = "TOOL"

# The tables of TraceTables that a reader can ask for.
TracePart = Literal["traces", "tags", "metadata", "links", "assessments"]


@dataclass(frozen=True)
class TraceQuery:
    """A search for traces in a store; all given conditions must hold.

    Attributes:
        experiment_ids: the experiments to search; () for all active ones.
        run_ids: traces that were made in one of these runs or are linked to one; () for no condition.
        trace_ids: only these traces; () for no condition.
        filter: a filter of the query language for traces; "" for no condition.
        order_by: sort keys such as `duration DESC`; () for the latest request first.
        limit: the maximum number of traces; None for all of them.
    """

    experiment_ids: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    trace_ids: tuple[str, ...] = ()
    filter: str = ""
    order_by: tuple[str, ...] = ()
    limit: int | None = None

    def as_data(self) -> dict[str, Any]:
        """The query as a JSON-compatible dict without defaults; `TraceQuery.of` restores it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value not in ((), "", None)
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> TraceQuery:
        """The query of a dict such as `{"experiment_ids": ["1"], "filter": "status = 'ERROR'", "limit": 1000}`.

        Raises:
            SelectionError: a key does not exist, or its value has another type.
        """
        values: dict[str, Any] = {}
        defaults = {field.name: field.default for field in fields(cls)}
        for name, value in data.items():
            if name not in defaults:
                raise SelectionError(
                    f"{one_line(str(name), 60)} is no condition for traces.", f"There are {', '.join(defaults)}."
                )
            if defaults[name] == () and isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
                values[name] = tuple(value)
            elif (name == "filter" and isinstance(value, str)) or (name == "limit" and _is_limit(value)):
                values[name] = value
            else:
                raise SelectionError(
                    f"{name} of the traces is {one_line(repr(value), 60)}.", f"Write {_EXAMPLES.get(name, _LIST)}."
                )
        return cls(**values)


_LIST = "a list of texts"
_EXAMPLES = {"filter": "a filter as one text", "limit": "a whole number from 1, or None for all"}


def _is_limit(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)


@dataclass(frozen=True)
class ModelTables:
    """Logged models and versions of registered models, with the columns of `qualia_lab.schema`.

    Attributes:
        models: one row for each logged model that was not deleted (schema.MODELS), by creation time and id.
        outputs: the runs that list a model as an output, with its step (schema.MODEL_OUTPUTS).
        params: the params of models (schema.MODEL_PARAMS).
        tags: the tags of models (schema.MODEL_TAGS).
        metrics: every point that was logged for a model (schema.MODEL_METRICS), by model, key, dataset, step, time.
        versions: the versions of registered models, by name and version (schema.MODEL_VERSIONS).
        version_tags: their tags (schema.MODEL_VERSION_TAGS).
        aliases: the aliases of registered models (schema.MODEL_ALIASES).
        problems: what could not be read, with the reason (schema.UNREAD).
    """

    models: pa.Table
    outputs: pa.Table
    params: pa.Table
    tags: pa.Table
    metrics: pa.Table
    versions: pa.Table
    version_tags: pa.Table
    aliases: pa.Table
    problems: pa.Table

    def __post_init__(self) -> None:
        check_schemas(self, schema.MODEL_TABLES)

    @property
    def digest(self) -> str:
        """A digest of all tables, by which a change of the data is recognized."""
        return digest_of(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class TraceTables:
    """Traces without their spans, with the columns of `qualia_lab.schema`.

    Attributes:
        traces: one row for each trace, in the order of the query (schema.TRACES).
        tags: the tags of traces (schema.TRACE_TAGS).
        metadata: the request metadata of traces (schema.TRACE_METADATA).
        links: the runs that traces are linked to (schema.TRACE_LINKS).
        assessments: feedback and expectations, by trace, creation time and id (schema.ASSESSMENTS).
        problems: what could not be read, with the reason (schema.UNREAD).
    """

    traces: pa.Table
    tags: pa.Table
    metadata: pa.Table
    links: pa.Table
    assessments: pa.Table
    problems: pa.Table

    def __post_init__(self) -> None:
        check_schemas(self, schema.TRACE_TABLES)

    @property
    def digest(self) -> str:
        """A digest of all tables, by which a change of the data is recognized."""
        return digest_of(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class EvaluationTables:
    """Evaluation datasets with their records, with the columns of `qualia_lab.schema`.

    Attributes:
        datasets: one row for each dataset, by name (schema.EVALUATION_DATASETS).
        records: their records, by dataset, creation time and id (schema.EVALUATION_RECORDS).
        uses: which experiments use a dataset (schema.EVALUATION_DATASET_USES).
        problems: what could not be read, with the reason (schema.UNREAD).
    """

    datasets: pa.Table
    records: pa.Table
    uses: pa.Table
    problems: pa.Table

    def __post_init__(self) -> None:
        check_schemas(self, schema.EVALUATION_TABLES)


def traces_query(tables: RunTables) -> TraceQuery:
    """The query for the traces of these runs, in the experiments of the runs."""
    return TraceQuery(tuple(tables.experiments.column("experiment_id").to_pylist()), tables.run_ids)


def with_few_inputs(spans: pa.Table) -> pa.Table:
    """The spans without outputs, attributes and events, and with the inputs of root spans and of tools alone.

    Args:
        spans: schema.SPANS.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    is_tool = pc.is_in(spans.column("type"), value_set=column([TOOL], schema.STRING))
    is_kept = pc.or_(pc.is_null(spans.column("parent_id")), is_tool)
    nulls = pa.nulls(spans.num_rows, schema.STRING)
    for name in ("inputs", "outputs", "attributes", "events"):
        values = pc.if_else(is_kept, spans.column(name), nulls) if name == "inputs" else nulls
        spans = spans.set_column(schema.SPANS.get_field_index(name), schema.SPANS.field(name), values)
    return spans


def model_tables(**tables: pa.Table) -> ModelTables:
    """ModelTables from some of its tables; the others are empty."""
    return ModelTables(**_with_empty(schema.MODEL_TABLES, tables))


def trace_tables(**tables: pa.Table) -> TraceTables:
    """TraceTables from some of its tables; the others are empty."""
    return TraceTables(**_with_empty(schema.TRACE_TABLES, tables))


def evaluation_tables(**tables: pa.Table) -> EvaluationTables:
    """EvaluationTables from some of its tables; the others are empty."""
    return EvaluationTables(**_with_empty(schema.EVALUATION_TABLES, tables))


def _with_empty(schemas: dict[str, pa.Schema], tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    return {name: tables[name] if name in tables else table_of(columns, ()) for name, columns in schemas.items()}
