"""Cuts a connection to PostgreSQL whose server went silent: its client has no time limit of its own.

One thread watches all connections of the process. A timer of its own for each statement, which is a thread, takes
half as long as a short query.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_INTERVAL = 0.5  # seconds between two looks at the clock, while there is anything to watch


@dataclass(eq=False)
class _Limit:
    """When a connection is cut, and whether it was. In force within its block."""

    connection: Any
    end: float
    is_cut: bool = False

    def __enter__(self) -> None:
        _WATCHER.start(self)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        _WATCHER.end(self)
        if self.is_cut and isinstance(error, Exception):
            raise TimeoutError("timed out") from None

    def cut(self) -> None:
        self.is_cut = True
        with suppress(Exception), socket.socket(fileno=os.dup(self.connection.fileno())) as its:
            its.shutdown(socket.SHUT_RDWR)


class _Watcher:
    """The limits that are in force, and the thread that watches them."""

    def __init__(self) -> None:
        self._limits: set[_Limit] = set()
        self._are_some = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, limit: _Limit) -> None:
        self._limits.add(limit)
        if self._thread is None or not self._thread.is_alive():  # in a forked process it is not
            self._thread = threading.Thread(target=self._watch, name="qualia-time-limit", daemon=True)
            self._thread.start()
        if not self._are_some.is_set():
            self._are_some.set()

    def end(self, limit: _Limit) -> None:
        self._limits.discard(limit)

    def _watch(self) -> None:
        while True:
            self._are_some.wait()
            time.sleep(_INTERVAL)
            for limit in tuple(self._limits):
                if limit.end <= time.monotonic():
                    self.end(limit)
                    limit.cut()
            self._are_some.clear()
            if self._limits:  # also if one was added since then
                self._are_some.set()


_WATCHER = _Watcher()


def given_up_after(seconds: float, connection: Any) -> AbstractContextManager[None]:
    """Cut the connection if the block takes longer, or up to half a second later.

    Args:
        seconds: the limit.
        connection: an open connection of a driver that has a `fileno`.

    Raises:
        TimeoutError: it was cut.
    """
    return _Limit(connection, time.monotonic() + seconds)
