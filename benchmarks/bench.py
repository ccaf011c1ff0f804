"""Run the benchmarks on each kind and size of store."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from benchmarks.measure import measure, measure_commands, measure_findings, measure_opening
from benchmarks.readers import TRACES_OF_A_SCREEN
from benchmarks.record import Row, Table
from benchmarks.stores import (
    EXPERIMENTS,
    Size,
    fill_folder,
    fill_postgresql,
    fill_sqlite,
    make_grid,
    make_schema,
    name_metrics,
)
from benchmarks.traces import TraceSize, fill_traces_in_postgresql, fill_traces_in_sqlite
from tests.servers import ServerMissing, embedded_postgresql, mlflow_server, system_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from benchmarks.measure import Measured

KINDS = ("sqlite", "snapshot", "postgresql", "folder", "server", "pages", "traces", "traces_postgresql", "findings")
_RUNS = 1_000  # of the small stores; fewer in a quick trial
_TRACES = 100_000
_JOBS = ("wide", "history", "metric", "experiments", "top")
_SEARCH = (
    "import sys, mlflow; mlflow.set_tracking_uri(sys.argv[1]);"
    "mlflow.search_runs(search_all_experiments=True, max_results=1_000_000)"
)
_SEARCH_TRACES = (
    "import sys, mlflow; mlflow.set_tracking_uri(sys.argv[1]);"
    "ids = [experiment.experiment_id for experiment in mlflow.search_experiments()];"
    f"print(mlflow.search_traces(locations=ids, max_results={TRACES_OF_A_SCREEN}, include_spans=False))"
)
_QUALIA = (sys.executable, "-c", "from qualia_lab.cli.main import main; main()")
_NEW = (sys.executable, "-m", "qualia_lab.scripts.create_observational_notebook")
_DEMO = (sys.executable, "-m", "qualia_lab.scripts.create_demo_runs")
_IMPORT = (sys.executable, "-W", "ignore", "-c", "import pandas, mlflow")
# The pages that are made: the demo's 24 runs, and stores of these numbers of runs.
_PAGES = {"page_demo": None, "page_120": 120, "page_1000": 1_000}
_CURVES = Size(runs=100, params=5, metrics=10, steps=1_000)  # of the page that is opened in Chromium
# Stores whose findings are made: the number of experiments, and the numbers of values of the params of a grid.
_FINDINGS: dict[str, tuple[int, tuple[int, ...]]] = {
    "findings_one": (1, ()),
    "findings_ten": (EXPERIMENTS, ()),
    "findings_grids": (EXPERIMENTS, (5, 4, 5, 2)),
    "findings_large_grids": (EXPERIMENTS, (8, 6, 5, 4)),
}


class Bench:
    """Creates stores in a folder and runs the benchmarks on them; `save` gets each complete table."""

    def __init__(
        self,
        folder: Path,
        turns: int,
        kinds: tuple[str, ...],
        jobs: list[str] | None,
        save: Callable[[Table], None],
        *,
        earlier: Path | None = None,
    ) -> None:
        self.folder = folder
        self.turns = turns
        self.kinds = kinds
        self.jobs = jobs
        self.save = save
        self.earlier = earlier  # a checkout of an earlier commit, to compare the largest page with

    def measure_all(self, name: str, size: Size) -> None:
        """Run the benchmarks on every kind of store of this size."""
        sqlite = self.folder / f"{name}.db"
        uri = f"sqlite:///{sqlite}"
        if {"sqlite", "snapshot", "server"} & set(self.kinds):
            _in_child_process(fill_sqlite, sqlite, size)
        if "sqlite" in self.kinds:
            self.database("sqlite", name, f"SQLite: {size}", uri)
        if "snapshot" in self.kinds:
            self.snapshot(name, size, uri)
        if "postgresql" in self.kinds and name != "most":
            with _postgresql() as server:
                _in_child_process(fill_postgresql, server, size, self.folder / "artifacts")
                self.database("postgresql", name, f"PostgreSQL: {size}", server)
        if "folder" in self.kinds and name == "small":
            self.files(name, Size(size.runs, size.params, size.metrics, min(size.steps, 50)))
        if "server" in self.kinds and name == "small":
            home = self.folder / "server"
            home.mkdir()
            with mlflow_server(uri, home) as server:
                uris = dict.fromkeys(("ours", "client"), server)
                self.table(
                    "server",
                    name,
                    f"`mlflow server` over SQLite: {size}",
                    [*self.reading_jobs(uris), *self.create_command(server)],
                )
        if "pages" in self.kinds and name == "small":
            self.pages(name)
        if name == "small":
            self.traces(name, TraceSize(_TRACES if size.runs >= _RUNS else size.runs))
        if "findings" in self.kinds and name == "many":
            self.findings(name, Size(size.runs, params=10, metrics=2, steps=10))
        sqlite.unlink(missing_ok=True)

    def traces(self, name: str, size: TraceSize) -> None:
        """Stores of traces: compared with MLflow's client for as many as it reads in some seconds."""
        if "traces" in self.kinds:
            path = self.folder / "traces.db"
            _in_child_process(fill_traces_in_sqlite, path, size)
            self.table("traces", name, f"SQLite: {size}", self.trace_jobs(f"sqlite:///{path}"))
            path.unlink()
        if "traces_postgresql" in self.kinds:
            with _postgresql() as server:
                _in_child_process(fill_traces_in_postgresql, server, size, self.folder / "artifacts of traces")
                self.table("traces_postgresql", name, f"PostgreSQL: {size}", self.trace_jobs(server))

    def trace_jobs(self, uri: str) -> Iterable[Row]:
        """The jobs on traces, and the commands that show, write and describe all of them."""
        for job in ("screen_traces", "first_traces", "some_traces", "all_traces"):
            # MLflow's function would read a thousand pages.
            readers: tuple[str, ...] = ("ours", "client", *(() if job == "all_traces" else ("fluent",)))
            readers += ("bytes",) if uri.startswith("postgresql") else ()
            uris = dict.fromkeys(readers, uri)
            yield from self.row(job, lambda job, uris=uris: measure(job, uris, self.turns))
        traces = (*_QUALIA, "traces", "--tracking-uri", uri)
        script = (sys.executable, "-W", "ignore", "-c", _SEARCH_TRACES, uri)
        yield from self.command("traces_screen", {"ours": traces, "fluent": script})
        yield from self.command("traces_csv", {"ours": (*traces, "--csv")}, turns=1)
        yield from self.command("traces_json", {"ours": (*traces, "--json")}, turns=1)
        notebook = (
            *_NEW,
            "--tracking-uri",
            uri,
            "--template",
            "traces",
            "--force",
            "--yes",
            "--output",
            "traces.ipynb",
        )
        yield from self.command("traces_executed", {"ours": (*notebook, "--execute")}, turns=1)

    def findings(self, name: str, size: Size) -> None:
        """Findings compared with reading what they use, in experiments of several shapes."""
        rows: list[Row] = []
        for job, (experiments, levels) in _FINDINGS.items():
            store = self.folder / f"{job}.db"
            ids = make_schema(f"sqlite:///{store}", self.folder / "artifacts")[:experiments]
            _in_child_process(fill_sqlite, store, size, ids)
            name_metrics(store, ("val_loss", "train_loss"))
            if levels:
                make_grid(store, levels)
            rows += self.row(job, lambda _, store=store: measure_findings(f"sqlite:///{store}", self.turns))
            store.unlink()
        self.table("findings", name, f"Findings, compared with reading: {size}", rows)

    def pages(self, name: str) -> None:
        """Executed notebooks with their pages, compared with importing what a notebook of one's own begins with."""
        rows: list[Row] = []
        for job, runs in _PAGES.items():
            if self.jobs is not None and job not in self.jobs:
                continue
            store = self.folder / f"{job}.db"
            uri, notebook = f"sqlite:///{store}", self.folder / f"{job}.ipynb"
            if runs is None:
                subprocess.run([*_DEMO, "--tracking-uri", uri], check=True, capture_output=True, cwd=self.folder)
            else:
                _in_child_process(fill_sqlite, store, Size(runs, params=10, metrics=10))
            experiment = "churn" if runs is None else "sweep *"
            new = (*_NEW, "--tracking-uri", uri, "--experiment", experiment, "--force", "--yes", "--to", "html")
            commands: dict[str, tuple[str, ...]] = {"ours": (*new, "--output", str(notebook)), "import": _IMPORT}
            if job == "page_1000" and self.earlier is not None:
                old = self.folder / "earlier.ipynb"
                commands["earlier"] = ("env", f"PYTHONPATH={self.earlier.resolve()}", *new, "--output", str(old))
            made = self.command(job, commands)
            files = {"notebook": notebook, "page": notebook.with_suffix(".html")}
            made[0].measured[0].sizes |= {what: path.stat().st_size for what, path in files.items()}
            rows += made
            store.unlink()
        rows += self.opening()
        self.table("pages", name, "Notebook and page: executed, and exported as HTML", rows)

    def opening(self) -> Iterable[Row]:
        """A page of many curves in headless Chromium."""
        if self.jobs is not None and not {"open", "choose"} & set(self.jobs):
            return
        store, notebook = self.folder / "curves.db", self.folder / "curves.ipynb"
        uri = f"sqlite:///{store}"
        _in_child_process(fill_sqlite, store, _CURVES)
        new = (*_NEW, "--tracking-uri", uri, "--experiment", "sweep *", "--yes", "--to", "html")
        subprocess.run([*new, "--output", str(notebook)], check=True, capture_output=True, cwd=self.folder)
        page = notebook.with_suffix(".html")
        measured = measure_opening(page, self.turns)
        measured["open"].sizes |= {"page": page.stat().st_size}
        for job, one in measured.items():
            yield from self.row(job, lambda _, one=one: [one])
        store.unlink()

    def database(self, kind: str, name: str, title: str, uri: str) -> None:
        """A database: compared with MLflow's client, where that takes minutes at most, and with the raw driver."""
        client = {"small": (), "many": ("metric",), "most": _JOBS}[name]
        readers = ("ours", "client", "raw", "bytes") if kind == "postgresql" else ("ours", "client", "raw")
        raw = ("history",) if name == "most" else ()
        rows = list(
            self.reading_jobs(
                dict.fromkeys(readers, uri), {"client": client, "raw": raw, "bytes": ("experiments", "top")}
            )
        )
        rows += self.listing_commands(uri) if name != "small" else []
        rows += self.create_command(uri, client=name != "most")
        if name == "most":
            rows += self.row("stream", lambda job: measure(job, {"ours": uri}, 2))
            rows += self.command("executed", {"ours": (*_new(uri), "--execute")}, turns=1)
        self.table(kind, name, title, rows)

    def snapshot(self, name: str, size: Size, uri: str) -> None:
        """A snapshot of the SQLite store: creating it, and reading it compared with reading the store."""
        home = self.folder / "snapshot"
        creation_rows = [
            *self.command("taken", {"ours": (*_QUALIA, "snapshot", uri, str(home))}, turns=1),
            *self.command("again", {"ours": (*_QUALIA, "snapshot", uri, str(home))}, turns=1),
        ]
        rows = self.reading_jobs({"ours": f"snapshot:{home}", "store": uri})
        self.table("snapshot", name, f"Snapshot of that SQLite store: {size}", [*creation_rows, *rows])
        shutil.rmtree(home)

    def files(self, name: str, size: Size) -> None:
        """An mlruns folder: compared with MLflow's client and with reading the bytes of its files."""
        home = self.folder / "mlruns"
        fill_folder(home, size)
        rows = self.reading_jobs(
            dict.fromkeys(("ours", "client", "bytes"), str(home)), {"bytes": ("experiments", "top")}
        )
        self.table("folder", name, f"`mlruns` folder: {size}", [*rows, *self.create_command(str(home))])
        shutil.rmtree(home)

    def reading_jobs(self, uris: dict[str, str], skipped: Mapping[str, tuple[str, ...]] | None = None) -> Iterable[Row]:
        """The five reading jobs.  uris: the URI for each reader.  skipped: the jobs that a reader does not do."""
        for job in _JOBS:
            selected = {reader: uri for reader, uri in uris.items() if job not in (skipped or {}).get(reader, ())}
            yield from self.row(job, lambda job, selected=selected: measure(job, selected, self.turns))

    def create_command(self, uri: str, *, client: bool = True) -> Iterable[Row]:
        """The complete command, compared with `search_runs` of MLflow's client for the same runs."""
        search = {"client": (sys.executable, "-W", "ignore", "-c", _SEARCH, uri)} if client else {}
        return self.command("command", {"ours": _new(uri), **search})

    def listing_commands(self, uri: str) -> Iterable[Row]:
        """The commands that list experiments and runs."""
        runs = (*_QUALIA, "runs", "--tracking-uri", uri)
        filtered = (*runs, "--filter", "params.param_0 = '3'", "--order-by", "metrics.metric_1 DESC")
        yield from self.command("screen", {"ours": (*_QUALIA, "experiments", "--tracking-uri", uri)})
        yield from self.command("runs", {"ours": runs})
        yield from self.command("filtered", {"ours": filtered})

    def command(self, job: str, commands: dict[str, tuple[str, ...]], turns: int | None = None) -> list[Row]:
        """One row of the run times of complete commands."""
        return self.row(job, lambda _: measure_commands(commands, self.folder, turns or self.turns))

    def row(self, job: str, take: Callable[[str], list[Measured]]) -> list[Row]:
        """Measure a job and print its row; no row if the job is not selected."""
        if self.jobs is not None and job not in self.jobs and job != "taken":
            return []
        measured = take(job)
        print(
            f"  {job}: " + ", ".join(f"{m.reader} {m.wall:.4f} s {m.peak / 1e6:.0f} MB" for m in measured), flush=True
        )
        return [Row(job, measured)]

    def table(self, kind: str, size: str, title: str, rows: Iterable[Row]) -> None:
        """Build one table and save it."""
        print(title, flush=True)
        self.save(Table(kind, size, title, list(rows)))


@contextmanager
def _postgresql() -> Iterator[str]:
    """The URI of an empty database on the embedded PostgreSQL, or on that of this machine."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(embedded_postgresql())
        except ServerMissing:
            server = stack.enter_context(system_postgresql())
        yield server


def _in_child_process(fill: Callable[..., None], *arguments: object) -> None:
    """Fill a store in a child process: on Linux, the peak memory of this process is counted for its later children."""
    process = multiprocessing.get_context("spawn").Process(target=fill, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{fill.__name__} failed")


def _new(uri: str) -> tuple[str, ...]:
    return (*_NEW, "--tracking-uri", uri, "--experiment", "sweep *", "--force", "--yes", "--output", "all.ipynb")
