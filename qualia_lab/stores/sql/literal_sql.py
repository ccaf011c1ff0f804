"""SQL with literal values: ADBC returns rows fastest from a statement without parameters.

Text values are written in hexadecimal, so that no value can end its own literal.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from qualia_lab.schema import FLOAT, INT

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    Literal = Callable[[str], str]

# Text that is safe inside quotes as it is.
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@lru_cache(maxsize=32)
def literal_sql(select: sa.Executable, dialect: str, columns: pa.Schema) -> str:
    """The statement as SQL text with its values in it.  dialect: `sqlite` or `postgresql`."""
    compiled = select.compile(dialect=_dialect(dialect), compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined]
    if dialect != "sqlite":
        return str(compiled)
    # SQLite's columns have no types and the driver infers them from the first rows, so a typed row is put first.
    first = ", ".join("0" if one.type == INT else "0.0" if one.type == FLOAT else "''" for one in columns)
    return f"SELECT {first} UNION ALL SELECT * FROM ({compiled})"  # noqa: S608 - values are in hexadecimal


def _literal_text(write: Literal) -> type[sa.String]:
    class Text(sa.String):
        def literal_processor(self, dialect: sa.Dialect) -> Literal:  # noqa: ARG002 - SQLAlchemy's signature
            return lambda value: f"'{value}'" if _PLAIN.fullmatch(value) else write(value.encode().hex())

    return Text


@cache
def _dialect(name: str) -> sa.Dialect:
    if name == "sqlite":
        from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

        return _writing(SQLiteDialect_pysqlite, lambda value: f"CAST(x'{value}' AS TEXT)")
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

    return _writing(PGDialect_psycopg, lambda value: f"convert_from(decode('{value}', 'hex'), 'UTF8')")


def _writing(dialect: Any, in_hexadecimal: Literal) -> sa.Dialect:
    """The dialect with text in hexadecimal; the `named` parameter style does not double each `%`."""

    class Dialect(dialect):
        colspecs = {**dialect.colspecs, sa.String: _literal_text(in_hexadecimal)}  # noqa: RUF012 - SQLAlchemy's way

    ours: sa.Dialect = Dialect(paramstyle="named")
    return ours
