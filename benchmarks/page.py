"""docs/performance.md, from what was measured and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.promises import promises

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.record import Row, Table

JOBS = {
    "wide": "all runs, wide",
    "history": "full history of 100 runs",
    "metric": "one metric's history, all runs",
    "experiments": "experiments with run counts and last activity",
    "top": "top 50 by metric where a param has a value",
    "command": "the whole command, against `import mlflow` and `search_runs` alone",
    "stream": "every point of every run, streamed",
    "screen": "`qualia experiments`",
    "runs": "`qualia runs`",
    "filtered": "`qualia runs --filter … --order-by …`",
    "executed": "the whole command with `--execute`",
    "taken": "`qualia snapshot`, the first time",
    "again": "`qualia snapshot`, again",
}

_READERS = {
    "client": "MLflow's client",
    "raw": "the raw driver",
    "bytes": "the bytes alone",
    "store": "the store itself",
}

_HEAD = (
    "# Performance",
    "",
    (
        "Written by `make bench` (`make bench FULL=1` adds the largest store); no number on this page was typed. "
        "Each job is done in turn by qualia_lab, by MLflow's client and by the raw Python driver (its tuples zipped "
        "into Arrow columns), each in a process of its own that keeps its connection open, in the same minutes; their "
        "results are compared, and are equal. A folder is read against the bytes of the files that hold the answer, "
        "read and forgotten, as `cat` does, and a PostgreSQL also against the bytes that it sends for the same rows, "
        "received and forgotten; a snapshot against the store that it was taken from. The driver is given "
        "finished SQL: it is not asked which columns this version of the schema has, nor is a filter turned into SQL, "
        "which is some milliseconds."
    ),
    "",
    (
        "Seconds are of the median turn after the first, which warms caches; MLflow's client has one turn where it "
        "takes more than five seconds. CPU seconds are of the reader's own process, not of a server. Memory is the "
        "peak of the whole process (of a command: of the largest process), Python and its packages included. MLflow's "
        "client is spared what it takes more than some minutes for: one metric of 20,000 runs (a question to the store "
        "for each), and every job with 100,000 runs. Where a cell is empty, there was nothing to compare with."
    ),
)


def page(tables: Sequence[Table]) -> str:
    """The page."""
    lines = [*_HEAD, ""]
    for machine in {tuple(table.machine.items()): table.machine for table in tables}.values():
        lines += [*(f"- {value}" for value in machine.values()), ""]
    lines += ["## What is promised", "", "| | wanted | worst measured | |", "|---|---|---|---|"]
    for one in promises(tables):
        what = one.what.replace("  ", " ")
        lines.append(f"| {what} | {one.wanted} | {one.worst} | {'kept' if one.kept else '**missed**'} |")
    for table in tables:
        lines += ["", *_table(table)]
    return "\n".join([*lines, ""])


def _table(table: Table) -> list[str]:
    others = [name for name in _READERS if any(row.of(name) for row in table.rows)]
    heads = ["job", "qualia_lab", *(head for name in others for head in (_READERS[name], "ratio"))]
    heads += ["CPU seconds", "peak MB"]
    lines = [
        f"## {table.title}",
        "",
        f"Measured on {table.date}. CPU and memory: {', '.join(['qualia_lab', *(_READERS[name] for name in others)])}.",
        "",
        f"| {' | '.join(heads)} |",
        f"|---|{'---:|' * (len(heads) - 1)}",
    ]
    lines += [f"| {' | '.join(_cells(row, others))} |" for row in table.rows]
    return lines


def _cells(row: Row, others: Sequence[str]) -> list[str]:
    ours = row.of("ours")
    assert ours
    cells = [JOBS[row.job], _seconds(ours.wall)]
    for name in others:
        other = row.of(name)
        cells += [_seconds(other.wall), f"{_round(other.wall / ours.wall)}×"] if other else ["", ""]
    all_ = [ours, *(row.of(name) for name in others)]
    cells.append(", ".join(_seconds(one.cpu) if one else "–" for one in all_))
    cells.append(", ".join(f"{one.peak / 1e6:.0f}" if one else "–" for one in all_))
    return cells


def _seconds(seconds: float) -> str:
    return f"{seconds:.4f}" if seconds < 0.01 else f"{seconds:.3f}" if seconds < 1 else f"{seconds:.1f}"


def _round(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"
