"""Run a coroutine in an event loop in a separate thread that the calling thread can interrupt."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from qualia_lab.interruptions import defer_signals

if TYPE_CHECKING:
    from collections.abc import Coroutine

_SECONDS_TO_STOP = 10


def run_in_thread(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in an event loop in a separate thread; an exception in this thread cancels it and waits for it.

    Ctrl-C and SIGTERM therefore work as elsewhere: asyncio and nbclient would handle them in the main thread, and lose
    a kernel that is just starting. It also works if an event loop is already running, as in a notebook.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)
    ended = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            with contextlib.suppress(BaseException):  # the task stores it
                loop.run_until_complete(task)
            loop.run_until_complete(_cancel_remaining())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
            ended.set()

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
        ended.wait()
    except BaseException:
        with defer_signals():
            if not ended.is_set():
                with contextlib.suppress(RuntimeError):  # the loop has just closed
                    loop.call_soon_threadsafe(task.cancel)
                ended.wait(_SECONDS_TO_STOP)
        raise
    task.result()


async def _cancel_remaining() -> None:
    """Cancel all other tasks of this loop, such as the one that polls the kernel of a cancelled cell."""
    remaining = asyncio.all_tasks() - {asyncio.current_task()}
    for task in remaining:
        task.cancel()
    await asyncio.gather(*remaining, return_exceptions=True)
