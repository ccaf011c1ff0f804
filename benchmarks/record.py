"""What was measured, as JSON beside the page: the page is made from it and from nothing else."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.measure import Measured

_PACKAGES = ("mlflow", "sqlalchemy", "pyarrow", "adbc-driver-manager", "psycopg")
_ORDER = ("sqlite", "postgresql", "server", "folder", "snapshot")
_SIZES = ("small", "many", "most")


def this_machine() -> dict[str, str]:
    """What the numbers depend on; nothing by which this machine could be found."""
    memory = int((_said_in("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 1e6
    return {
        "machine": f"{os.cpu_count() or 1} cores, {_said_in('/proc/cpuinfo', 'model name') or platform.machine()}, "
        f"{memory:.0f} GB, {platform.system()} {platform.machine()}",
        "software": ", ".join([f"Python {platform.python_version()}", *(f"{p} {_version(p)}" for p in _PACKAGES)]),
    }


@dataclass(frozen=True)
class Row:
    """One job, and what each reader took."""

    job: str
    measured: list[Measured]

    def of(self, reader: str) -> Measured | None:
        """What this reader took, if it did the job."""
        return next((one for one in self.measured if one.reader == reader), None)


@dataclass(frozen=True)
class Table:
    """One store: its kind and size in words, and its rows."""

    kind: str
    size: str
    title: str
    rows: list[Row]
    date: str = field(default_factory=lambda: datetime.now().astimezone().date().isoformat())
    machine: dict[str, str] = field(default_factory=this_machine)

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands on the page."""
        return _SIZES.index(self.size), _ORDER.index(self.kind)


def read(path: Path) -> list[Table]:
    """The tables that were measured, in the page's order."""
    if not path.exists():
        return []
    tables = [
        Table(**{**one, "rows": [Row(row["job"], [Measured(**m) for m in row["measured"]]) for row in one["rows"]]})
        for one in json.loads(path.read_text(encoding="utf-8"))
    ]
    return sorted(tables, key=lambda table: table.place)


def write(path: Path, table: Table) -> list[Table]:
    """Put this table in place of the one of the same store; those of other machines go. All that are there now."""
    kept = [one for one in read(path) if one.place != table.place and one.machine == table.machine]
    tables = sorted([*kept, table], key=lambda one: one.place)
    text = json.dumps([asdict(one) for one in tables], indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    return read(path)


def _said_in(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
