"""Ctrl-C and SIGTERM: both raise an exception, so that a command cleans up, and both can be deferred."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(BaseException):
    """SIGTERM was received; like KeyboardInterrupt, it is not caught by `except Exception`."""


def raise_on_sigterm() -> None:
    """Make SIGTERM raise Terminated, once: a second SIGTERM does not interrupt the cleanup.

    This has no effect outside the main thread, which alone can install handlers, or if SIGTERM is already ignored.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def restore_sigterm() -> None:
    """Restore the default effect of SIGTERM after `raise_on_sigterm`: child processes inherit an ignored signal."""
    if signal.getsignal(signal.SIGTERM) in (_terminate, _ignore):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(*_: Any) -> None:
    signal.signal(signal.SIGTERM, _ignore)
    raise Terminated


def _ignore(*_: Any) -> None:
    """Handle a second SIGTERM; unlike SIG_IGN, this is not inherited by child processes."""


@contextlib.contextmanager
def defer_signals() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM until the block ends; for short sequences of steps that must not be separated."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are only raised in the main thread
        return
    received: list[int] = []
    handlers = {signum: signal.signal(signum, lambda number, _: received.append(number)) for signum in _SIGNALS}
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)
        for number in received[:1]:
            signal.raise_signal(number)
