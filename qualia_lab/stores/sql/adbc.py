"""Large reads of SQLite and PostgreSQL come as Arrow through ADBC where its driver is installed; the rest by cursor.

The only module that knows ADBC. Whatever it cannot read as it stands, a cursor reads cell by cell and names.
"""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import takewhile
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from qualia_lab.columns import filled
from qualia_lab.schema import FLOAT, INT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Literal = Callable[[str], str]

# What can stand in quotes and be nothing but itself.
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")

_ROWS_PER_BATCH = "65536"  # between two batches a read can be ended
_SECONDS_TO_END = 1.5


# Connections that a thread was still reading from when its read was given up: to close them would pull them away.
_LEFT_OPEN: list[ExitStack] = []


@dataclass
class ArrowSource:
    """One database as ADBC opens it: nothing is opened before it is asked for rows."""

    dialect: str  # sqlite or postgresql
    uri: str
    settings: Sequence[str] = ()  # statements that make a connection one that only reads
    _opened: ExitStack = field(default_factory=ExitStack)
    _connection: Any = None
    works: bool = True  # until it could not be opened

    def read(self, select: sa.Executable, columns: pa.Schema) -> pa.Table | None:
        """The rows as a table with these columns, numbers that are null as NaN; None when a cursor has to read them."""
        if not self.works:
            return None
        try:
            table = self._read(_in_one_piece(select, self.dialect, columns), columns)
            table.validate(full=True)  # SQLite keeps any bytes as text
        except ImportError:
            self.works = False
            return None
        except (UnicodeError, pa.ArrowInvalid):
            return None
        except Exception as error:  # of the driver, whose names are not known before it is imported
            if not type(error).__module__.startswith("adbc") and not isinstance(error, OSError):
                raise
            self.works = self._connection is not None
            self.close()
            return None
        return table

    @property
    def is_open(self) -> bool:
        """Whether there is a connection by now."""
        return self._connection is not None

    def close(self) -> None:
        """Give back the connection."""
        self._connection = None
        self._opened.close()

    def _read(self, sql: str, columns: pa.Schema) -> pa.Table:
        reading = _Reading(lambda reading: self._rows(sql, columns, reading))
        try:
            reading.start()
            reading.done.wait()
        except BaseException:
            try:
                reading.end()
            finally:
                if not reading.done.is_set():
                    _LEFT_OPEN.append(self._opened)
                    self._opened, self._connection = ExitStack(), None
            raise
        table = reading.result().rename_columns(columns.names)
        return _with_nan(table.slice(1) if self.dialect == "sqlite" else table).cast(columns)

    def _rows(self, sql: str, columns: pa.Schema, reading: _Reading) -> pa.Table:
        import adbc_driver_manager as adbc

        with reading.statement(adbc.AdbcStatement(self._connected(adbc))) as statement:
            if self.dialect == "sqlite":
                statement.set_options(**{"adbc.sqlite.query.batch_rows": _ROWS_PER_BATCH})
            statement.set_sql_query(sql)
            stream, _ = statement.execute_query()
            with pa.RecordBatchReader._import_from_c(stream.address) as reader:
                if reader.schema.types != columns.types:
                    raise pa.ArrowInvalid("other types than expected")
                batches = takewhile(lambda _: not reading.ended.is_set(), reader)
                return pa.Table.from_batches(list(batches), schema=reader.schema)

    def _connected(self, adbc: Any) -> Any:
        if self._connection is None:
            with ExitStack() as opening:
                database = opening.enter_context(adbc.AdbcDatabase(driver=_driver(self.dialect), uri=self.uri))
                connection = opening.enter_context(adbc.AdbcConnection(database))
                for setting in self.settings:
                    with adbc.AdbcStatement(connection) as statement:
                        statement.set_sql_query(setting)
                        statement.execute_update()
                self._opened, self._connection = opening.pop_all(), connection
        return self._connection


class _Reading(Thread):
    """A read in a thread of its own: a driver hears no Ctrl-C while it waits for a server, and Python does here.

    What is the driver's is opened, used and closed in this thread, where no Ctrl-C arrives between two steps; from
    outside it is only told to end.
    """

    def __init__(self, read: Callable[[_Reading], pa.Table]) -> None:
        super().__init__(daemon=True)
        self.ended = Event()  # nobody waits for the rows any more
        self.done = Event()
        self._read = read
        self._outcome: Any = None
        self._statement: Any = None
        self._lock = Lock()

    def run(self) -> None:
        """The thread's work. See threading.Thread."""
        try:
            self._outcome = self._read(self)
        except BaseException as error:
            self._outcome = error
        finally:
            self.done.set()

    @contextmanager
    def statement(self, statement: Any) -> Iterator[Any]:
        """This statement, which can be cancelled for as long as this lasts, and is closed then."""
        with self._lock:
            self._statement = statement
        try:
            yield statement
        finally:
            with self._lock:
                self._statement = None
                statement.close()

    def end(self) -> None:
        """End the read soon, and wait a moment for it."""
        self.ended.set()
        with self._lock, suppress(Exception):  # SQLite's driver cannot, and is between two batches soon
            if self._statement is not None:
                self._statement.cancel()
        self.done.wait(_SECONDS_TO_END)

    def result(self) -> pa.Table:
        """The rows. Raises what reading them raised."""
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


def _driver(dialect: str) -> str:
    """The path of the driver's library. Raises ImportError where it is not installed."""
    if dialect == "sqlite":
        import adbc_driver_sqlite

        return str(adbc_driver_sqlite._driver_path())
    import adbc_driver_postgresql

    return str(adbc_driver_postgresql._driver_path())


def _with_nan(table: pa.Table) -> pa.Table:
    """The table with NaN for every float that is null."""
    for place, one in enumerate(table.schema):
        if one.type == FLOAT and table.column(place).null_count:
            table = table.set_column(place, one.name, filled(table.column(place), float("nan")))
    return table


# SQL with its values in it, since rows as Arrow come fastest from a statement without parameters. A value is written
# in hexadecimal, so that it can hold nothing that would end it.


@lru_cache(maxsize=32)
def _in_one_piece(select: sa.Executable, dialect: str, columns: pa.Schema) -> str:
    compiled = select.compile(dialect=_dialect(dialect), compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined]
    if dialect != "sqlite":
        return str(compiled)
    # SQLite's columns have no types: the driver goes by the first rows, so the first is one of ours.
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
    """The dialect, with text written so; without a driver's own style of parameters a `%` needs no second one."""

    class Dialect(dialect):
        colspecs = {**dialect.colspecs, sa.String: _literal_text(in_hexadecimal)}  # noqa: RUF012 - SQLAlchemy's way

    ours: sa.Dialect = Dialect(paramstyle="named")
    return ours
