"""Read-only connections to databases, kept open for the next query."""

from __future__ import annotations

import sqlite3
import weakref
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import sqlalchemy as sa

from qualia_lab.errors import StoreNotFound, StoreUnreadable
from qualia_lab.stores.sql.background_read import BackgroundRead
from qualia_lab.stores.sql.driver_errors import is_interrupted, to_store_error
from qualia_lab.stores.sql.genai_tables import GENAI_NAMES
from qualia_lab.stores.sql.rows import GcPaused
from qualia_lab.stores.sql.servers import SECONDS_OF_SILENCE, SECONDS_TO_CONNECT, engine_of, settings_of
from qualia_lab.stores.sql.sqlite import is_alone, open_sqlite, sqlite_path
from qualia_lab.stores.sql.tables import existing_columns, schemas_with_tables
from qualia_lab.stores.sql.time_limit import given_up_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    """One engine for all files, so that the cache of compiled statements is shared."""
    return sa.create_engine("sqlite://", creator=_FILE.get, poolclass=sa.NullPool)


@dataclass
class SqlConnection:
    """An open connection, and which of MLflow's tables and columns the database has."""

    sql: sa.Connection
    has: frozenset[str]  # names of tables, and of columns as `table.column`
    arrow: ArrowSource | None = None  # reads many rows faster, where ADBC is available
    genai: list[frozenset[str]] = field(default_factory=list)  # what `has_genai` found, kept with the database

    @property
    def has_genai(self) -> frozenset[str]:
        """As `has`, of the tables of models, traces and evaluation datasets; looked up when it is first needed."""
        if not self.genai:
            self.genai.append(existing_columns(self.sql, GENAI_NAMES))
        return self.genai[0]

    def fetch(self, select: sa.Executable, values: Mapping[str, Any] | None = None) -> Rows:
        """All rows. Text that is not valid UTF-8 is returned as bytes.  values: those of its parameters by name."""
        try:
            return self._fetch(select, values)
        except (sqlite3.OperationalError, sa.exc.OperationalError) as error:
            if "decode to UTF-8" not in str(error):
                raise
        self._take_any_text()
        return self._fetch(select, values)

    def _fetch(self, select: sa.Executable, values: Mapping[str, Any] | None) -> Rows:
        with GcPaused(), self._not_for_ever():
            result = self.sql.execute(select, values)
            rows = cast("Rows", result.cursor.fetchall())  # half the time of SQLAlchemy's rows
            result.close()
            return rows

    @property
    def reads_arrow(self) -> bool:
        """Whether rows can be read through ADBC, as far as is known so far."""
        return self.arrow is not None and self.arrow.works

    def fetch_arrow(self, select: sa.Executable, columns: pa.Schema) -> pa.Table | None:
        """Many rows as a table; None when a cursor has to fetch them."""
        return self.begin_arrow(select, columns).result()

    def begin_arrow(
        self, select: sa.Executable, columns: pa.Schema, then: Then = lambda table: table
    ) -> BackgroundRead:
        """Start `fetch_arrow` in the background.  then: applied to the table.

        No cursor may read before it is done: SQLite's locks belong to the process, and the first to close releases
        them for all.
        """
        return self.arrow.begin(select, columns, then) if self.arrow is not None else BackgroundRead.without_rows()

    def stream(self, select: sa.Select[Any]) -> Iterator[Rows]:
        """Rows in batches, from a server-side cursor."""
        self._take_any_text()
        if self.sql.dialect.name == "postgresql":  # whose cursors live as long as their transaction
            self.sql.rollback()
            self.sql.execution_options(isolation_level="READ COMMITTED")
        options = {"stream_results": True, "max_row_buffer": _ROWS_OF_A_STREAM}
        with self._not_for_ever():
            result = self.sql.execute(select, execution_options=options)
        try:
            while rows := self._some(result):
                yield rows
        except GeneratorExit:
            result.close()
            raise
        result.close()  # not after a Ctrl-C: the connection is closed then, and its cursor with it

    def _some(self, result: sa.CursorResult[Any]) -> Rows:
        with GcPaused(), self._not_for_ever():
            return [tuple(row) for row in result.fetchmany(_ROWS_OF_A_STREAM)]

    def _not_for_ever(self) -> AbstractContextManager[None]:
        """For as long as this lasts, a PostgreSQL that went silent is not waited for longer than for a statement."""
        if self.sql.dialect.name != "postgresql":
            return nullcontext()
        return given_up_after(SECONDS_OF_SILENCE, self.sql.connection.dbapi_connection)

    def _take_any_text(self) -> None:
        if self.sql.dialect.name == "sqlite":
            connection: Any = self.sql.connection.dbapi_connection
            connection.text_factory = _text_or_bytes


