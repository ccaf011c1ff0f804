"""RunTables: everything that was read about some runs, as one frozen bundle of tidy tables."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.columns import column, column_of, filled, numbers_of, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True)
class RunTables:
    """Tables joined by `run_id`; their columns are those of `qualia_lab.schema`, checked at construction.

    `runs` stands in the order in which the runs were asked for. Raises TypeError when a table has other columns.
    """

    experiments: pa.Table
    experiment_tags: pa.Table
    runs: pa.Table
    params: pa.Table
    metrics: pa.Table
    tags: pa.Table
    datasets: pa.Table
    logged_models: pa.Table
    missing: pa.Table
    problems: pa.Table

    def __post_init__(self) -> None:
        for field in fields(self):
            table, expected = getattr(self, field.name), schema.TABLES[field.name]
            if not table.schema.equals(expected):
                raise TypeError(f"table {field.name}: expected {expected}, not {table.schema}")

    @cached_property
    def run_ids(self) -> tuple[str, ...]:
        """The ids of the runs that were read, in order."""
        return tuple(self.runs.column("run_id").to_pylist())

    def owners_of(self, table: pa.Table) -> np.ndarray[Any, Any]:
        """Of each row of a table with `run_id` the place of that run among `runs`; -1 where it is none of them."""
        places = pc.index_in(whole(table.column("run_id")), value_set=whole(self.runs.column("run_id")))
        return numbers_of(filled(places, -1))


def run_tables(**tables: pa.Table) -> RunTables:
    """RunTables from some of its tables; those not given are empty."""
    # Not Schema.empty_table(): that wakes pandas, see qualia_lab.columns.
    return RunTables(
        **{name: tables[name] if name in tables else table_of(columns, ()) for name, columns in schema.TABLES.items()}
    )


def rows_with(table: pa.Table, name: str, values: Iterable[str]) -> pa.Table:
    """The rows whose text in this column is one of these; comparing with one text directly would wake pandas."""
    wanted = pc.is_in(table.column(name), value_set=column(list(values), schema.STRING))
    return table if pc.all(wanted).as_py() else table.filter(wanted)


def by_key(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each key of a tidy table, keys sorted, rows as they stood.

    One key after the other, so that no more than one key's rows are Python objects at a time. Not Table.group_by():
    that wakes pandas.
    """
    if not table.num_rows:
        return
    codes = whole(table.column("key")).dictionary_encode()
    keys, places = codes.dictionary.to_pylist(), numbers_of(codes.indices)
    order = np.argsort(places, kind="stable")
    ends = np.cumsum(np.bincount(places, minlength=len(keys)))
    for place in sorted(range(len(keys)), key=keys.__getitem__):
        rows = order[ends[place - 1] if place else 0 : ends[place]]
        yield keys[place], table.take(column_of(rows.astype(np.int64), pa.int64()))


def table_of(columns: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """A table with these columns from rows as dicts; a column that a row lacks is null."""
    rows = list(rows)
    return pa.Table.from_arrays(
        [column([row.get(field.name) for row in rows], field.type) for field in columns], schema=columns
    )
