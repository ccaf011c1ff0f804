"""Explains a query of a database: the filter, the SQL that is sent, and how many runs are left after each part."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from qualia_lab.query import parse_filter, parse_order_by
from qualia_lab.query.conditions import conjuncts
from qualia_lab.query.explanation import Explanation, Part, choice_part, order_parts
from qualia_lab.query.write import filter_text
from qualia_lab.stores.sql.query import select_matching

if TYPE_CHECKING:
    from qualia_lab.selection import Query
    from qualia_lab.stores.sql.connection import SqlConnection


def explain_sql(database: SqlConnection, query: Query) -> Explanation:
    """The parts and the SQL of a query. Raises FilterError."""
    condition, orders = parse_filter(query.filter), parse_order_by(query.order_by)
    parts = [choice_part(query, "database", _count(database, replace(query, filter="")))]
    if condition is not None:
        *others, last = conjuncts(condition)
        parts += [Part("database", filter_text(part)) for part in others]
        parts.append(Part("database", filter_text(last), _count(database, query)))
    select = select_matching(query, dialect_name=database.sql.dialect.name, has=database.has)
    return Explanation((*parts, *order_parts(orders, query.limit, "database")), sql_text(select, database.sql.dialect))


def sql_text(select: sa.Select[Any], dialect: sa.Dialect) -> str:
    """The statement with literal values, for reading or for the database's own shell; it is never executed."""
    # With a driver's own parameter style every `%` in a text would be doubled.
    shown: sa.Dialect = type(dialect)(paramstyle="named")  # type: ignore[call-arg]
    try:
        return str(select.compile(dialect=shown, compile_kwargs={"literal_binds": True}))
    except sa.exc.CompileError:  # a value without a literal form in SQL
        compiled = select.compile(dialect=shown)
        return f"{compiled}\n-- {compiled.params}"


def _count(database: SqlConnection, query: Query) -> int:
    all_of_them = replace(query, order_by=(), limit=None)
    select = select_matching(all_of_them, dialect_name=database.sql.dialect.name, has=database.has, only_ids=True)
    ((count,),) = database.fetch(sa.select(sa.func.count()).select_from(select.order_by(None).subquery()))
    return int(count)
