"""Waiting for slow servers: a few questions at once, each for so long and no longer."""

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


class NobodyWaits(Exception):
    """What this thread was to find out is not wanted any more."""


def in_parallel(ask: Callable[[Item], Result], items: Iterable[Item], limit: int = 8) -> Iterator[Result]:
    """What `ask` returns for each item, in the order of the items; at most `limit` are asked or wait to be taken.

    The first exception is raised and nothing more is asked. After that, after Ctrl-C, or when nobody takes the rest,
    what is still being asked ends at its next `pause`.
    """
    waiting: deque[Future[Result]] = deque()
    over = threading.Event()
    try:
        for item in items:
            if len(waiting) == limit:
                yield waiting.popleft().result()
            waiting.append(_started(lambda item=item: ask(item), over))  # type: ignore[misc]  # binds the loop's variable
        while waiting:
            yield waiting.popleft().result()
    finally:
        over.set()


def pause(seconds: float) -> None:
    """Wait between two questions. Raises NobodyWaits in a thread of `in_parallel` that is not waited for any more."""
    over = getattr(_thread, "over", None)
    if over is None:
        time.sleep(seconds)
    elif over.wait(seconds):
        raise NobodyWaits


def within(seconds: float, ask: Callable[[], Result]) -> Result:
    """What `ask` returns. Raises TimeoutError after so many seconds; it is then left alone, not stopped."""
    return _started(ask).result(seconds)


def _started(ask: Callable[[], Result], over: threading.Event | None = None) -> Future[Result]:
    """A thread of its own, which Ctrl-C and the end of the program do not wait for, as those of a pool would be."""
    future: Future[Result] = Future()

    def answer() -> None:
        _thread.over = over
        try:
            future.set_result(ask())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=answer, daemon=True).start()
    return future
