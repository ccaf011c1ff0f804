"""docs/performance.md is generated from the measurements, and the benchmark runs."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections import defaultdict
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from benchmarks import record
from benchmarks.measure import Measured
from benchmarks.page import page
from benchmarks.stores import EXPERIMENTS, Size, fill_sqlite, make_grid
from benchmarks.targets import check_targets
from tests.stores.empty import new_client

CHECKOUT = Path(__file__).parents[1]


def test_the_performance_page_shows_exactly_the_measurements():
    tables = record.read(CHECKOUT / "docs/performance.json")
    assert tables
    assert page(tables) == (CHECKOUT / "docs/performance.md").read_text(encoding="utf-8")


def test_no_other_page_claims_speedups_or_memory():
    pages = [CHECKOUT / name for name in ("README.md", "CHANGELOG.md", "ARCHITECTURE.md")]
    pages += [path for path in (CHECKOUT / "docs").glob("*.md") if path.name not in ("performance.md", "decisions.md")]
    claim = re.compile(r"\d[\d,.]*\s*(×|x faster|times (faster|quicker|as fast)|[MG]B of memory)|\d+× ")
    found = [f"{path.name}: {line}" for path in pages for line in path.read_text().splitlines() if claim.search(line)]
    assert found == []


def test_promises_are_checked_against_the_measurements():
    fast, slow = Measured("ours", [9.0, 0.1, 0.1]), Measured("client", [2.0])
    table = record.Table("sqlite", "small", "SQLite: 1,000 runs, more", [record.Row("wide", [fast, slow])])
    [target] = check_targets([table])
    assert (target.met, target.worst) == (False, "20× (wide of SQLite: 1,000)")
    slow.walls[:] = [31.0 * 0.1]
    [target] = check_targets([table])
    assert target.met


def test_pages_are_compared_with_an_import_and_their_sizes_are_limited():
    ours = Measured("ours", [9.0, 9.0], [9.0, 8.0], sizes={"notebook": 1_500_000, "page": 1_900_000})
    row = record.Row("page_demo", [ours, Measured("import", [2.0, 2.0], [2.0, 2.0])])
    table = record.Table("pages", "small", "Notebook and page", [row])
    assert [(one.name, one.worst, one.met) for one in check_targets([table])] == [
        ("page of demo, CPU", "4.0×", False),
        ("page of demo, size of the notebook", "1.50 MB", False),
        ("page of demo, size of the page", "1.90 MB", True),
    ]
    assert "| page of the demo, 24 runs |" in page([table])
    assert page([table]).rstrip().endswith("| 1.50 | 1.90 |")


def test_pages_are_opened_in_time_and_compared_with_an_earlier_commit():
    rows = [
        record.Row("page_1000", [Measured("ours", [9.0], [9.0]), Measured("earlier", [20.0], [30.0])]),
        record.Row("open", [Measured("ours", [2.0, 2.5], [1.0, 1.0])]),
        record.Row("choose", [Measured("ours", [0.2], [0.1])]),
    ]
    table = record.Table("pages", "small", "Notebook and page", rows)
    assert [(one.name, one.worst, one.met) for one in check_targets([table])] == [
        ("page of 1000, CPU, against an earlier commit", "0.30×", True),
        ("a page of 100 runs, opened", "2.5 s", True),
        ("a page of 100 runs, a choice", "0.2 s", False),
    ]
    shown = page([table])
    assert "| page of 1,000 runs | 9.0 | 20.0 | 2.2× | 9.0, 30.0 |" in shown
    assert "| choosing a run in that page | 0.200 |  |  | 0.100, – | –, – |" in shown


def test_findings_take_at_most_twice_the_cpu_of_reading():
    def table(seconds):
        ours, reading = Measured("ours", [3.0], [seconds]), Measured("reading", [1.0], [1.0])
        return record.Table("findings", "many", "Findings", [record.Row("findings_grids", [ours, reading])])

    [missed], [met] = check_targets([table(2.1)]), check_targets([table(1.9)])
    assert (missed.met, met.met) == (False, True)
    assert missed.worst == "2.1× as long (findings grids)"
    assert "| findings in ten grids of 200 configurations |" in page([table(1.9)])


def test_a_grid_repeats_each_of_its_configurations(tmp_path):
    path = tmp_path / "grid.db"
    client = new_client(f"sqlite:///{path}")
    ids = [int(client.create_experiment(f"sweep {number}")) for number in range(EXPERIMENTS)]
    fill_sqlite(path, Size(240, params=4, metrics=1, steps=3), ids)
    make_grid(path, (3, 2))
    settings = defaultdict(dict)
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT experiment_id, run_uuid, key, value FROM params JOIN runs USING (run_uuid)")
        for experiment, run_id, key, value in rows:
            settings[experiment, run_id][key] = value
    keys = ("param_0", "param_1", "seed", "param_3")
    found = {(experiment, *(of_run[key] for key in keys)) for (experiment, _), of_run in settings.items()}
    seeds = [str(seed) for seed in range(240 // EXPERIMENTS // 6)]
    assert found == set(product(ids, "012", "01", seeds, ["same"]))


@pytest.mark.slow
def test_the_benchmark_compares_equal_reads_and_writes_its_page(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--runs", "20", "--turns", "1", "--output", str(tmp_path / "p.md")]
    command += ["--kinds", "sqlite", "snapshot", "folder", "--jobs", "wide", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    tables = record.read(tmp_path / "p.json")
    assert [table.kind for table in tables] == ["sqlite", "folder", "snapshot"]
    readers = {one.reader for table in tables for row in table.rows for one in row.measured}
    assert readers == {"ours", "client", "raw", "bytes", "store"}
    assert all(
        one.rows and one.peak and one.walls for t in tables for r in t.rows if r.job == "wide" for one in r.measured
    )
    text = (tmp_path / "p.md").read_text()
    assert text == page(tables)
    assert str(tmp_path) not in text + json.dumps([table.title for table in tables])
