"""Large reads of SQLite and PostgreSQL come as Arrow through ADBC where its driver is installed; the rest by cursor.

The only module that knows ADBC. Whatever it cannot read as it stands, a cursor reads cell by cell and names.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from threading import Lock, Semaphore
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from qualia_lab.columns import filled
from qualia_lab.schema import FLOAT
from qualia_lab.stores.sql.arriving import Arriving, end
from qualia_lab.stores.sql.in_one_piece import in_one_piece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import sqlalchemy as sa

    Then = Callable[[pa.Table], pa.Table | None]

_ROWS_PER_BATCH = "65536"  # between two batches a read can be ended

# Two connections keep the database at work while rows become columns here; more would be a burden to a server.
SIDE_BY_SIDE = 2


@dataclass
class _Opened:
    """A database that is open, and its connections that nobody reads from."""

    database: Any
    close: ExitStack
    idle: list[Any] = field(default_factory=list)


# Databases that a thread was still reading from when its read was given up: to close them would pull them away.
_LEFT_OPEN: list[_Opened] = []


@dataclass
class ArrowSource:
    """One database as ADBC opens it: nothing is opened before it is asked for rows."""

    dialect: str  # sqlite or postgresql
    uri: str
    settings: Sequence[str] = ()  # statements that make a connection one that only reads
    works: bool = True  # until it could not be opened
    _opened: _Opened | None = None
    _underway: list[Arriving] = field(default_factory=list)
    _opening: Lock = field(default_factory=Lock)
    _places: Semaphore = field(default_factory=lambda: Semaphore(SIDE_BY_SIDE))

    def begin(self, select: sa.Executable, columns: pa.Schema, then: Then) -> Arriving:
        """Begin to read rows as a table with these columns, null numbers as NaN; no table where a cursor has to.

        As many reads as there are connections go on at once.  then: done to the table at its end.
        """
        if not self.works:
            return Arriving.nothing()
        sql = in_one_piece(select, self.dialect, columns)
        reading = Arriving(lambda reading: self._table(sql, columns, then, reading), self.close)
        self._underway = [*(one for one in self._underway if not one.done.is_set()), reading]
        reading.start()
        return reading

    @property
    def is_open(self) -> bool:
        """Whether there is a connection by now."""
        return self._opened is not None

    def close(self) -> None:
        """Give up what is still read, and give back the connections."""
        all_ended = end(self._underway)
        opened, self._opened = self._opened, None
        if opened is not None:
            if all_ended:
                opened.close.close()
            else:
                _LEFT_OPEN.append(opened)

    def _table(self, sql: str, columns: pa.Schema, then: Then, reading: Arriving) -> pa.Table | None:
        try:
            with self._places:
                if reading.ended.is_set():
                    return None
                table = self._rows(sql, columns, reading).rename_columns(columns.names)
            table = _with_nan(table.slice(1) if self.dialect == "sqlite" else table).cast(columns)
            table.validate(full=True)  # SQLite keeps any bytes as text
        except ImportError:
            self.works = False
            return None
        except (UnicodeError, pa.ArrowInvalid):
            return None
        except Exception as error:  # of the driver, whose names are not known before it is imported
            if not type(error).__module__.startswith("adbc") and not isinstance(error, OSError):
                raise
            return None
        return then(table)

    def _rows(self, sql: str, columns: pa.Schema, reading: Arriving) -> pa.Table:
        import adbc_driver_manager as adbc

        with self._connection(adbc) as connection, reading.statement(adbc.AdbcStatement(connection)) as statement:
            if self.dialect == "sqlite":
                statement.set_options(**{"adbc.sqlite.query.batch_rows": _ROWS_PER_BATCH})
            statement.set_sql_query(sql)
            stream, _ = statement.execute_query()
            with pa.RecordBatchReader._import_from_c(stream.address) as reader:
                if reader.schema.types != columns.types:
                    raise pa.ArrowInvalid("other types than expected")
                batches = takewhile(lambda _: not reading.ended.is_set(), reader)
                return pa.Table.from_batches(list(batches), schema=reader.schema)

    @contextmanager
    def _connection(self, adbc: Any) -> Iterator[Any]:
        """A connection that nobody else reads from; one on which the driver failed is not used again."""
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
