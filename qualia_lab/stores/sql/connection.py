"""Databases are connected to so that they can only be read, and stay connected for the next question."""

from __future__ import annotations

import sqlite3
import weakref
from contextlib import ExitStack, closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import sqlalchemy as sa

from qualia_lab.errors import StoreNotFound, StoreUnreadable
from qualia_lab.stores.sql.arriving import Arriving
from qualia_lab.stores.sql.refusals import is_interrupted, translated
from qualia_lab.stores.sql.rows import gc_paused
from qualia_lab.stores.sql.servers import SECONDS_TO_CONNECT, engine_of, settings_of
from qualia_lab.stores.sql.sqlite import is_alone, open_sqlite, sqlite_path
from qualia_lab.stores.sql.tables import columns_there, schemas_with_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from qualia_lab.stores.sql.adbc import ArrowSource, Then
    from qualia_lab.stores.sql.sqlite import ReadingConnection
    from qualia_lab.stores.uri import TrackingUri

    Rows = list[tuple[Any, ...]]

_ROWS_OF_A_STREAM = 65_536
_SQLITE_SETTINGS = ("PRAGMA query_only = ON", "PRAGMA trusted_schema = OFF", "PRAGMA busy_timeout = 5000")

_FILE: ContextVar[sqlite3.Connection] = ContextVar("_FILE")


@cache
def _sqlite_engine() -> sa.Engine:
    """One for all files: it keeps the SQL of the statements that it has seen."""
    return sa.create_engine("sqlite://", creator=_FILE.get, poolclass=sa.NullPool)


@dataclass
class SqlConnection:
    """An open connection, and which of MLflow's tables and columns are there."""

    sql: sa.Connection
    has: frozenset[str]  # names of tables, and of columns as `table.column`
    arrow: ArrowSource | None = None  # a faster way to many rows, where there is one

    def fetch(self, select: sa.Executable) -> Rows:
        """All rows at once. Text that is no UTF-8 is there as bytes."""
        try:
            return self._fetch(select)
        except (sqlite3.OperationalError, sa.exc.OperationalError) as error:
            if "decode to UTF-8" not in str(error):
                raise
        self._take_any_text()
        return self._fetch(select)

    def _fetch(self, select: sa.Executable) -> Rows:
        with gc_paused():
            result = self.sql.execute(select)
            rows = cast("Rows", result.cursor.fetchall())  # the driver's own tuples: half the time of SQLAlchemy's
            result.close()
            return rows

    @property
    def reads_arrow(self) -> bool:
        """Whether there is a way to rows as Arrow, as far as is known by now."""
        return self.arrow is not None and self.arrow.works

    def fetch_arrow(self, select: sa.Executable, columns: pa.Schema) -> pa.Table | None:
        """Many rows at once as a table; None when a cursor has to fetch them."""
        return self.begin_arrow(select, columns).table()

    def begin_arrow(self, select: sa.Executable, columns: pa.Schema, then: Then = lambda table: table) -> Arriving:
        """The same while this goes on.  then: done to the table when it is there.

        No cursor may read before it is done: in one process SQLite's locks are of whoever lets go of them first.
        """
        return self.arrow.begin(select, columns, then) if self.arrow is not None else Arriving.nothing()

    def stream(self, select: sa.Select[Any]) -> Iterator[Rows]:
        """Rows as they come, a few at a time, from a cursor that the server keeps."""
        self._take_any_text()
        if self.sql.dialect.name == "postgresql":  # which keeps a cursor for as long as a transaction lasts
            self.sql.rollback()
            self.sql.execution_options(isolation_level="READ COMMITTED")
        options = {"stream_results": True, "max_row_buffer": _ROWS_OF_A_STREAM}
        result = self.sql.execute(select, execution_options=options)
        try:
            while rows := self._some(result):
                yield rows
        except GeneratorExit:
            result.close()
            raise
        result.close()  # after a Ctrl-C the connection is closed, and no cursor is left

    def _some(self, result: sa.CursorResult[Any]) -> Rows:
        with gc_paused():
            return [tuple(row) for row in result.fetchmany(_ROWS_OF_A_STREAM)]

    def _take_any_text(self) -> None:
        if self.sql.dialect.name == "sqlite":
            connection: Any = self.sql.connection.dbapi_connection
            connection.text_factory = _text_or_bytes


@dataclass
class _OpenFile:
    """A SQLite file that is open, what it holds, and how to close it."""

    file: ReadingConnection
    sql: sa.Connection
    has: frozenset[str]
    close: Any

    @classmethod
    def at(cls, uri: TrackingUri) -> _OpenFile:
        """The file of this tracking URI, opened."""
        path = sqlite_path(uri.full)
        if path is None:
            raise StoreNotFound("A SQLite database in memory cannot be read from elsewhere.", "Use sqlite:///FILE.")
        with ExitStack() as opening:
            file = opening.enter_context(open_sqlite(path))
            # A connection asks for its file while it is made, so two threads do not take each other's.
            token = _FILE.set(file)
            try:
                sql = opening.enter_context(_sqlite_engine().connect())
            finally:
                _FILE.reset(token)
            return cls(file, sql, _tables_of_mlflow(sql, uri), opening.pop_all().close)


