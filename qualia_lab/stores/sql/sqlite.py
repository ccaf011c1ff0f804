"""A SQLite file is opened to be read, and left as if nobody had been there."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from qualia_lab.errors import StoreError, StoreNotFound, StoreUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"SQLite format 3\0"
_WAL_MODE = 2  # of the byte at 18: the file's "write version"
_SECONDS_TO_WAIT_FOR_A_LOCK = 5.0
_STEPS_TO_A_CTRL_C = 200_000  # of SQLite's machine: some milliseconds


def sqlite_path(uri: str) -> Path | None:
    """The path in `sqlite:///PATH` or `sqlite:///file:PATH?…`; None for a database in memory."""
    rest = uri.partition("://")[2].removeprefix("/")
    if rest.startswith("file:"):
        path, _, options = rest.removeprefix("file:").partition("?")
        if "memory" in parse_qs(options).get("mode", []):
            return None
        path = unquote(path)
        path = f"/{path.lstrip('/')}" if path.startswith("//") else path
    elif Path(rest).exists():  # a question mark may belong to the name
        path = rest
    else:
        path = rest.partition("?")[0]
    return None if path in ("", ":memory:") else Path(path)


class ReadingConnection(sqlite3.Connection):
    """A connection that knows how its file was opened."""

    uri = ""  # for SQLite's own `file:` scheme
    for_another = False  # whether another SQLite may open the file the same way: there is no log whose index they share
    stays: tuple[object, ...] | None = None  # where it may stay open: what has to be so when it is read again
    path = Path()

    def is_as_it_was(self) -> bool:
        """Whether the file is the one that was opened, with the same schema, and nobody is in the middle of it."""
        try:
            return self.stays is not None and self.stays == self.state()
        except (OSError, StoreError, sqlite3.Error):
            return False

    def state(self) -> tuple[object, ...] | None:
        """What file this is and which schema it has; None where a log or a journal has a say, or may come to have."""
        if _write_version(self.path) == _WAL_MODE or any(
            _size(self.path, end) is not None for end in ("-wal", "-journal")
        ):
            return None
        there = self.path.stat()
        [(schema_version,)] = self.execute("PRAGMA schema_version").fetchall()
        return there.st_dev, there.st_ino, schema_version


@contextlib.contextmanager
def open_sqlite(path: Path) -> Iterator[ReadingConnection]:
    """A connection that can only read, and that leaves no file beside the database.

    Raises StoreNotFound, StoreUnreadable, and sqlite3.Error as SQLite does.
    """
    write_version = _write_version(path)
    log = _size(path, "-wal")
    with contextlib.ExitStack() as stack:
        if write_version != _WAL_MODE or (log is not None and _size(path, "-shm") is not None):
            try:
                connection = _connect(path, "mode=ro")
                connection.path = path
                connection.for_another = write_version != _WAL_MODE
                connection.stays = connection.state() if connection.for_another else None
            except sqlite3.OperationalError as error:
                # A log or a journal has first to be worked in, and the folder cannot be written to.
                if _is_locked(error) or not (log or _size(path, "-journal")):
                    raise
                connection = _connect(stack.enter_context(_copy(path)), "mode=rw")
        elif log:  # copied without its index: `mode=ro` would make one and leave it behind
            connection = _connect(stack.enter_context(_copy(path)), "mode=rw")
        else:
            # `mode=ro` would leave an empty -wal and a -shm behind. Nobody has it open now; a writer who comes while
            # we read writes to its new -wal first, so what we see stays as it is.
            connection = _connect(path, "mode=ro&immutable=1")
            connection.for_another = True
        stack.callback(connection.close)
        yield connection


def _write_version(path: Path) -> int:
    """The file's write version, once it is sure to be a SQLite database."""
    if not path.exists():
        raise StoreNotFound(f"There is no file {path}.", "Check the path; nothing was created.")
    if not path.is_file():
        raise StoreUnreadable(f"{path} is no file.", "Point at the SQLite database itself, for example mlflow.db.")
    try:
        head = _head(path)
    except OSError as error:
        raise StoreUnreadable(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from None
    if not head:
        raise StoreUnreadable(f"{path} is empty: it holds no tracking store.", "Check the path; nothing was written.")
    if len(head) < 20 or not head.startswith(_MAGIC):
        raise StoreUnreadable(f"{path} is no SQLite database.", "Point at the database itself, for example mlflow.db.")
    return head[18]


def is_alone() -> bool:
    """Whether nothing else in this process may have a SQLite store open.

    Whoever closes a file, the system forgets all locks that this process has on it: only one SQLite, which knows what
    it has open, may close it. ADBC brings one of its own, and a run that is being logged beside us would no longer be
    alone in writing.
    """
    return "mlflow" not in sys.modules


_HEADS: dict[tuple[int, int], int] = {}  # descriptors that stay open, by device and number of the file


def _head(path: Path) -> bytes:
    """The file's first bytes, read so that no lock on it is lost."""
    if is_alone() or not hasattr(os, "pread"):
        with path.open("rb") as file:
            return file.read(20)
    there = path.stat()
    key = there.st_dev, there.st_ino
    if key not in _HEADS:
        _HEADS[key] = os.open(path, os.O_RDONLY)
    return os.pread(_HEADS[key], 20, 0)


def _size(path: Path, suffix: str) -> int | None:
    try:
        return path.with_name(path.name + suffix).stat().st_size
    except OSError:
        return None


def _connect(path: Path, mode: str) -> ReadingConnection:
    """A connection that has read the schema, so that what cannot be read is known here."""
    uri = f"{path.absolute().as_uri()}?{mode}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=_SECONDS_TO_WAIT_FOR_A_LOCK, check_same_thread=False, factory=ReadingConnection
    )
    connection.uri = uri
    # SQLite calls Python now and then, and there a Ctrl-C is heard: it ends the query as "interrupted".
    connection.set_progress_handler(lambda: 0, _STEPS_TO_A_CTRL_C)
    try:
        for pragma in ("query_only = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _copy(path: Path) -> Iterator[Path]:
    """A copy of the database with its log, in a temporary folder; made again when it changed under our hands."""
    parts = [part for part in (path.with_name(path.name + end) for end in ("", "-wal", "-journal")) if part.exists()]
    with tempfile.TemporaryDirectory(prefix="qualia-") as folder:
        for _ in range(3):
            before = [(part.stat().st_size, part.stat().st_mtime_ns) for part in parts]
            for part in parts:
                shutil.copyfile(part, Path(folder, part.name))
            if before == [(part.stat().st_size, part.stat().st_mtime_ns) for part in parts]:
                break
        yield Path(folder, path.name)


def _is_locked(error: sqlite3.OperationalError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
