"""Store the measurements as JSON next to the page, which is generated from them."""

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
_ORDER = ("sqlite", "postgresql", "server", "folder", "snapshot", "pages", "traces", "traces_postgresql", "findings")
_SIZES = ("small", "many", "most")


def this_machine() -> dict[str, str]:
    """A description of hardware and software, without anything that identifies the machine."""
    memory = int((_value_in("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 1e6
    return {
        "machine": f"{os.cpu_count() or 1} cores, {_value_in('/proc/cpuinfo', 'model name') or platform.machine()}, "
        f"{memory:.0f} GB, {platform.system()} {platform.machine()}",
        "software": ", ".join([f"Python {platform.python_version()}", *(f"{p} {_version(p)}" for p in _PACKAGES)]),
    }


@dataclass(frozen=True)
class Row:
    """One job with the measurements of each reader."""

    job: str
    measured: list[Measured]

    def of(self, reader: str) -> Measured | None:
        """The measurements of this reader, if it did the job."""
        return next((result for result in self.measured if result.reader == reader), None)


@dataclass(frozen=True)
class Table:
    """The results for one store: its kind, its size, and a row for each job."""

    kind: str
    size: str
    title: str
    rows: list[Row]
    date: str = field(default_factory=lambda: datetime.now().astimezone().date().isoformat())
    machine: dict[str, str] = field(default_factory=this_machine)

    @property
    def place(self) -> tuple[int, int]:
        """The position of the table on the page."""
        return _SIZES.index(self.size), _ORDER.index(self.kind)


def read(path: Path) -> list[Table]:
    """Read all tables, in the order of the page."""
    if not path.exists():
        return []
    tables = [
        Table(**{**entry, "rows": [Row(row["job"], [Measured(**m) for m in row["measured"]]) for row in entry["rows"]]})
        for entry in json.loads(path.read_text(encoding="utf-8"))
    ]
    return sorted(tables, key=lambda table: table.place)


def write(path: Path, table: Table) -> list[Table]:
    """Save a table, replacing that of the same store and dropping those of other machines; return all tables."""
    other_tables = [entry for entry in read(path) if entry.place != table.place and entry.machine == table.machine]
    tables = sorted([*other_tables, table], key=lambda entry: entry.place)
    text = json.dumps([asdict(entry) for entry in tables], indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    return read(path)


def _value_in(path: str, name: str) -> str:
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
