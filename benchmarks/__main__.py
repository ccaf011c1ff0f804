"""`python -m benchmarks [--full]`: makes stores, measures on them, and writes docs/performance.md."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.making import Size, fill_folder, fill_postgresql, fill_sqlite
from benchmarks.measure import TURNS, measure, measure_commands
from benchmarks.page import page
from tests.servers import ServerMissing, embedded_postgresql, mlflow_server, system_postgresql

if TYPE_CHECKING:
    from benchmarks.measure import Measured

    Rows = list[tuple[str, list[Measured]]]

PAGE = Path(__file__).parents[1] / "docs/performance.md"
_JOBS = ("wide", "history", "metric", "experiments", "top")
_MANY = Size(20_000, steps=20)
_MOST = Size(100_000, metrics=10, steps=20)
_SEARCH = (
    "import sys, mlflow; mlflow.set_tracking_uri(sys.argv[1]);"
    "mlflow.search_runs(search_all_experiments=True, max_results=1_000_000)"
)


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="also 20,000 runs, and 100,000 with 20 million points")
    parser.add_argument("--runs", type=int, default=1000, help="of the small stores")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--output", type=Path, default=PAGE)
    parser.add_argument("--folder", type=Path, help="for the stores (--full: 15 GB); a temporary one otherwise")
    parser.add_argument(
        "--only", nargs="*", default=["sqlite", "postgresql", "server", "folder"], help="kinds of stores"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qualia-bench-", dir=chosen.folder) as folder:
        bench = _Bench(Path(folder), chosen.turns, chosen.only)
        bench.small(Size(chosen.runs))
        if chosen.full:
            bench.many()
            bench.most()
    chosen.output.write_text(page(bench.tables, full=chosen.full), encoding="utf-8")
    print(f"wrote {chosen.output.name}")


class _Bench:
    """The stores one after the other, and the tables that they give."""

    def __init__(self, folder: Path, turns: int, only: list[str]) -> None:
        self.folder = folder
        self.turns = turns
        self.only = only
        self.tables: list[tuple[str, Rows]] = []

    def small(self, size: Size) -> None:
        """Every kind of store, every reader."""
        sqlite = self.folder / "mlflow.db"
        fill_sqlite(sqlite, size)
        if "sqlite" in self.only:
            self.measure(
                f"SQLite: {size}", dict.fromkeys(("ours", "client", "raw"), f"sqlite:///{sqlite}"), command=True
            )
        self.postgresql(size, ("ours", "client", "raw"))
        if "server" in self.only:
            (self.folder / "server").mkdir()
            with mlflow_server(f"sqlite:///{sqlite}", self.folder / "server") as uri:
                self.measure(f"`mlflow server`: {size}", dict.fromkeys(("ours", "client"), uri), command=True)
        sqlite.unlink()
        if "folder" in self.only:
            few = Size(size.runs, steps=50)
            home = self.folder / "mlruns"
            fill_folder(home, few)
            uris = dict.fromkeys(("ours", "client", "bytes"), str(home))
            self.measure(f"`mlruns` folder: {few}", uris, but={"bytes": ("experiments", "top")}, command=True)
            shutil.rmtree(home)

    def postgresql(self, size: Size, readers: tuple[str, ...]) -> None:
        """A PostgreSQL of this size: one that comes with a package, or else the one of this machine."""
        if "postgresql" not in self.only:
            return
        with ExitStack() as stack:
            try:
                uri = stack.enter_context(embedded_postgresql())
            except ServerMissing:
                uri = stack.enter_context(system_postgresql())
            fill_postgresql(uri, size, self.folder / "artifacts")
            self.measure(f"PostgreSQL: {size}", dict.fromkeys(readers, uri), command=True)

    def many(self) -> None:
        """20,000 runs, the client too, but not for its hour of histories."""
        sqlite = self.folder / "many.db"
        fill_sqlite(sqlite, _MANY)
        self.measure(f"SQLite: {_MANY}", dict.fromkeys(("ours", "client", "raw"), f"sqlite:///{sqlite}"), command=True)
        sqlite.unlink()
        self.postgresql(_MANY, ("ours", "client", "raw"))

    def most(self) -> None:
        """100,000 runs: what a person does first, and a notebook over all of it."""
        sqlite = self.folder / "most.db"
        fill_sqlite(sqlite, _MOST)
        uri = f"sqlite:///{sqlite}"
        rows: Rows = []
        for job in ("wide", "metric", "experiments", "top"):
            rows.append((job, self.said(job, measure(job, dict.fromkeys(("ours", "raw"), uri), self.turns))))
        rows.append(("stream", self.said("stream", measure("stream", {"ours": uri}, 2))))
        qualia = (sys.executable, "-m", "qualia_lab.cli.main")
        rows += [
            self.command("screen", {"ours": (*qualia, "experiments", "--tracking-uri", uri)}),
            self.command("runs", {"ours": (*qualia, "runs", "--tracking-uri", uri)}),
            self.command(
                "filtered",
                {
                    "ours": (
                        *(*qualia, "runs", "--tracking-uri", uri, "--filter", "params.param_0 = '3'"),
                        *("--order-by", "metrics.metric_1 DESC"),
                    )
                },
            ),
            self.command("command", {"ours": _command(uri)}),
            self.command("executed", {"ours": (*_command(uri), "--execute")}, turns=1),
        ]
        self.tables.append((f"SQLite: {_MOST}", rows))
        sqlite.unlink()

    def measure(
        self, title: str, uris: dict[str, str], *, command: bool, but: dict[str, tuple[str, ...]] | None = None
    ) -> None:
        """One table: the five jobs, and the whole command."""
        print(title, flush=True)
        rows: Rows = []
        for job in _JOBS:
            who = {reader: uri for reader, uri in uris.items() if job not in (but or {}).get(reader, ())}
            rows.append((job, self.said(job, measure(job, who, self.turns))))
        if command:
            uri = uris["ours"]
            search = (sys.executable, "-W", "ignore", "-c", _SEARCH, uri)
            rows.append(self.command("command", {"ours": _command(uri), "client": search}))
        self.tables.append((title, rows))

    def command(
        self, job: str, commands: dict[str, tuple[str, ...]], turns: int | None = None
    ) -> tuple[str, list[Measured]]:
        """One row of whole commands."""
        return job, self.said(job, measure_commands(commands, self.folder, turns or self.turns))

    def said(self, job: str, measured: list[Measured]) -> list[Measured]:
        """The same, shown."""
        print(
            f"  {job}: " + ", ".join(f"{m.reader} {m.wall:.4f} s, {m.peak / 1e6:.0f} MB" for m in measured), flush=True
        )
        return measured


def _command(uri: str) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "qualia_lab.scripts.create_observational_notebook", "--tracking-uri", uri),
        *("--experiment", "sweep *", "--force", "--yes", "--output", "all.ipynb"),
    )


if __name__ == "__main__":
    main()
