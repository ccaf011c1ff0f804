"""What reading is promised to be, and whether what was measured keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from benchmarks.record import Row, Table

_TIMES = {"wide": 30, "history": 100, "metric": 100, "experiments": 300, "top": 10}
_DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True)
class Promise:
    """A sentence, the worst that was measured, and whether that keeps it."""

    what: str
    wanted: str
    worst: str
    kept: bool

    def __str__(self) -> str:
        return f"{'kept  ' if self.kept else 'MISSED'} {self.what}: {self.wanted}; {self.worst}"


def promises(tables: Sequence[Table]) -> list[Promise]:
    """The promises about which something was measured."""
    return list(_promises(tables))


def _promises(tables: Sequence[Table]) -> Iterator[Promise]:
    for kind, name in _DATABASES.items():
        for job, times in _TIMES.items():
            ratios = _ratios(tables, "client", (kind,), job)
            yield from _at_least(f"{name}, {job}, against MLflow's client", ratios, times)
    bulk = [ratio for job in ("wide", "history", "metric") for ratio in _ratios(tables, "raw", _DATABASES, job)]
    yield from _at_least("databases, tables and histories, against the raw driver", bulk, 1)
    few = [ratio for job in ("experiments", "top") for ratio in _ratios(tables, "raw", _DATABASES, job)]
    yield from _at_least("databases, experiments and top, against the raw driver", few, 1)
    loops = [ratio for job in ("history", "metric") for ratio in _ratios(tables, "client", ("server",), job)]
    yield from _at_least("`mlflow server`, histories, against the client's own loop", loops, 3)
    bytes_ = [ratio for job in _TIMES for ratio in _ratios(tables, "bytes", ("folder",), job)]
    yield from _at_least("`mlruns` folder, against reading the bytes of its files", bytes_, 1 / 3)
    most = [table for table in tables if table.size == "most" and table.kind == "sqlite"]
    rows = {row.job: row for table in most for row in table.rows}
    for job, limit in (("screen", 1000), ("runs", 1000), ("filtered", 1000), ("command", 1000), ("executed", 1000)):
        yield from _at_most(f"100,000 runs, {job}, peak memory", rows.get(job), "peak", limit)
    yield from _at_most("100,000 runs, every point streamed, peak memory", rows.get("stream"), "peak", 500)
    for job in ("screen", "runs"):
        yield from _at_most(f"100,000 runs, {job}, seconds", rows.get(job), "wall", 1.5)


def _ratios(tables: Iterable[Table], reader: str, kinds: Collection[str], job: str) -> list[tuple[float, str]]:
    found = []
    for table in tables:
        for row in table.rows:
            ours, other, least = row.of("ours"), row.of(reader), row.of("bytes")
            if table.kind in kinds and row.job == job and ours and other:
                where = f"{job} of {table.title.partition(' runs')[0]}"
                if reader == "client" and table.kind in _DATABASES and least:
                    where += f"; of its bytes alone: {other.wall / least.wall:.3g}×"
                found.append((other.wall / ours.wall, where))
    return found


def _at_least(what: str, ratios: list[tuple[float, str]], times: float) -> Iterator[Promise]:
    if ratios:
        ratio, where = min(ratios)
        wanted = f"at least {times:g}×" if times >= 1 else f"at most {1 / times:g}× as long"
        said = f"{ratio:.3g}×" if times >= 1 else f"{1 / ratio:.2g}× as long"
        yield Promise(what, wanted, f"{said} ({where})", ratio >= times)


def _at_most(what: str, row: Row | None, name: str, limit: float) -> Iterator[Promise]:
    ours = row.of("ours") if row else None
    if ours:
        value = ours.peak / 1e6 if name == "peak" else ours.wall
        unit = "MB" if name == "peak" else "s"
        yield Promise(what, f"at most {limit:g} {unit}", f"{value:.3g} {unit}", value <= limit)
