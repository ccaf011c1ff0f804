"""`python -m benchmarks [--full]`: create stores, run the benchmarks, and write docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import record
from benchmarks.bench import KINDS, Bench
from benchmarks.measure import TURNS, DifferentResults
from benchmarks.page import page
from benchmarks.stores import Size
from benchmarks.targets import check_targets

PAGE = Path(__file__).parents[1] / "docs/performance.md"
SMALL = Size(1_000)
MANY = Size(20_000, steps=20)
MOST = Size(100_000, metrics=10, steps=20)


def main() -> None:
    """Parse the arguments and run the benchmarks; each table is written as soon as it is complete."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="also 100,000 runs with 20 million points")
    parser.add_argument("--sizes", nargs="*", help="only these sizes: small, many, most")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS, help="only these kinds of stores")
    parser.add_argument("--jobs", nargs="*", help="only these jobs, see JOBS in benchmarks/page.py")
    parser.add_argument("--runs", type=int, help="number of runs in the small stores, for a quick trial")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument(
        "--output", type=Path, default=PAGE, help="the page; the measurements are written next to it as JSON"
    )
    parser.add_argument(
        "--earlier", type=Path, help="a checkout of an earlier commit, which makes the page of 1,000 runs, too"
    )
    parser.add_argument("--folder", type=Path, help="parent folder for the stores (3 GB; --full: 8 GB)")
    arguments = parser.parse_args()
    sizes = arguments.sizes or ["small", *([] if arguments.runs else ["many"]), *(["most"] if arguments.full else [])]
    small = Size(arguments.runs, params=3, metrics=3, steps=4) if arguments.runs else SMALL
    json_path = arguments.output.with_suffix(".json")

    def keep(table: record.Table) -> None:
        tables = record.write(json_path, table)
        arguments.output.write_text(page(tables), encoding="utf-8")

    with tempfile.TemporaryDirectory(prefix="qualia-bench-", dir=arguments.folder) as folder:
        bench = Bench(
            Path(folder), arguments.turns, tuple(arguments.kinds), arguments.jobs, keep, earlier=arguments.earlier
        )
        for name, size in (("small", small), ("many", MANY), ("most", MOST)):
            if name in sizes:
                bench.measure_all(name, size)
    for target in check_targets(record.read(json_path)):
        print(target)
    print(f"wrote {arguments.output.name}")


if __name__ == "__main__":
    try:
        main()
    except DifferentResults as error:
        sys.exit(f"The readers returned different results: {error}")
