"""Rows on their way: a thread reads them, and a Ctrl-C is heard by whoever waits for them."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

_SECONDS_TO_END = 1.5


class Arriving(Thread):
    """A read in a thread of its own: a driver hears no Ctrl-C while it waits for a server, and Python does here.

    What is the driver's is opened, used and closed in this thread, where no Ctrl-C arrives between two steps; from
    outside it is only told to end.
    """

    def __init__(self, read: Callable[[Arriving], pa.Table | None], interrupted: Callable[[], None]) -> None:
        """read: the thread's work, which is given this.  interrupted: called when waiting was interrupted."""
        super().__init__(daemon=True)
        self.ended = Event()  # nobody waits for the rows any more
        self.done = Event()
        self._read = read
        self._interrupted = interrupted
        self._outcome: Any = None
        self._statement: Any = None
        self._lock = Lock()

    @classmethod
    def nothing(cls) -> Arriving:
        """A read that is done, and had no rows: a cursor has to read them."""
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
        """This statement, which can be cancelled for as long as this lasts, and is closed then."""
        with self._lock:
            self._statement = statement
        try:
            yield statement
        finally:
            with self._lock:
                self._statement = None
                statement.close()

    def table(self) -> pa.Table | None:
        """The rows, when they are all there, handed over once; None when a cursor has to read them.

        Raises what reading them raised.
        """
        try:
            self.done.wait()
        except BaseException:
            self._interrupted()
            raise
        outcome, self._outcome = self._outcome, None  # large, and nobody else's from here on
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def cancel(self) -> None:
        """Tell it to end."""
        self.ended.set()
        with self._lock, suppress(Exception):  # SQLite's driver cannot, and is between two batches soon
            if self._statement is not None:
                self._statement.cancel()


def end(readings: Sequence[Arriving]) -> bool:
    """Have these reads end, and wait a moment for that; whether they did."""
    for one in readings:
        one.cancel()
    latest = time.monotonic() + _SECONDS_TO_END
    return all(one.done.wait(max(latest - time.monotonic(), 0)) for one in readings)
