"""An event loop in a thread of its own, which the main thread can interrupt."""

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
    """Run it in the event loop of a thread of its own; whatever interrupts this thread cancels it, and waits for that.

    So Ctrl-C and SIGTERM are what they are elsewhere: asyncio and nbclient would handle them in the main thread, and
    lose the kernel while it starts. It works where a loop is running already, as in a notebook.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)
    ended = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            with contextlib.suppress(BaseException):  # the task keeps it
                loop.run_until_complete(task)
            loop.run_until_complete(_end_others())
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
                with contextlib.suppress(RuntimeError):  # it has ended just now
                    loop.call_soon_threadsafe(task.cancel)
                ended.wait(_SECONDS_TO_STOP)
        raise
    task.result()


async def _end_others() -> None:
    """Cancel what else still runs in this loop: of a cell that was cancelled, the watch over its kernel."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
