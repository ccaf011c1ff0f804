"""`python -m tests.soak`: the suites of the promises with larger numbers, fuzzing, and docs/reliability.md of it all.

The exit code is 1 if anything failed. No page is written if tests could not be run, or fuzzing could not.

By default it takes some hours. Every number may be smaller, and the page says which they were:

    python -m tests.soak --seconds 30 --values 200 --kills 20 --stores 2 --queries 100 --examples 300 --breaks 40 --fuzz 10
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from benchmarks.record import this_machine
from tests.soak.page import Record, as_json, page, summed

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs/reliability.md"
SUITES = (
    *("tests/promises", "tests/soak", "tests/fuzz", "tests/query", "tests/notebook/test_interrupted.py"),
    *("tests/notebook/test_merge.py", "tests/notebook/test_refresh_interrupted.py", "tests/test_planted.py"),
    *("tests/analysis/test_evaluations.py", "tests/analysis/test_genai_findings.py"),
)
# Each number: the flag, what it is on the page, the variable by which the tests know it, and how large it is by default.
NUMBERS = {
    "seconds": ("seconds against each store that is written meanwhile", "QUALIA_TEST_SECONDS", 1200),
    "values": ("values made of hostile pieces", "QUALIA_TEST_VALUES", 10_000),
    "kills": ("interruptions at a random moment", "QUALIA_TEST_KILLS", 1000),
    "refreshes": ("refreshes cut short at a random moment", "QUALIA_TEST_REFRESH_KILLS", 200),
    "sequences": ("sequences of edits, saves by tools, refreshes and undos", "QUALIA_TEST_SEQUENCES", 10_000),
    "stores": ("stores of each shape with planted facts", "QUALIA_TEST_STORES", 10),
    "datasets": ("evaluations of versions that do not differ", "QUALIA_TEST_DATASETS", 2000),
    "queries": ("filters of runs for each comparison", "QUALIA_TEST_QUERIES", 1000),
    "breaks": ("connections that break at any byte", "QUALIA_TEST_BREAKS", 400),
    "examples": ("examples of Hypothesis for each parser", "QUALIA_TEST_EXAMPLES", 5000),
    "fuzz": ("seconds of fuzzing for each parser", "", 300),
}
_OUTCOME = re.compile(r"(\d+) (passed|failed|skipped|error)")


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, (what, _, default) in NUMBERS.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{what}; {default:,} by default")
    parser.add_argument("--suites", nargs="*", default=SUITES, help="only these files or folders of tests")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page; the counts stand beside it as JSON")
    asked = parser.parse_args()
    chosen = {name: getattr(asked, name) for name in NUMBERS}
    since = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qualia-soak-") as folder:
        counts = Path(folder) / "counts.jsonl"
        variables = {variable: str(chosen[name]) for name, (_, variable, _) in NUMBERS.items() if variable}
        env = {**os.environ, **variables, "QUALIA_TEST_COUNTS": str(counts)}
        outcomes = _run_suites(asked.suites, env)
        code = 0
        if chosen["fuzz"]:
            code, _ = _run(["-m", "tests.fuzz", "--seconds", str(chosen["fuzz"]), "--faults", "faults"], env)
        lines = counts.read_text(encoding="utf-8").splitlines() if counts.exists() else []
    counted = summed(lines)
    _expect_ended("fuzzing", code, any(one.failed for one in counted))
    record = Record(
        date=datetime.now().astimezone().date().isoformat(),
        machine=this_machine(),
        settings={what: chosen[name] for name, (what, _, _) in NUMBERS.items()},
        minutes=round((time.monotonic() - since) / 60),
        tests=outcomes,
        counts=counted,
    )
    asked.output.with_suffix(".json").write_text(as_json(record), encoding="utf-8")
    asked.output.write_text(page(record), encoding="utf-8")
    print(f"wrote {asked.output.name}: {sum(one.tried for one in record.counts):,} tried, {record.failed:,} failed")
    sys.exit(record.failed > 0)


def _run_suites(suites: list[str], env: dict[str, str]) -> dict[str, int]:
    """Run them, on the terminal; how many tests passed, failed and were skipped."""
    in_files = ("--numprocesses", "2", "--dist", "loadfile", "--no-loadscope-reorder")
    command = ["-m", "pytest", *suites, "-q", "-o", "timeout=0", *in_files]
    code, last = _run(command, env)
    outcomes = {outcome: int(count) for count, outcome in _OUTCOME.findall(last)}
    _expect_ended("the tests", code, bool(outcomes.keys() & {"failed", "error"}))
    return {"passed": 0, "failed": 0} | outcomes


def _expect_ended(what: str, code: int, has_failures: bool) -> None:
    """End with a message unless the exit code is 0, or 1 with failures that were counted."""
    if code != 0 and not (code == 1 and has_failures):
        sys.exit(f"{what} ended with exit code {code}, not after all of it: no page was written")


def _run(command: list[str], env: dict[str, str]) -> tuple[int, str]:
    """The exit code and the last line of a command of Python, whose output is shown."""
    last = ""
    with subprocess.Popen(
        [sys.executable, *command], cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line
    return process.returncode, last


if __name__ == "__main__":
    main()
