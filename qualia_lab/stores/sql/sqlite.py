"""Opens a SQLite file read-only, without creating or leaving a file beside it."""

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
from qualia_lab.stores.change_tokens import file_facts, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"SQLite format 3\0"
_HEAD_BYTES = 28  # up to the counter of changes, at 24
_WAL_MODE = 2  # of the byte at 18: the file's "write version"
_SECONDS_TO_WAIT_FOR_A_LOCK = 5.0
_CACHE_KB = 8_000  # in SQLite's usual 2 MB, two reads of 100 traces replace each other's pages
_STEPS_PER_SIGNAL_CHECK = 200_000  # virtual machine instructions of SQLite: some milliseconds


def sqlite_path(uri: str) -> Path | None:
    """The path in `sqlite:///PATH` or `sqlite:///file:PATH?…`; None for an in-memory database."""
    rest = uri.partition("://")[2].removeprefix("/")
    if rest.startswith("file:"):
        path, _, options = rest.removeprefix("file:").partition("?")
        if "memory" in parse_qs(options).get("mode", []):
            return None
        path = unquote(path)
        path = f"/{path.lstrip('/')}" if path.startswith("//") else path
    elif Path(rest).exists():  # the question mark is part of the file name
        path = rest
    else:
        path = rest.partition("?")[0]
    return None if path in ("", ":memory:") else Path(path)


class ReadingConnection(sqlite3.Connection):
    """A connection with the facts about how its file was opened."""

    uri = ""  # in SQLite's own `file:` scheme
    for_another = False  # whether a second SQLite library may open the file too: there is no WAL index
    stays: tuple[object, ...] | None = None  # the state in which it may be reused; None: close it after use
    path = Path()

    def is_as_it_was(self) -> bool:
        """Whether it is the same file with the same schema, and no write is in progress."""
        try:
            return self.stays is not None and self.stays == self.state()
        except (OSError, StoreError, sqlite3.Error):
            return False

    def state(self) -> tuple[object, ...] | None:
        """The identity of the file and its schema version; None where a WAL or a journal exists or may appear."""
        if _write_version(self.path) == _WAL_MODE or any(
            _size(self.path, end) is not None for end in ("-wal", "-journal")
        ):
            return None
        there = self.path.stat()
        [(schema_version,)] = self.execute("PRAGMA schema_version").fetchall()
        return there.st_dev, there.st_ino, schema_version


@contextlib.contextmanager
def open_sqlite(path: Path) -> Iterator[ReadingConnection]:
    """A read-only connection that leaves no file beside the database.

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
                # A WAL or journal would have to be applied first, and the folder is not writable.
                if _is_locked(error) or not (log or _size(path, "-journal")):
                    raise
                connection = _connect(stack.enter_context(_copy(path)), "mode=rw")
        elif log:  # copied without its index: `mode=ro` would create one and leave it behind
            connection = _connect(stack.enter_context(_copy(path)), "mode=rw")
        else:
            # `mode=ro` would leave an empty -wal and a -shm behind. No process has the file open now, and a writer that
            # starts meanwhile writes to a new -wal first, so the main file does not change under this connection.
            connection = _connect(path, "mode=ro&immutable=1")
            connection.for_another = True
        stack.callback(connection.close)
        yield connection


def sqlite_token(path: Path) -> str:
    """A token that differs after the file or its log was written to; neither is opened by SQLite, and none is locked.

    Without a log, each transaction counts up in the head of the file. With one, it appends to the log or begins it
    again, which shows in its size and its time.

    Raises StoreNotFound and StoreUnreadable.
    """
    write_version = _write_version(path)
    facts, log = file_facts(path), file_facts(f"{path}-wal")
    times = [one[2] / 1e9 for one in (facts, log) if one is not None and write_version == _WAL_MODE]
    return token_of(_head(path), facts, log, last_write=max(times, default=None))


def _write_version(path: Path) -> int:
    """The file's write version, after checking that it is a SQLite database."""
    if not os.path.isfile(path):  # noqa: PTH113  called for every query, and pathlib takes longer
        if not path.exists():
            raise StoreNotFound(f"There is no file {path}.", "Check the path; nothing was created.")
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
    """Whether no other SQLite library in this process can have a store open.

    POSIX drops all locks that a process holds on a file when any descriptor of it is closed. One SQLite library keeps
    track of its own descriptors; ADBC contains a second one. If MLflow logs a run in this process, closing the file
    through the second library would release the lock under which MLflow writes.
    """
    return "mlflow" not in sys.modules


_HEADS: dict[tuple[int, int], int] = {}  # descriptors that stay open, by device and inode


def _head(path: Path) -> bytes:
    """The file's first bytes, read without losing a lock on the file."""
    if is_alone() or not hasattr(os, "pread"):
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    there = path.stat()
    key = there.st_dev, there.st_ino
    if key not in _HEADS:
        _HEADS[key] = os.open(path, os.O_RDONLY)
    return os.pread(_HEADS[key], _HEAD_BYTES, 0)


def _size(path: Path, suffix: str) -> int | None:
    try:
        return os.stat(f"{path}{suffix}").st_size  # noqa: PTH116  called for every query, and pathlib takes longer
    except OSError:
        return None


def _connect(path: Path, mode: str) -> ReadingConnection:
    """A connection that has read the schema once, so that an unreadable file fails here."""
    uri = f"{path.absolute().as_uri()}?{mode}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=_SECONDS_TO_WAIT_FOR_A_LOCK, check_same_thread=False, factory=ReadingConnection
    )
    connection.uri = uri
    # The progress handler gives Python a chance to handle Ctrl-C, which ends the query as "interrupted".
    connection.set_progress_handler(lambda: 0, _STEPS_PER_SIGNAL_CHECK)
    try:
        for pragma in ("query_only = ON", "trusted_schema = OFF", f"cache_size = -{_CACHE_KB}"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _copy(path: Path) -> Iterator[Path]:
    """A temporary copy of the database with its log; copied again, up to three times, when it changed meanwhile."""
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
