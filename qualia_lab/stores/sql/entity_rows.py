"""The rows of models, traces or datasets in one of MLflow's tables: whole tables where most of them are wanted."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.columns import filled, numbers_of, whole
from qualia_lab.stores.sql.rows import IDS_PER_QUERY, arrow_table, batched, in_order
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.stores.sql.background_read import BackgroundRead
    from qualia_lab.stores.sql.connection import SqlConnection

    Column = sa.ColumnElement[Any]
    Truth = sa.ColumnElement[bool]

# From this many entities on, reading their rows through ADBC takes less time than its threads and connections.
MANY = 1_000

_JSON_DIALECTS = ("sqlite", "postgresql")
_IDS_IN_JSON = 10_000


@dataclass(frozen=True)
class Wanted:
    """Which entities are read: by id, and how their rows in other tables are found.

    Attributes:
        ids: their ids, in the order of the result.
        are_most: whether the database has hardly any others, so that whole tables are read.
    """

    ids: list[str]
    are_most: bool = False


@dataclass(eq=False)
class Begun:
    """Rows that are being read in the background, or that a cursor will read.

    Attributes:
        columns: the columns of the rows.
        statements: what they are read by, with the values of its parameters.
        reads: the reads in the background, one for each statement; none if a cursor reads.
        tables: what those read, once they were waited for; None where a cursor has to read.
    """

    columns: pa.Schema
    statements: list[tuple[sa.Select[Any], dict[str, Any]]]
    reads: list[BackgroundRead]
    tables: list[pa.Table | None] = field(default_factory=list)

    def wait(self) -> None:
        """Wait for the reads in the background."""
        if not self.tables:
            self.tables = [read.result() for read in self.reads] or [None] * len(self.statements)


@dataclass
class EntityRows:
    """Reads tables of one database, and collects what could not be read as it stands."""

    database: SqlConnection
    problems: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # each with the id of its entity
    _begun: list[Begun] = field(default_factory=list)

    def all_of(self, columns: pa.Schema, select: sa.Select[Any], count: int, **values: Any) -> pa.Table:
        """The rows of a statement.

        Args:
            columns: the result's columns.
            select: the statement; where it is always the same object, SQLAlchemy translates it once.
            count: how many entities there may be, which decides how rows are fetched.
            values: the values of the statement's parameters.
        """
        return self.rows(self.begin(columns, [(select, values)], count))

    def of(
        self,
        columns: pa.Schema,
        select: sa.Select[Any],
        owner: Column,
        wanted: Wanted,
        then: Sequence[str],
        **values: Any,
    ) -> pa.Table:
        """The rows of these entities in the order of their ids, then by the columns `then`.

        Args:
            columns: the result's columns; the first is the id of the entity.
            select: all rows of the table.
            owner: the column of the table with the id of the entity.
            wanted: which entities.
            then: the names of further columns to sort by.
            values: see `all_of`.
        """
        return in_order(
            self.rows(self.begin_of(columns, select, owner, wanted, **values)), columns.names[0], wanted.ids, then
        )

    def begin_of(
        self, columns: pa.Schema, select: sa.Select[Any], owner: Column, wanted: Wanted, **values: Any
    ) -> Begun:
        """Begin to read the rows of these entities, which `rows` gives in any order; see `of`."""
        statements = [(select, values)]
        if not wanted.are_most:
            dialect = self.database.sql.dialect.name
            among, most = _among(select, owner, dialect), _IDS_IN_JSON if dialect in _JSON_DIALECTS else IDS_PER_QUERY
            statements = [(among, values | {"ids": value_of_ids(some, dialect)}) for some in batched(wanted.ids, most)]
        return self.begin(columns, statements, len(wanted.ids))

    def begin(self, columns: pa.Schema, statements: list[tuple[sa.Select[Any], dict[str, Any]]], count: int) -> Begun:
        """Begin to read the rows of statements with the same columns: through ADBC if there may be many entities."""
        is_background = count >= MANY and self.database.reads_arrow
        reads = (
            [self.database.begin_arrow(select.params(values), columns) for select, values in statements]
            if is_background
            else []
        )
        begun = Begun(columns, statements, reads)
        self._begun.append(begun)
        return begun

    def rows(self, begun: Begun) -> pa.Table:
        """The rows that `begin` or `begin_of` began to read, which can be asked for once."""
        begun.wait()
        self._begun.remove(begun)
        if any(table is None for table in begun.tables):
            for other in self._begun:  # no cursor may read meanwhile, see SqlConnection.begin_arrow
                other.wait()
        tables = [
            self._fetched(begun.columns, *statement) if table is None else table
            for statement, table in zip(begun.statements, begun.tables, strict=True)
        ]
        if not tables:
            return table_of(begun.columns, [])
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables)

    def _fetched(self, columns: pa.Schema, select: sa.Select[Any], values: dict[str, Any]) -> pa.Table:
        """The rows of a statement, read by a cursor."""
        rows = self.database.fetch(select, values)

        def unread(place: int, name: str, reason: str) -> None:
            owner = str(rows[place][0])
            self.problems.append((owner, {"subject": f"{name} of {owner}", "reason": reason}))

        return arrow_table(columns, rows, unread)

    def problem_table(self, ids: Iterable[str] | None = None) -> pa.Table:
        """What could not be read of these entities, None for all (schema.UNREAD): whole tables hold others, too."""
        among = None if ids is None else set(ids)
        return table_of(schema.UNREAD, [one for owner, one in self.problems if among is None or owner in among])


@lru_cache(maxsize=64)
def _among(select: sa.Select[Any], owner: Column, dialect: str) -> sa.Select[Any]:
    """The statement with a parameter `ids` for the owners of rows."""
    return select.where(is_among(owner, "ids", dialect))


def is_among(id_column: Column, parameter: str, dialect: str) -> Truth:
    """Whether a column's value is among the ids of a parameter, whose value is that of `value_of_ids`.

    It is one value where databases can take JSON apart: they limit the number of values of a statement, and for 80,000
    of them SQLAlchemy took 0.1 s.
    """
    if dialect not in _JSON_DIALECTS:
        return id_column.in_(sa.bindparam(parameter, type_=sa.String(), expanding=True))
    ids = sa.bindparam(parameter, type_=sa.String())
    if dialect == "sqlite":
        return id_column.in_(sa.select(sa.func.json_each(ids).table_valued("value").c.value))
    elements = sa.func.json_array_elements_text(sa.cast(ids, sa.JSON)).column_valued("element")
    return id_column == sa.any_(sa.func.array(sa.select(elements).scalar_subquery()))


def value_of_ids(ids: Sequence[str], dialect: str) -> str | list[str]:
    """The value of the parameter of `is_among`."""
    return json.dumps(ids) if dialect in _JSON_DIALECTS else list(ids)


def whole_number(value: Column) -> Column:
    """A smaller integer or a truth value as a 64-bit integer, as every reader of rows expects it."""
    return sa.cast(value, sa.BigInteger)


def truth(value: Column) -> Column:
    """A truth value as 0 or 1."""
    return whole_number(sa.case((value == sa.true(), 1), else_=0))


def no_text() -> Column:
    """A column of a schema that lacks it."""
    return sa.cast(sa.null(), sa.String(1))


def with_nulls(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The table with null for each NaN in these columns: what was not recorded, where NaN itself is never stored."""
    for name in names:
        numbers = numbers_of(filled(table.column(name), math.nan))
        missing = np.isnan(numbers)
        if missing.any():
            place, valid = table.schema.get_field_index(name), pa.py_buffer(np.packbits(~missing, bitorder="little"))
            array = pa.Array.from_buffers(schema.FLOAT, len(numbers), [valid, pa.py_buffer(numbers)])
            table = table.set_column(place, name, array)
    return table


def value_by_id(rows: pa.Table, ids: pa.Array) -> pa.Array:
    """For each id the value of its row, null without one.  rows: id and value."""
    places = pc.index_in(ids, value_set=whole(rows.column(0)))
    return rows.column(1).take(places)
