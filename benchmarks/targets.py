"""The performance targets, and whether the measurements meet them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from benchmarks.record import Row, Table

_TIMES = {"wide": 30, "history": 100, "metric": 100, "experiments": 300, "top": 10}
# Of a page: CPU as a multiple of importing pandas and mlflow, megabytes of the notebook, megabytes of the page.
_PAGES = {"page_demo": (3.5, 1.4, 2.0), "page_120": (5.0, None, 3.5)}
_TRACES = {
    "screen_traces": "20 traces",
    "first_traces": "100 traces",
    "some_traces": "5,000 traces",
    "all_traces": "all of 100,000 traces",
}
_OF_TRACES = {
    "all_traces": "all of 100,000 traces",
    "traces_csv": "`qualia traces --csv` of 100,000 traces",
    "traces_json": "`qualia traces --json` of 100,000 traces",
    "traces_executed": "the template `traces` of 100,000 traces",
}
# Of a page of 100 runs, 10 metrics and 1,000 steps in Chromium: seconds.
_IN_CHROMIUM = {"open": ("a page of 100 runs, opened", 3.0), "choose": ("a page of 100 runs, a choice", 0.1)}
_DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True)
class Target:
    """A target, the worst measurement, and whether it meets the target."""

    name: str
    limit: str
    worst: str
    met: bool

    def __str__(self) -> str:
        return f"{'met   ' if self.met else 'MISSED'} {self.name}: {self.limit}; {self.worst}"


def check_targets(tables: Sequence[Table]) -> list[Target]:
    """The targets for which there are measurements."""
    return list(_targets(tables))


def _targets(tables: Sequence[Table]) -> Iterator[Target]:
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
    for kind, name in (("traces", "SQLite"), ("traces_postgresql", "PostgreSQL")):
        for reader, whose in (("client", "MLflow's client"), ("fluent", "`mlflow.search_traces`")):
            for job, what in _TRACES.items():
                yield from _at_least(f"{name}, {what}, against {whose}", _ratios(tables, reader, (kind,), job), 30)
        rows = {row.job: row for table in tables if table.kind == kind for row in table.rows}
        for job, what in _OF_TRACES.items():
            yield from _at_most(f"{name}, {what}, peak memory", rows.get(job), "peak", 1000)
    largest = [table for table in tables if table.size == "most" and table.kind == "sqlite"]
    rows = {row.job: row for table in largest for row in table.rows}
    for job, limit in (("screen", 1000), ("runs", 1000), ("filtered", 1000), ("command", 1000), ("executed", 1000)):
        yield from _at_most(f"100,000 runs, {job}, peak memory", rows.get(job), "peak", limit)
    yield from _at_most("100,000 runs, every point streamed, peak memory", rows.get("stream"), "peak", 500)
    for job in ("screen", "runs"):
        yield from _at_most(f"100,000 runs, {job}, seconds", rows.get(job), "wall", 1.5)
    found = [table for table in tables if table.kind == "findings"]
    ratios = [
        (reading.cpu / ours.cpu, row.job.replace("_", " "))
        for table in found
        for row in table.rows
        if (ours := row.of("ours")) and (reading := row.of("reading"))
    ]
    yield from _at_least("findings of 20,000 runs, CPU, against reading what they use", ratios, 1 / 2)
    yield from _of_pages([row for table in tables if table.kind == "pages" for row in table.rows])


def _of_pages(rows: Sequence[Row]) -> Iterator[Target]:
    for row in rows:
        if (ours := row.of("ours")) and row.job in _IN_CHROMIUM:
            what, limit = _IN_CHROMIUM[row.job]
            yield Target(what, f"at most {limit:g} s", f"{ours.wall:.3g} s", ours.wall <= limit)
        if ours and (earlier := row.of("earlier")):
            ratio = ours.cpu / earlier.cpu
            name = f"{row.job.replace('_', ' of ')}, CPU, against an earlier commit"
            yield Target(name, "at most 0.5×", f"{ratio:.2f}×", ratio <= 1 / 2)
        ours, importing = row.of("ours"), row.of("import")
        if row.job not in _PAGES or not ours or not importing:
            continue
        times, *megabytes = _PAGES[row.job]
        ratio, name = ours.cpu / importing.cpu, row.job.replace("_", " of ")
        limit = f"at most {times:g}× that of `import pandas, mlflow`"
        yield Target(f"{name}, CPU", limit, f"{ratio:.1f}×", ratio <= times)
        for what, most in zip(("notebook", "page"), megabytes, strict=True):
            size = ours.sizes.get(what, 0) / 1e6
            if most is not None and size:
                yield Target(f"{name}, size of the {what}", f"at most {most:g} MB", f"{size:.2f} MB", size <= most)


def _ratios(tables: Iterable[Table], reader: str, kinds: Collection[str], job: str) -> list[tuple[float, str]]:
    ratios = []
    for table in tables:
        for row in table.rows:
            ours, other, bytes_alone = row.of("ours"), row.of(reader), row.of("bytes")
            if table.kind in kinds and row.job == job and ours and other:
                where = f"{job} of {table.title.partition(' runs')[0]}"
                if reader in ("client", "fluent") and bytes_alone and table.kind != "folder":
                    where += f"; for the bytes alone: {other.wall / bytes_alone.wall:.3g}×"
                ratios.append((other.wall / ours.wall, where))
    return ratios


def _at_least(name: str, ratios: list[tuple[float, str]], times: float) -> Iterator[Target]:
    if ratios:
        ratio, where = min(ratios)
        limit = f"at least {times:g}×" if times >= 1 else f"at most {1 / times:g}× as long"
        measured = f"{ratio:.3g}×" if times >= 1 else f"{1 / ratio:.2g}× as long"
        yield Target(name, limit, f"{measured} ({where})", ratio >= times)


def _at_most(description: str, row: Row | None, name: str, limit: float) -> Iterator[Target]:
    ours = row.of("ours") if row else None
    if ours:
        value = ours.peak / 1e6 if name == "peak" else ours.wall
        unit = "MB" if name == "peak" else "s"
        yield Target(description, f"at most {limit:g} {unit}", f"{value:.3g} {unit}", value <= limit)
