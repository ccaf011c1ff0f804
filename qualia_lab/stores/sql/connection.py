"""Databases are connected to so that they can only be read; what goes wrong becomes one of our sentences."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from qualia_lab.errors import (
    ExtraMissing,
    StoreError,
    StoreNotFound,
    StoreRefused,
    StoreUnreachable,
    StoreUnreadable,
)
from qualia_lab.stores.sql import tables as sql_tables
from qualia_lab.stores.sql.rows import gc_paused
from qualia_lab.stores.sql.sqlite import open_sqlite, sqlite_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from sqlalchemy.engine.interfaces import DBAPIConnection

    from qualia_lab.stores.sql.adbc import ArrowSource
    from qualia_lab.stores.uri import TrackingUri

    Rows = list[tuple[Any, ...]]

# Our driver of each kind of database, and the extra that installs it.
_DRIVERS = {
    "postgres": ("postgresql+psycopg", "postgresql"),
    "postgresql": ("postgresql+psycopg", "postgresql"),
    "mysql": ("mysql+pymysql", "mysql"),
    "mariadb": ("mariadb+pymysql", "mysql"),
}
_SECONDS_TO_CONNECT = 5
_SECONDS_OF_A_STATEMENT = 30
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
        return self.arrow.read(select, columns) if self.arrow is not None else None

    def stream(self, select: sa.Select[Any]) -> Iterator[Rows]:
        """Rows as they come, a few at a time, from a cursor that the server keeps."""
        self._take_any_text()
        options = {"stream_results": True, "max_row_buffer": _ROWS_OF_A_STREAM}
        result = self.sql.execute(select, execution_options=options)
        try:
            while rows := self._some(result):
                yield rows
        finally:
            result.close()

    def _some(self, result: sa.CursorResult[Any]) -> Rows:
        with gc_paused():
            return [tuple(row) for row in result.fetchmany(_ROWS_OF_A_STREAM)]

    def _take_any_text(self) -> None:
        if self.sql.dialect.name == "sqlite":
            connection: Any = self.sql.connection.dbapi_connection
            connection.text_factory = _text_or_bytes


@dataclass
class SqlDatabase:
    """A database by its tracking URI; connected to when it is asked something."""

    uri: TrackingUri

    @contextmanager
    def connected(self) -> Iterator[SqlConnection]:
        """A connection, for as long as this lasts. Raises StoreError for whatever goes wrong in here."""
        try:
            with self._connection() as connection:
                has = _columns_there(connection)
                if not {"experiments", "runs"} <= has:
                    raise StoreUnreadable(
                        f"{self.uri.safe} holds no tables of MLflow that can be seen.",
                        "Check the database's name, and that this user may read its tables.",
                    )
                with self._arrow(connection) as arrow:
                    yield SqlConnection(connection, has, arrow)
        except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
            if _is_interrupted(error):
                raise KeyboardInterrupt from None
            raise _translated(error, self.uri) from None

    def close(self) -> None:
        """Give back connections."""
        if "_arrow_server" in self.__dict__:
            if self._arrow_server is not None:
                self._arrow_server.close()
            del self._arrow_server
        if "_engine" in self.__dict__:
            self._engine.dispose()
            del self._engine

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        if self.uri.scheme != "sqlite":
            with self._engine.connect() as connection:
                yield connection
            return
        path = sqlite_path(self.uri.full)
        if path is None:
            raise StoreNotFound("A SQLite database in memory cannot be read from elsewhere.", "Use sqlite:///FILE.")
        with open_sqlite(path) as file:
            # A connection asks for its file while it is made, so two threads do not take each other's.
            token = _FILE.set(file)
            try:
                connection = _sqlite_engine().connect()
            finally:
                _FILE.reset(token)
            with connection:
                yield connection

    @contextmanager
    def _arrow(self, connection: sa.Connection) -> Iterator[ArrowSource | None]:
        """ADBC beside this connection; a SQLite file is closed when this ends."""
        from qualia_lab.stores.sql import adbc as sql_adbc

        name = connection.dialect.name
        if name == "postgresql":
            yield self._arrow_server
            return
        file: Any = connection.connection.dbapi_connection
        if name != "sqlite" or not file.for_another or not sql_adbc.is_alone():
            yield None
            return
        with closing(sql_adbc.ArrowSource("sqlite", file.uri, _SQLITE_SETTINGS)) as source:
            yield source

    @cached_property
    def _arrow_server(self) -> ArrowSource | None:
        """A second connection to the same PostgreSQL, made when it is asked for rows."""
        from qualia_lab.stores.sql.adbc import ArrowSource

        url = self._engine.url
        socket = str(url.query.get("host", "/"))  # SQLAlchemy's way to name several servers is not libpq's
        if url.get_driver_name() not in ("psycopg", "psycopg2") or not socket.startswith("/"):
            return None
        timeout = {} if "connect_timeout" in url.query else {"connect_timeout": str(_SECONDS_TO_CONNECT)}
        for_libpq = url.set(drivername="postgresql").update_query_dict(timeout)
        return ArrowSource("postgresql", for_libpq.render_as_string(hide_password=False), _settings("postgresql"))

    @cached_property
    def _engine(self) -> sa.Engine:
        url = _with_driver(self.uri)
        settings = {} if "connect_timeout" in url.query else {"connect_timeout": _SECONDS_TO_CONNECT}
        if url.get_backend_name() == "mssql":
            settings = {"timeout": _SECONDS_TO_CONNECT}
        elif url.get_driver_name() == "pymysql":
            settings["read_timeout"] = 2 * _SECONDS_OF_A_STATEMENT  # of a server that says nothing at all
        engine = sa.create_engine(url, connect_args=settings, pool_size=1, hide_parameters=True)
        if engine.dialect.name == "postgresql":
            # Six questions to the server, whose answers only those need who write or reflect.
            engine.dialect.initialize = _ask_nothing  # type: ignore[method-assign]
        sa.event.listen(engine, "connect", lambda connection, _: _only_read(connection, engine.dialect.name))
        return engine


def _with_driver(uri: TrackingUri) -> sa.URL:
    """The URL with the driver it names where that is installed, else with ours."""
    try:
        url = sa.make_url(uri.full)
    except (sa.exc.ArgumentError, ValueError):
        raise StoreNotFound(
            f"The tracking URI {uri.safe} could not be understood.",
            "It reads postgresql://USER:PASSWORD@HOST:PORT/DATABASE; characters like @ : / in a password are written "
            "%40 %3A %2F.",
        ) from None
    name = url.drivername.partition("+")[0]
    ours, extra = _DRIVERS.get(name, (url.drivername, ""))
    candidates = [url.set(drivername=ours)] if "+" not in url.drivername else [url, url.set(drivername=ours)]
    for candidate in candidates:
        with suppress(ImportError, sa.exc.NoSuchModuleError):
            candidate.get_dialect().import_dbapi()
            return candidate
    install = f'pip install "qualia-lab[{extra}]"' if extra else f"pip install the driver of {url.drivername}"
    raise ExtraMissing(f"The driver for {name} databases is not installed.", f"Install it: {install}")


def _only_read(connection: DBAPIConnection, dialect: str) -> None:
    """Every transaction of this connection is READ ONLY and every statement has a time limit, by the server itself."""
    cursor = connection.cursor()
    if dialect == "postgresql":
        driver: Any = connection
        driver.autocommit = True
        cursor.execute("; ".join(_settings(dialect)))  # one question to the server instead of five
        driver.autocommit = False
        cursor.close()
        return
    version = str(getattr(connection, "server_version", ""))
    for statement in _settings("mariadb" if "MariaDB" in version else dialect):
        cursor.execute(statement)
    cursor.close()
    connection.commit()


def _ask_nothing(connection: sa.Connection) -> None:
    """Instead of what SQLAlchemy asks a server first."""


def _settings(dialect: str) -> list[str]:
    """The statements that make a connection one that only reads."""
    seconds = _SECONDS_OF_A_STATEMENT
    statements = {
        "postgresql": [
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            f"SET statement_timeout = '{seconds}s'",
            "SET client_encoding = 'UTF8'",
        ],
        "mysql": ["SET SESSION TRANSACTION READ ONLY", f"SET SESSION max_execution_time = {seconds * 1000}"],
        "mariadb": ["SET SESSION TRANSACTION READ ONLY", f"SET SESSION max_statement_time = {seconds}"],
    }
    return statements.get(dialect, [])


def _columns_there(connection: sa.Connection) -> frozenset[str]:
    """Which of MLflow's tables are there, and which columns as `table.column`."""
    if connection.dialect.name == "sqlite":
        query = (
            "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c"
            " WHERE t.type = 'table' AND t.name IN :names"
        )
    elif connection.dialect.name == "postgresql":  # a tenth of what its information_schema takes
        query = (
            "SELECT t.relname, c.attname FROM pg_catalog.pg_class t JOIN pg_catalog.pg_attribute c"
            " ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped"
            " WHERE t.relname IN :names AND t.relkind IN ('r', 'p', 'v', 'm', 'f')"
            " AND t.relnamespace = ANY (current_schemas(false)::regnamespace[])"
            " AND has_column_privilege(t.oid, c.attnum, 'SELECT')"
        )
    else:
        schema = {"mssql": "SCHEMA_NAME()"}
        query = (
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_name IN :names"  # noqa: S608 - our words
            f" AND table_schema = {schema.get(connection.dialect.name, 'DATABASE()')}"
        )
    names: sa.BindParameter[Any] = sa.bindparam("names", sql_tables.NAMES, expanding=True)
    rows = connection.execute(sa.text(query).bindparams(names)).fetchall()
    return frozenset({table for table, _ in rows} | {f"{table}.{column}" for table, column in rows})


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


