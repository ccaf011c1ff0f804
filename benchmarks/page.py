"""docs/performance.md, from what was measured and nothing else."""

from __future__ import annotations

import os
import platform
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measure import Measured

JOBS = {
    "wide": "all runs, wide",
    "history": "full history of 100 runs",
    "metric": "one metric's history, all runs",
    "experiments": "experiments with run counts and last activity",
    "top": "top 50 by metric where a param has a value",
    "command": "the whole command, against `import mlflow` and `search_runs` alone",
    "stream": "every point of every run, streamed",
    "screen": "`qualia experiments`, the first screen",
    "runs": "`qualia runs`",
    "filtered": "`qualia runs --filter … --order-by …`",
    "executed": "the whole command with `--execute`",
}

_HEAD = """\
# Performance

Written by `make bench`{full} on {date}; no number on this page was typed. Each job is done in turn by \
qualia_lab, by MLflow's client, by the raw Python driver (tuples zipped into Arrow columns; for folders the \
bytes of the files, read and forgotten), each in a process of its own and in the same minutes; the results are\
 compared and are equal. Seconds are the median of the turns after the first, which warms caches; what took \
longer than five seconds had one turn. CPU seconds are the reader's own: a server's are not in them. Memory is\
 the peak of the whole process, Python and its packages included.

- machine: {cores} cores, {cpu}, {memory:.0f} GB, {system}
- Python {python}, {packages}
"""


def page(tables: Sequence[tuple[str, Sequence[tuple[str, Sequence[Measured]]]]], *, full: bool) -> str:
    """The page.  tables: of each store its title, and of each job its name and what each reader took."""
    names = ("qualia-lab", "mlflow", "sqlalchemy", "pyarrow", "adbc-driver-manager", "psycopg")
    head = _HEAD.format(
        full=" (`python -m benchmarks --full`)" if full else "",
        date=datetime.now().astimezone().date().isoformat(),
        cores=_cores(),
        cpu=_said_in("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        memory=int((_said_in("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 1e6,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages=", ".join(f"{name} {_version(name)}" for name in names),
    )
    return "\n".join([head, *(_table(title, rows) for title, rows in tables)])


def _table(title: str, rows: Sequence[tuple[str, Sequence[Measured]]]) -> str:
    lines = [
        f"## {title}",
        "",
        (
            "| job | qualia_lab | MLflow's client | ratio | raw | ratio"
            " | CPU: ours, client, raw | peak MB: ours, client, raw |"
        ),
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for job, measured in rows:
        by = {one.reader: one for one in measured}
        ours, client, raw = by["ours"], by.get("client"), by.get("raw") or by.get("bytes")
        cells = [JOBS[job], _seconds(ours.wall)]
        for other in (client, raw):
            cells += [_seconds(other.wall), f"{_round(other.wall / ours.wall)}×"] if other else ["", ""]
        cells.append(", ".join(_seconds(one.cpu) if one else "–" for one in (ours, client, raw)))
        cells.append(", ".join(f"{one.peak / 1e6:.0f}" if one else "–" for one in (ours, client, raw)))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _seconds(seconds: float) -> str:
    return f"{seconds:.4f}" if seconds < 0.01 else f"{seconds:.3f}" if seconds < 1 else f"{seconds:.1f}"


def _round(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


def _cores() -> int:

    return os.cpu_count() or 1


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
