"""Engines for database servers: the installed driver, and sessions that the server itself keeps read-only."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from qualia_lab.errors import ExtraMissing, StoreNotFound
from qualia_lab.stores.sql.time_limit import given_up_after

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection

    from qualia_lab.stores.uri import TrackingUri

# The default driver of each kind of database, and the extra that installs it.
_DRIVERS = {
    "postgres": ("postgresql+psycopg", "postgresql"),
    "postgresql": ("postgresql+psycopg", "postgresql"),
    "mysql": ("mysql+pymysql", "mysql"),
    "mariadb": ("mariadb+pymysql", "mysql"),
}
SECONDS_TO_CONNECT = 5
SECONDS_OF_A_STATEMENT = 30
SECONDS_OF_SILENCE = SECONDS_OF_A_STATEMENT + 2  # of a server that should have ended the statement itself
_SECONDS_OF_A_CONNECTION = 300  # firewalls drop idle connections


def engine_of(uri: TrackingUri) -> sa.Engine:
    """An engine for the server of this tracking URI: one pooled, read-only connection."""
    url = _with_driver(uri)
    settings: dict[str, Any] = {} if "connect_timeout" in url.query else {"connect_timeout": SECONDS_TO_CONNECT}
    if url.get_backend_name() == "mssql":
        settings = {"timeout": SECONDS_TO_CONNECT}
    elif url.get_driver_name() == "pymysql" and "read_timeout" not in url.query:
        settings["read_timeout"] = SECONDS_TO_CONNECT  # until the server has answered; _make_read_only raises it
    # A statement sees what was committed when it began, in a transaction or not; autocommit saves two round trips.
    isolation: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if url.get_backend_name() == "postgresql" else {}
    engine = sa.create_engine(
        url,
        connect_args=settings,
        pool_size=1,
        pool_recycle=_SECONDS_OF_A_CONNECTION,
        hide_parameters=True,
        **isolation,
    )
    if isolation:
        # SQLAlchemy's six initial queries are needed only for writing and reflection.
        engine.dialect.initialize = _skip_initialization  # type: ignore[method-assign]
    sa.event.listen(engine, "connect", lambda connection, _: _make_read_only(connection, engine.dialect.name))
    return engine


def _with_driver(uri: TrackingUri) -> sa.URL:
    """The URL with the driver it names where that is installed, else with the default one."""
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


def _make_read_only(connection: DBAPIConnection, dialect: str) -> None:
    """Make every transaction of this connection READ ONLY and limit the time of statements, on the server."""
    cursor = connection.cursor()
    if dialect == "postgresql":
        with given_up_after(SECONDS_TO_CONNECT, connection):
            cursor.execute("; ".join(settings_of(dialect)))  # one round trip instead of five
        cursor.close()
        return
    if getattr(connection, "_read_timeout", None) == SECONDS_TO_CONNECT:  # PyMySQL's, which has no other way
        connection._read_timeout = SECONDS_OF_SILENCE
    version = str(getattr(connection, "server_version", ""))
    for statement in settings_of("mariadb" if "MariaDB" in version else dialect):
        cursor.execute(statement)
    cursor.close()
    connection.commit()


def _skip_initialization(connection: sa.Connection) -> None:
    """Replaces SQLAlchemy's initial queries."""


def settings_of(dialect: str) -> list[str]:
    """The statements that make a connection read-only, and do not let it run or compile for long."""
    seconds = SECONDS_OF_A_STATEMENT
    statements = {
        "postgresql": [
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            f"SET statement_timeout = '{seconds}s'",
            "SET client_encoding = 'UTF8'",
            # Compiling a statement that looks expensive took seconds and saved none; PostgreSQL 10 cannot.
            "SELECT set_config('jit', 'off', false) WHERE current_setting('jit', true) IS NOT NULL",
        ],
        "mysql": ["SET SESSION TRANSACTION READ ONLY", f"SET SESSION max_execution_time = {seconds * 1000}"],
        "mariadb": ["SET SESSION TRANSACTION READ ONLY", f"SET SESSION max_statement_time = {seconds}"],
    }
    return statements.get(dialect, [])
