"""Ctrl-C and SIGTERM: both end a command by an exception, so that it cleans up, and both can be made to wait."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(BaseException):
    """SIGTERM came; like KeyboardInterrupt, it is nothing that an `except Exception` takes."""


def raise_on_sigterm() -> None:
    """From now on SIGTERM raises Terminated, once: what cleans up after it is not terminated again.

    Nothing happens outside the main thread, which alone may say so, and where SIGTERM is ignored already.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


@contextlib.contextmanager
def interruptions_later() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until this ends: for steps that belong together and take no time."""
    if threading.current_thread() is not threading.main_thread():
        yield  # they are raised in the main thread alone
        return
    came: list[int] = []
    before = {one: signal.signal(one, lambda number, _: came.append(number)) for one in _SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, signal.SIG_DFL if handler is None else handler)
        for number in came[:1]:
            signal.raise_signal(number)
