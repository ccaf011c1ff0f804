"""Limits on what one query may read from a server: far above any real store, each overridable by a variable."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field

from qualia_lab.errors import StoreUnreadable

# The maximum number of entries and of bytes that one query may read, by kind of entry. Runs, traces, spans and points
# are converted to columns as they arrive; the other kinds are held as JSON objects, which take several times their
# bytes in memory.
_LIMITS = {
    "experiments": (200_000, 256 << 20),
    "runs": (1_000_000, 16 << 30),
    "models": (500_000, 1 << 30),
    "metrics": (10_000_000, 4 << 30),
    "files": (100_000, 64 << 20),
    "traces": (1_000_000, 16 << 30),
    "spans": (20_000_000, 64 << 30),
    "model_versions": (500_000, 1 << 30),
    "registered_models": (200_000, 1 << 30),
    "datasets": (100_000, 256 << 20),
    "records": (1_000_000, 4 << 30),
}
# Pages are nearly as large as requested: after the first ones, pages have at least this many entries on average.
_PAGES_ALWAYS_ALLOWED = 200
_MIN_ENTRIES_PER_PAGE = 20
_MAX_FOLDERS = 1_000
# This many pages in a row may bring nothing new: a page may be empty, or runs may be logged during the query.
MAX_PAGES_WITHOUT_NEW = 3


@dataclass
class Budget:
    """The pages, entries and bytes that one query has read so far, checked against the limits. Thread-safe.

    Attributes:
        server: the tracking URI without secrets, for messages.
        what: the kind of entries: experiments, runs, models, metrics, files, traces, ...
    """

    server: str
    what: str
    pages: int = 0
    entries: int = 0
    size: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spend(self, entries: int, size: int, pages: int = 1) -> None:
        """Count a page with this many entries and bytes. Raises StoreUnreadable when a limit is exceeded.

        Args:
            entries: the number of entries.
            size: their bytes.
            pages: 0 where the number of answers is known before, as of one for each trace.
        """
        entries_limit, size_limit = _LIMITS[self.what]
        with self._lock:
            self.pages += pages
            self.entries += entries
            self.size += size
            for unit, spent, limit in (
                ("pages", self.pages, _setting("PAGES", _PAGES_ALWAYS_ALLOWED + self.entries // _MIN_ENTRIES_PER_PAGE)),
                ("entries", self.entries, _setting("ENTRIES", entries_limit)),
                ("bytes", self.size, _setting("BYTES", size_limit)),
            ):
                if spent > limit:
                    raise StoreUnreadable(
                        f"{self.server} gives {self.what} without end: stopped after {limit:,} {unit}.",
                        f"If it really holds that much, ask for less, or increase {_variable(unit.upper())}.",
                    )


def max_folders() -> int:
    """The maximum number of folders that are listed for the artifacts of one run."""
    return _setting("FOLDERS", _MAX_FOLDERS)


def _variable(unit: str) -> str:
    return f"QUALIA_LAB_MOST_{unit}"


def _setting(unit: str, default: int) -> int:
    """The limit set by the environment variable of this unit, or the default."""
    value = os.environ.get(_variable(unit), "").replace("_", "").replace(",", "").strip()
    return int(value) if value.isascii() and value.isdecimal() and int(value) else default