# What the drivers say: SQLSTATEs and MySQL's numbers. PostgreSQL gives no code for a connection that fails, only words.

_REFUSED = {"28000", "28P01", "42501", 1044, 1045, 1142, 1143, 1698}
_NO_DATABASE = {"3D000", 1049}
_TOO_SLOW = {"57014", 1969, 3024}
_REFUSED_WORDS = ("authentication failed", "no password supplied", "no pg_hba.conf entry", "permission denied")


def _is_interrupted(error: Exception) -> bool:
    """Whether SQLite gave up because of a Ctrl-C, which sqlite3 hears but does not raise."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT


def _translated(error: Exception, uri: TrackingUri) -> StoreError:
    """The error as a sentence, in which nothing of the driver's stands that could hold a secret."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        return _translated_sqlite(cause, uri)
    sqlstate = getattr(cause, "sqlstate", None)
    codes = {sqlstate, *cause.args[:1]}  # MySQL's own number is the first argument
    words = str(cause)
    if codes & _REFUSED or any(word in words for word in _REFUSED_WORDS) or _is_unknown_role(words):
        return StoreRefused(
            f"The database at {uri.safe} refused this user or password.", "Check both, and the user's right to read."
        )
    if codes & _NO_DATABASE or ("database" in words and "does not exist" in words):
        return StoreNotFound(f"The server has no such database: {uri.safe}.", "Check its name; nothing was created.")
    if codes & _TOO_SLOW:
        return StoreUnreachable(
            f"{uri.safe} took more than {_SECONDS_OF_A_STATEMENT} s to answer.",
            "Ask for fewer runs, or try again later.",
        )
    # A connection that fails has no SQLSTATE, and with MySQL a number of the client's own.
    is_answer = sqlstate is not None or any(isinstance(code, int) and code < 2000 for code in codes)
    if isinstance(error, OSError) or (
        isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError)) and not is_answer
    ):
        return StoreUnreachable(
            f"No database answers at {uri.safe}.", "Check host and port, and that the server runs and can be reached."
        )
    return StoreUnreadable(
        f"{uri.safe} could not be read: {uri.redact(_first_line(words))}.", "Check that it is a store of MLflow."
    )


def _is_unknown_role(words: str) -> bool:
    return "role" in words and "does not exist" in words


def _translated_sqlite(error: sqlite3.Error, uri: TrackingUri) -> StoreError:
    words = str(error)
    if "locked" in words:
        return StoreUnreachable(
            f"{uri.safe} is locked by another program, and stayed so for some seconds.",
            "Try again when that program has written what it writes.",
        )
    if "malformed" in words or "not a database" in words:
        return StoreUnreadable(
            f"{uri.safe} is damaged: {_first_line(words)}.", "Restore it from a copy, or try `sqlite3 FILE .recover`."
        )
    return StoreUnreadable(f"{uri.safe} could not be read: {_first_line(words)}.", "Check the file and its folder.")


def _first_line(words: str) -> str:
    return words.strip().splitlines()[0].rstrip(".") if words.strip() else "no reason given"
