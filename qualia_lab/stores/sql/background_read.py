"""A cancellable read in a background thread, so that a Ctrl-C in the waiting thread takes effect at once."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

_SECONDS_TO_CANCEL = 1.5
_SECONDS_BETWEEN_CHECKS = 0.5


class BackgroundRead(Thread):
    """One read of a database in its own thread.

    While a driver waits for a server it does not react to Ctrl-C; a Python thread that waits for an event does. The
    driver's objects are created, used and closed in this thread only, where no KeyboardInterrupt can come between two
    steps. Other threads can only cancel it.
    """

    def __init__(self, read: Callable[[BackgroundRead], pa.Table | None], interrupted: Callable[[], None]) -> None:
        """Prepare a read; `start` begins it.

        Args:
            read: called in the thread with this object; returns the rows, or None when a cursor has to read them.
            interrupted: called in the waiting thread when `result` is interrupted.
        """
        super().__init__(daemon=True)
        self.cancelled = Event()
        self.done = Event()
        self.give_up_at: float | None = None  # a moment of time.monotonic()
        self._read = read
        self._interrupted = interrupted
        self._outcome: Any = None
        self._statement: Any = None
        self._lock = Lock()

    @classmethod
    def without_rows(cls) -> BackgroundRead:
        """A read that is done and whose rows have to be read by a cursor."""
        one = cls(lambda _: None, lambda: None)
        one.done.set()
        return one

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
        """Make this ADBC statement cancellable inside the block, and close it at the end."""
        with self._lock:
            self._statement = statement
        try:
            yield statement
        finally:
            with self._lock:
                self._statement = None
                statement.close()

    def result(self) -> pa.Table | None:
        """Wait for the rows; the reference to them is given up, so a second call returns None.

        Returns:
            The rows, or None when a cursor has to read them.

        Raises:
            TimeoutError: the rows were not there by `give_up_at`.
            BaseException: whatever reading raised.
        """
        try:
            self._wait()
        except BaseException:
            self._interrupted()
            raise
        outcome, self._outcome = self._outcome, None  # large: only the caller keeps it alive from here on
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _wait(self) -> None:
        while not self.done.wait(_SECONDS_BETWEEN_CHECKS):
            if self.give_up_at is not None and time.monotonic() > self.give_up_at:
                raise TimeoutError("timed out")

    def cancel(self) -> None:
        """Ask the read to end; returns at once."""
        self.cancelled.set()
        with self._lock, suppress(Exception):  # SQLite's driver cannot cancel, and is between two batches soon
            if self._statement is not None:
                self._statement.cancel()


def cancel_all(reads: Sequence[BackgroundRead]) -> bool:
    """Cancel these reads and wait up to 1.5 s for them to end; whether all did."""
    for one in reads:
        one.cancel()
    latest = time.monotonic() + _SECONDS_TO_CANCEL
    return all(one.done.wait(max(latest - time.monotonic(), 0)) for one in reads)