@dataclass
class _OpenFile:
    """An open SQLite file, its tables, and how to close it."""

    file: ReadingConnection
    sql: sa.Connection
    has: frozenset[str]
    close: Any
    genai: list[frozenset[str]] = field(default_factory=list)

    @classmethod
    def at(cls, uri: TrackingUri) -> _OpenFile:
        """Open the file of this tracking URI."""
        path = sqlite_path(uri.full)
        if path is None:
            raise StoreNotFound("A SQLite database in memory cannot be read from elsewhere.", "Use sqlite:///FILE.")
        with ExitStack() as opening:
            file = opening.enter_context(open_sqlite(path))
            # The engine's creator reads this variable while it connects; each thread has its own value.
            token = _FILE.set(file)
            try:
                sql = opening.enter_context(_sqlite_engine().connect())
            finally:
                _FILE.reset(token)
            return cls(file, sql, _tables_of_mlflow(sql, uri), opening.pop_all().close)


@dataclass
class SqlDatabase:
    """A database by its tracking URI; connects when it is first queried."""

    uri: TrackingUri
    _idle: list[_OpenFile] = field(default_factory=list)  # at most one, between two queries
    _has: frozenset[str] | None = None  # of a database server
    _genai: list[frozenset[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def connected(self) -> Iterator[SqlConnection]:
        """A connection inside the block. Raises StoreError for every error of the database in it."""
        try:
            with self._file() if self.uri.scheme == "sqlite" else self._server() as connection:
                yield connection
        except Exception as error:
            self._has, self._genai = None, []  # the schema may have changed
            if is_interrupted(error):
                raise KeyboardInterrupt from None
            if not isinstance(error, (sa.exc.SQLAlchemyError, OSError, *self._errors_of_drivers())):
                raise
            raise to_store_error(error, self.uri) from None

    def close(self) -> None:
        """Close the connections."""
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
            has = self._has  # which another thread may forget meanwhile
            if has is None:
                has = self._has = _tables_of_mlflow(connection, self.uri)
            arrow = self._arrow_server if connection.dialect.name == "postgresql" else None
            yield SqlConnection(connection, has, arrow, self._genai)

    @contextmanager
    def _file(self) -> Iterator[SqlConnection]:
        """A SQLite file, kept open between two queries where that cannot disturb a writer."""
        try:
            opened = self._idle.pop()
        except IndexError:  # none is open, or another thread has it
            opened = None
        if opened is not None and not opened.file.is_as_it_was():
            opened.close()
            opened = None
        opened = opened or _OpenFile.at(self.uri)
        with ExitStack() as closing_it:
            closing_it.callback(opened.close)
            with self._arrow_of_file(opened.file) as arrow:
                yield SqlConnection(opened.sql, opened.has, arrow, opened.genai)
            opened.file.text_factory = str
            if opened.file.stays and not self._idle:
                self._idle.append(opened)
                closing_it.pop_all()

    @contextmanager
    def _arrow_of_file(self, file: ReadingConnection) -> Iterator[ArrowSource | None]:
        """An ADBC source for the same file, closed at the end of the block."""
        from qualia_lab.stores.sql.adbc import ArrowSource

        if not file.for_another or not is_alone():
            yield None
            return
        with closing(ArrowSource("sqlite", file.uri, _SQLITE_SETTINGS)) as source:
            yield source

    @cached_property
    def _arrow_server(self) -> ArrowSource | None:
        """An ADBC source for the same PostgreSQL database, which connects at its first read."""
        from qualia_lab.stores.sql.adbc import ArrowSource

        url = self._engine.url
        socket = str(url.query.get("host", "/"))  # SQLAlchemy spells several servers differently from libpq
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
    has = existing_columns(connection)
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
