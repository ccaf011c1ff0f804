"""Concurrent calls to slow servers in daemon threads, with a limit and a timeout."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")

_thread = threading.local()


class WorkCancelled(Exception):
    """The result of this thread is no longer needed."""


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item], limit: int = 8) -> Iterator[Result]:
    """Call a function for each item concurrently; the results are yielded in the order of the items.

    The first exception is raised, and no further calls are started. After that, after a Ctrl-C, or when the iterator is
    closed, running calls end at their next `pause`.

    Args:
        function: called once for each item, each time in its own thread.
        items: the arguments.
        limit: the maximum number of calls that are running or whose results have not been consumed.
    """
    pending: deque[Future[Result]] = deque()
    stop = threading.Event()
    try:
        for item in items:
            if len(pending) == limit:
                yield pending.popleft().result()
            pending.append(_start(lambda item=item: function(item), stop))  # type: ignore[misc]  # binds the loop variable
        while pending:
            yield pending.popleft().result()
    finally:
        stop.set()


def pause(seconds: float) -> None:
    """Sleep. Raises WorkCancelled in a thread of `in_parallel` whose result is no longer needed."""
    stop = getattr(_thread, "stop", None)
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        raise WorkCancelled


def with_timeout(seconds: float, function: Callable[[], Result]) -> Result:
    """The result of a function. Raises TimeoutError after this many seconds; the call itself is not stopped."""
    return _start(function).result(seconds)


def _start(function: Callable[[], Result], stop: threading.Event | None = None) -> Future[Result]:
    """Run a function in a daemon thread, which unlike one of a pool delays neither Ctrl-C nor the program's end."""
    future: Future[Result] = Future()

    def run() -> None:
        _thread.stop = stop
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
