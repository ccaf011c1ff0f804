"""How much of an answer is taken before it counts as endless: far above any honest store, and a setting each."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field

from qualia_lab.errors import StoreUnreadable

# Of each kind of entry, how many one question may bring, and in how many bytes. Runs and points become columns as they
# come; the others are kept as they are and take several times their bytes.
_MOST = {
    "experiments": (200_000, 256 << 20),
    "runs": (1_000_000, 16 << 30),
    "models": (500_000, 1 << 30),
    "metrics": (10_000_000, 4 << 30),
    "files": (100_000, 64 << 20),
}
# Pages are as large as they are asked to be, or nearly: past the first ones, so many entries are on each at least.
_FIRST_PAGES = 200
_ENTRIES_PER_PAGE = 20
_MOST_FOLDERS = 1_000
# So many pages in a row may bring nothing new: a server may give an empty one, or runs may be logged meanwhile.
PAGES_WITHOUT_NEWS = 3


@dataclass
class Budget:
    """What one question may still bring, in all its parts; any thread may spend of it.

    Args:
        server: who is asked, without secrets.
        what: the kind of entries: experiments, runs, models, metrics, files.
    """

    server: str
    what: str
    pages: int = 0
    entries: int = 0
    size: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spend(self, entries: int, size: int) -> None:
        """Count a page of so many entries and bytes. Raises StoreUnreadable when that is past a limit."""
        entries_limit, size_limit = _MOST[self.what]
        with self._lock:
            self.pages += 1
            self.entries += entries
            self.size += size
            for unit, spent, limit in (
                ("pages", self.pages, _setting("PAGES", _FIRST_PAGES + self.entries // _ENTRIES_PER_PAGE)),
                ("entries", self.entries, _setting("ENTRIES", entries_limit)),
                ("bytes", self.size, _setting("BYTES", size_limit)),
            ):
                if spent > limit:
                    raise StoreUnreadable(
                        f"{self.server} gives {self.what} without end: stopped after {limit:,} {unit}.",
                        f"If it does hold so much, ask for less, or set {_name(unit.upper())} to a higher number.",
                    )


def most_folders() -> int:
    """Of how many folders the artifacts of one run are listed."""
    return _setting("FOLDERS", _MOST_FOLDERS)


def _name(unit: str) -> str:
    return f"QUALIA_LAB_MOST_{unit}"


def _setting(unit: str, otherwise: int) -> int:
    """The number that the environment gives for this limit, where it gives one."""
    given = os.environ.get(_name(unit), "").replace("_", "").replace(",", "").strip()
    return int(given) if given.isascii() and given.isdecimal() and int(given) else otherwise
