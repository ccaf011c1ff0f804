"""`python -m benchmarks [--full]`: makes stores, measures on them, and writes docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import record
from benchmarks.bench import KINDS, Bench
from benchmarks.making import Size
from benchmarks.measure import TURNS, DifferentResults
from benchmarks.page import page
from benchmarks.promises import promises

PAGE = Path(__file__).parents[1] / "docs/performance.md"
SMALL = Size(1_000)
MANY = Size(20_000, steps=20)
MOST = Size(100_000, metrics=10, steps=20)


def main() -> None:
    """Parse, measure, write; each table as soon as it is whole."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="also 100,000 runs with 20 million points")
    parser.add_argument("--sizes", nargs="*", help="of small, many and most: only these")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS, help="only these kinds of stores")
    parser.add_argument("--jobs", nargs="*", help="only these jobs, as words of benchmarks/page.py")
    parser.add_argument("--runs", type=int, help="of the small stores, for a trial")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument(
        "--output", type=Path, default=PAGE, help="the page; what was measured stands beside it as JSON"
    )
    parser.add_argument("--folder", type=Path, help="for the stores (3 GB; --full: 8 GB); a temporary one otherwise")
    chosen = parser.parse_args()
    sizes = chosen.sizes or ["small", *([] if chosen.runs else ["many"]), *(["most"] if chosen.full else [])]
    small = Size(chosen.runs, params=3, metrics=3, steps=4) if chosen.runs else SMALL
    measured = chosen.output.with_suffix(".json")

    def keep(table: record.Table) -> None:
        tables = record.write(measured, table)
        chosen.output.write_text(page(tables), encoding="utf-8")

    with tempfile.TemporaryDirectory(prefix="qualia-bench-", dir=chosen.folder) as folder:
        bench = Bench(Path(folder), chosen.turns, tuple(chosen.kinds), chosen.jobs, keep)
        for name, size in (("small", small), ("many", MANY), ("most", MOST)):
            if name in sizes:
                bench.measure_all(name, size)
    for promise in promises(record.read(measured)):
        print(promise)
    print(f"wrote {chosen.output.name}")


if __name__ == "__main__":
    try:
        main()
    except DifferentResults as error:
        sys.exit(f"The readers did not read the same: {error}")