@dataclass
class SqlDatabase:
    """A database by its tracking URI; connected to when it is asked something."""

    uri: TrackingUri
    _idle: list[_OpenFile] = field(default_factory=list)  # one at most, between two questions
    _has: frozenset[str] | None = None  # of a server

    def __post_init__(self) -> None:
        weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def connected(self) -> Iterator[SqlConnection]:
        """A connection, for as long as this lasts. Raises StoreError for whatever goes wrong in here."""
        try:
            with self._file() if self.uri.scheme == "sqlite" else self._server() as connection:
                yield connection
        except Exception as error:
            self._has = None  # it may be that the schema has changed
            if is_interrupted(error):
                raise KeyboardInterrupt from None
            if not isinstance(error, (sa.exc.SQLAlchemyError, OSError, *self._errors_of_drivers())):
                raise
            raise translated(error, self.uri) from None

    def close(self) -> None:
        """Give back connections."""
        _close_all(self._idle)
        if "_arrow_server" in self.__dict__:
            if self._arrow_server is not None:
                self._arrow_server.close()
            del self._arrow_server
        if "_engine" in self.__dict__:
            self._engine.dispose()
            del self._engine

    def _errors_of_drivers(self) -> tuple[type[Exception], ...]:
        module: Any = self._engine.dialect.dbapi if "_engine" in self.__dict__ else sqlite3
        return (module.Error,)

    @contextmanager
    def _server(self) -> Iterator[SqlConnection]:
        with self._engine.connect() as connection:
            if self._has is None:
                self._has = _tables_of_mlflow(connection, self.uri)
            arrow = self._arrow_server if connection.dialect.name == "postgresql" else None
            yield SqlConnection(connection, self._has, arrow)

    @contextmanager
    def _file(self) -> Iterator[SqlConnection]:
        """A SQLite file, which stays open between two questions where that can be no trouble to anyone."""
        opened = self._idle.pop() if self._idle else None
        if opened is not None and not opened.file.is_as_it_was():
            opened.close()
            opened = None
        opened = opened or _OpenFile.at(self.uri)
        with ExitStack() as closing_it:
            closing_it.callback(opened.close)
            with self._arrow_of_file(opened.file) as arrow:
                yield SqlConnection(opened.sql, opened.has, arrow)
            opened.file.text_factory = str
            if opened.file.stays and not self._idle:
                self._idle.append(opened)
                closing_it.pop_all()

    @contextmanager
    def _arrow_of_file(self, file: ReadingConnection) -> Iterator[ArrowSource | None]:
        """ADBC beside this connection; its file is closed when this ends."""
        from qualia_lab.stores.sql.adbc import ArrowSource

        if not file.for_another or not is_alone():
            yield None
            return
        with closing(ArrowSource("sqlite", file.uri, _SQLITE_SETTINGS)) as source:
            yield source

    @cached_property
    def _arrow_server(self) -> ArrowSource | None:
        """A second connection to the same PostgreSQL, made when it is asked for rows."""
        from qualia_lab.stores.sql.adbc import ArrowSource

        url = self._engine.url
        socket = str(url.query.get("host", "/"))  # SQLAlchemy's way to name several servers is not libpq's
        if url.get_driver_name() not in ("psycopg", "psycopg2") or not socket.startswith("/"):
            return None
        timeout = {} if "connect_timeout" in url.query else {"connect_timeout": str(SECONDS_TO_CONNECT)}
        for_libpq = url.set(drivername="postgresql").update_query_dict(timeout)
        return ArrowSource("postgresql", for_libpq.render_as_string(hide_password=False), settings_of("postgresql"))

    @cached_property
    def _engine(self) -> sa.Engine:
        return engine_of(self.uri)


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _tables_of_mlflow(connection: sa.Connection, uri: TrackingUri) -> frozenset[str]:
    has = columns_there(connection)
    if not {"experiments", "runs"} <= has:
        for name in schemas_with_tables(connection):
            raise StoreUnreadable(
                f"{uri.safe} has tables of MLflow in the schema {name}, and this connection does not look there.",
                f"Add ?options=-csearch_path%3D{quote(name, safe='')} to the URI, or set the user's search_path.",
            )
        raise StoreUnreadable(
            f"{uri.safe} holds no tables of MLflow that can be seen.",
            "Check the database's name, and that this user may read its tables.",
        )
    return has


def _close_all(idle: list[_OpenFile]) -> None:
    while idle:
        idle.pop().close()
