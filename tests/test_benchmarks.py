"""docs/performance.md is generated from the measurements, and the benchmark runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import record
from benchmarks.measure import Measured
from benchmarks.page import page
from benchmarks.targets import check_targets

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
