"""Runs that have ended, and those among them whose histories grow no more."""

from __future__ import annotations

import time

ENDED = ("FINISHED", "FAILED", "KILLED")
# A client that logs in the background may still send points after it has reported the end of its run.
_SETTLED_MS = 10 * 60_000


def has_settled(status: str | None, end_time: int | None, now_ms: int | None = None) -> bool:
    """Return whether a run ended so long ago that its clients have sent all of its points.

    Args:
        status: its status.
        end_time: when it ended, in ms since 1970.
        now_ms: the current time in ms; None for the clock.
    """
    if status not in ENDED or end_time is None:
        return False
    return 0 < end_time <= (int(time.time() * 1000) if now_ms is None else now_ms) - _SETTLED_MS
