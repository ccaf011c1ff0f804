"""Large reads of SQLite and PostgreSQL as Arrow tables, through ADBC where its driver is installed.

The only module that imports ADBC. What it cannot convert is read by a cursor, cell by cell, and reported.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from threading import Lock, Semaphore
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from qualia_lab.columns import filled
from qualia_lab.schema import FLOAT
from qualia_lab.stores.sql.background_read import BackgroundRead, cancel_all
from qualia_lab.stores.sql.literal_sql import literal_sql
from qualia_lab.stores.sql.servers import SECONDS_OF_SILENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import sqlalchemy as sa

    Then = Callable[[pa.Table], pa.Table | None]

_ROWS_PER_BATCH = "65536"  # a read can be cancelled between two batches

# Two connections keep the database busy while rows are converted here; more would load a server too much.
MAX_CONNECTIONS = 2


@dataclass
class _Opened:
    """An open database and its idle connections."""

    database: Any
    close: ExitStack
    idle: list[Any] = field(default_factory=list)


# Databases whose read did not end when it was cancelled: closing them under a running read would crash it.
_LEFT_OPEN: list[_Opened] = []


@dataclass
class ArrowSource:
    """One database through ADBC; opened by the first read."""

    dialect: str  # sqlite or postgresql
    uri: str
    settings: Sequence[str] = ()  # statements that make a connection read-only
    works: bool = True  # False once it could not be opened
    _opened: _Opened | None = None
    _running: list[BackgroundRead] = field(default_factory=list)
    _opening: Lock = field(default_factory=Lock)
    _slots: Semaphore = field(default_factory=lambda: Semaphore(MAX_CONNECTIONS))

    def begin(self, select: sa.Executable, columns: pa.Schema, then: Then) -> BackgroundRead:
        """Start reading rows as a table with these columns, null numbers as NaN.

        At most MAX_CONNECTIONS reads run at once.  then: applied to the table in the background thread.
        """
        if not self.works:
            return BackgroundRead.without_rows()
        sql = literal_sql(select, self.dialect, columns)
        read = BackgroundRead(lambda read: self._table(sql, columns, then, read), self.close)
        self._running = [*(one for one in self._running if not one.done.is_set()), read]
        read.start()
        return read

    @property
    def is_open(self) -> bool:
        """Whether a connection has been opened."""
        return self._opened is not None

    def close(self) -> None:
        """Cancel running reads and close the connections."""
        all_ended = cancel_all(self._running)
        opened, self._opened = self._opened, None
        if opened is not None:
            if all_ended:
                opened.close.close()
            else:
                _LEFT_OPEN.append(opened)

    def _table(self, sql: str, columns: pa.Schema, then: Then, read: BackgroundRead) -> pa.Table | None:
        try:
            with self._slots:
                if read.cancelled.is_set():
                    return None
                if self.dialect == "postgresql":  # a file is not a server that goes silent
                    read.give_up_at = time.monotonic() + SECONDS_OF_SILENCE
                table = self._rows(sql, columns, read).rename_columns(columns.names)
                read.give_up_at = None
            table = _with_nan(table.slice(1) if self.dialect == "sqlite" else table).cast(columns)
            table.validate(full=True)  # SQLite stores any bytes as text
        except ImportError:
            self.works = False
            return None
        except (UnicodeError, pa.ArrowInvalid):
            return None
        except Exception as error:  # a driver error, whose class exists only once the driver is imported
            if not type(error).__module__.startswith("adbc") and not isinstance(error, OSError):
                raise
            return None
        return then(table)

    def _rows(self, sql: str, columns: pa.Schema, read: BackgroundRead) -> pa.Table:
        import adbc_driver_manager as adbc

        with self._connection(adbc) as connection, read.statement(adbc.AdbcStatement(connection)) as statement:
            if self.dialect == "sqlite":
                statement.set_options(**{"adbc.sqlite.query.batch_rows": _ROWS_PER_BATCH})
            statement.set_sql_query(sql)
            stream, _ = statement.execute_query()
            with pa.RecordBatchReader._import_from_c(stream.address) as reader:
                if reader.schema.types != columns.types:
                    raise pa.ArrowInvalid("other types than expected")
                batches = takewhile(lambda _: not read.cancelled.is_set(), reader)
                return pa.Table.from_batches(list(batches), schema=reader.schema)

    @contextmanager
    def _connection(self, adbc: Any) -> Iterator[Any]:
        """An idle or new connection, for exclusive use; one on which the driver failed is closed."""
        with self._opening:
            opened, connection = self._connected(adbc)
        try:
            yield connection
        except (UnicodeError, pa.ArrowInvalid):
            opened.idle.append(connection)
            raise
        except BaseException:
            connection.close()
            raise
        opened.idle.append(connection)

    def _connected(self, adbc: Any) -> tuple[_Opened, Any]:
        try:
            with ExitStack() as opening:
                opened = self._opened
                if opened is None:
                    database = adbc.AdbcDatabase(driver=_driver(self.dialect), uri=self.uri)
                    opened = _Opened(opening.enter_context(database), ExitStack())
                if opened.idle:
                    return opened, opened.idle.pop()
                connection = opening.enter_context(adbc.AdbcConnection(opened.database))
                for setting in self.settings:
                    with adbc.AdbcStatement(connection) as statement:
                        statement.set_sql_query(setting)
                        statement.execute_update()
                opened.close.push(opening.pop_all())
        except Exception:
            self.works = self._opened is not None
            raise
        self._opened = opened
        return opened, connection


def _driver(dialect: str) -> str:
    """The path of the driver's library. Raises ImportError when it is not installed."""
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
