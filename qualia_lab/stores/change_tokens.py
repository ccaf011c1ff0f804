"""Change tokens: texts that differ after a store was written to, made of facts that cost little to ask for."""

from __future__ import annotations

import hashlib
import os
import time

# A file system, and MariaDB, may give two changes in this time the same time of modification.
UNSETTLED_SECONDS = 2.0


def token_of(*facts: object, last_write: float | None = None, unsettled: float = UNSETTLED_SECONDS) -> str:
    """Return a token that differs if one of the facts does.

    If the last write is so recent that another one could have the same time, the token differs from every other one, so
    that the store counts as changed once more.

    Args:
        *facts: numbers, texts and tuples of them.
        last_write: the latest time of modification among the facts, in seconds since 1970.
        unsettled: for how many seconds after the last write another one could have the same time.
    """
    if last_write is not None and abs(time.time() - last_write) < unsettled:
        facts = (*facts, time.time_ns())
    return hashlib.sha256(repr(facts).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def file_facts(path: str | os.PathLike[str]) -> tuple[int, int, int] | None:
    """Return what differs after a file or a folder was changed: its inode, size and time of modification in ns.

    Args:
        path: the file or folder; it is not opened.

    Returns:
        The facts; None if there is no such file.
    """
    try:
        there = os.stat(path)  # noqa: PTH116  called for every run of a folder, and pathlib takes longer
    except OSError:
        return None
    return there.st_ino, there.st_size, there.st_mtime_ns
