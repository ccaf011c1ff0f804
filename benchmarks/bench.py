"""The stores, one after the other, and what is measured on each."""

from __future__ import annotations

import multiprocessing
import shutil
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.making import Size, fill_folder, fill_postgresql, fill_sqlite
from benchmarks.measure import measure, measure_commands
from benchmarks.record import Row, Table
from tests.servers import ServerMissing, embedded_postgresql, mlflow_server, system_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from benchmarks.measure import Measured

KINDS = ("sqlite", "snapshot", "postgresql", "folder", "server")
_JOBS = ("wide", "history", "metric", "experiments", "top")
_SEARCH = (
    "import sys, mlflow; mlflow.set_tracking_uri(sys.argv[1]);"
    "mlflow.search_runs(search_all_experiments=True, max_results=1_000_000)"
)
_QUALIA = (sys.executable, "-c", "from qualia_lab.cli.main import main; main()")
_NEW = (sys.executable, "-m", "qualia_lab.scripts.create_observational_notebook")


class Bench:
    """Makes stores in a folder, measures on them, and hands over each table when it is whole."""

    def __init__(
        self,
        folder: Path,
        turns: int,
        kinds: tuple[str, ...],
        jobs: list[str] | None,
        keep: Callable[[Table], None],
    ) -> None:
        self.folder = folder
        self.turns = turns
        self.kinds = kinds
        self.jobs = jobs
        self.keep = keep

    def measure_all(self, name: str, size: Size) -> None:
        """Every kind of store that there is of this size."""
        sqlite = self.folder / f"{name}.db"
        uri = f"sqlite:///{sqlite}"
        if {"sqlite", "snapshot", "server"} & set(self.kinds):
            _elsewhere(fill_sqlite, sqlite, size)
        if "sqlite" in self.kinds:
            self.database("sqlite", name, f"SQLite: {size}", uri)
        if "snapshot" in self.kinds:
            self.snapshot(name, size, uri)
        if "postgresql" in self.kinds and name != "most":
            with ExitStack() as stack:
                try:
                    server = stack.enter_context(embedded_postgresql())
                except ServerMissing:
                    server = stack.enter_context(system_postgresql())
                _elsewhere(fill_postgresql, server, size, self.folder / "artifacts")
                self.database("postgresql", name, f"PostgreSQL: {size}", server)
        if "folder" in self.kinds and name == "small":
            self.files(name, Size(size.runs, size.params, size.metrics, min(size.steps, 50)))
        if "server" in self.kinds and name == "small":
            home = self.folder / "server"
            home.mkdir()
            with mlflow_server(uri, home) as server:
                uris = dict.fromkeys(("ours", "client"), server)
                self.table(
                    "server", name, f"`mlflow server` over SQLite: {size}", [*self.five(uris), *self.new(server)]
                )
        sqlite.unlink(missing_ok=True)

    def database(self, kind: str, name: str, title: str, uri: str) -> None:
        """A database: against MLflow's client, as far as it can be waited for, and against the driver."""
        client = {"small": (), "many": ("metric",), "most": _JOBS}[name]
        readers = ("ours", "client", "raw", "bytes") if kind == "postgresql" else ("ours", "client", "raw")
        raw = ("history",) if name == "most" else ()
        rows = list(
            self.five(dict.fromkeys(readers, uri), {"client": client, "raw": raw, "bytes": ("experiments", "top")})
        )
        rows += self.screens(uri) if name != "small" else []
        rows += self.new(uri, client=name != "most")
        if name == "most":
            rows += self.row("stream", lambda job: measure(job, {"ours": uri}, 2))
            rows += self.command("executed", {"ours": (*_new(uri), "--execute")}, turns=1)
        self.table(kind, name, title, rows)

    def snapshot(self, name: str, size: Size, uri: str) -> None:
        """A snapshot of the SQLite store, and reading it against reading that."""
        home = self.folder / "snapshot"
        taken = [
            *self.command("taken", {"ours": (*_QUALIA, "snapshot", uri, str(home))}, turns=1),
            *self.command("again", {"ours": (*_QUALIA, "snapshot", uri, str(home))}, turns=1),
        ]
        rows = self.five({"ours": f"snapshot:{home}", "store": uri})
        self.table("snapshot", name, f"Snapshot of that SQLite store: {size}", [*taken, *rows])
        shutil.rmtree(home)

    def files(self, name: str, size: Size) -> None:
        """A folder, against MLflow's client and against the bytes of its files."""
        home = self.folder / "mlruns"
        fill_folder(home, size)
        rows = self.five(dict.fromkeys(("ours", "client", "bytes"), str(home)), {"bytes": ("experiments", "top")})
        self.table("folder", name, f"`mlruns` folder: {size}", [*rows, *self.new(str(home))])
        shutil.rmtree(home)

    def five(self, uris: dict[str, str], but: Mapping[str, tuple[str, ...]] | None = None) -> Iterable[Row]:
        """The five jobs.  uris: of each reader.  but: the jobs that a reader is spared."""
        for job in _JOBS:
            who = {reader: uri for reader, uri in uris.items() if job not in (but or {}).get(reader, ())}
            yield from self.row(job, lambda job, who=who: measure(job, who, self.turns))

    def new(self, uri: str, *, client: bool = True) -> Iterable[Row]:
        """The whole command, and what MLflow's client takes for the same runs alone."""
        search = {"client": (sys.executable, "-W", "ignore", "-c", _SEARCH, uri)} if client else {}
        return self.command("command", {"ours": _new(uri), **search})

    def screens(self, uri: str) -> Iterable[Row]:
        """What a person sees first."""
        runs = (*_QUALIA, "runs", "--tracking-uri", uri)
        filtered = (*runs, "--filter", "params.param_0 = '3'", "--order-by", "metrics.metric_1 DESC")
        yield from self.command("screen", {"ours": (*_QUALIA, "experiments", "--tracking-uri", uri)})
        yield from self.command("runs", {"ours": runs})
        yield from self.command("filtered", {"ours": filtered})

    def command(self, job: str, commands: dict[str, tuple[str, ...]], turns: int | None = None) -> Iterable[Row]:
        """One row of whole commands."""
        return self.row(job, lambda _: measure_commands(commands, self.folder, turns or self.turns))

    def row(self, job: str, take: Callable[[str], list[Measured]]) -> list[Row]:
        """The row of this job, said as soon as it is there; none when it was not asked for."""
        if self.jobs is not None and job not in self.jobs and job != "taken":
            return []
        measured = take(job)
        print(
            f"  {job}: " + ", ".join(f"{m.reader} {m.wall:.4f} s {m.peak / 1e6:.0f} MB" for m in measured), flush=True
        )
        return [Row(job, measured)]

    def table(self, kind: str, size: str, title: str, rows: Iterable[Row]) -> None:
        """One table, made and handed over."""
        print(title, flush=True)
        self.keep(Table(kind, size, title, list(rows)))


def _elsewhere(fill: Callable[..., None], *arguments: object) -> None:
    """Fill a store in a process of its own: what this one takes, Linux counts as taken by those that it starts."""
    process = multiprocessing.get_context("spawn").Process(target=fill, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{fill.__name__} failed")


def _new(uri: str) -> tuple[str, ...]:
    return (*_NEW, "--tracking-uri", uri, "--experiment", "sweep *", "--force", "--yes", "--output", "all.ipynb")
