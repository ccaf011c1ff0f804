"""GenAIRows: collects the rows of ModelTables, TraceTables or EvaluationTables, where any value may be invalid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qualia_lab.columns import column
from qualia_lab.stores.values import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa


class GenAIRows:
    """The rows of one bundle of tables, as tuples in the order of the columns; some tables may be left empty.

    Values that cannot be read are reported in `problems`.
    """

    def __init__(self, schemas: Mapping[str, pa.Schema]) -> None:
        self._schemas = schemas
        self.tables: dict[str, list[tuple[Any, ...]]] = {name: [] for name in schemas}

    def add_values(self, table: str, of: tuple[Any, ...], values: Mapping[str, str]) -> None:
        """Add a row for each key and value, sorted by key, after the columns `of` that they share."""
        self.tables[table] += [(*of, key, values[key]) for key in sorted(values)]

    def add_problem(self, of: str | None, subject: str, reason: object) -> None:
        """Report something that could not be read: the part `subject` of something such as `trace tr-1`."""
        name = " ".join(part for part in (of, subject) if part)
        self.tables["problems"].append((text(name), text(str(reason))))

    def to_tables(self) -> dict[str, pa.Table]:
        """The tables by name."""
        return {name: table_of_tuples(self._schemas[name], rows) for name, rows in self.tables.items()}


def table_of_tuples(columns: pa.Schema, rows: list[tuple[Any, ...]]) -> pa.Table:
    """Build a table from rows as tuples in the order of its columns."""
    import pyarrow as pa

    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    return pa.Table.from_arrays(
        [column(list(given), field.type) for given, field in zip(values, columns, strict=True)], schema=columns
    )


def order_of_points(point: tuple[Any, ...]) -> tuple[Any, ...]:
    """The sort key of the points of a model: by key, dataset (none last), step and time; NaN is the largest value."""
    _, run_id, key, value, step, timestamp, dataset, digest = point
    of_dataset = (dataset is None, dataset or "", digest or "")
    return key or "", of_dataset, step, timestamp, math.isnan(value), value, run_id or ""
