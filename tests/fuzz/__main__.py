"""`python -m tests.fuzz`: the parsers are given inputs for as long as is said, and every fault is shown.

With atheris, where it is installed (`make fuzz` makes an environment that has it), which follows the code that an input
reaches; without it by Hypothesis. A fault's input is written to the folder of --faults, and tried again with --input.

    python -m tests.fuzz --seconds 60
    python -m tests.fuzz "filter language" --seconds 600
    python -m tests.fuzz "filter language" --input faults/crash-…
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.counting import record_count

_DONE = re.compile(r"Done (\d+) (?:runs|in)|stat::number_of_executed_units:\s*(\d+)")


def main() -> None:
    """Parse, fuzz one target after the other, and say what was tried."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", help="of those that --list names; all of them otherwise")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--input", type=Path, help="try this file alone")
    parser.add_argument("--faults", type=Path, default=Path("faults"), help="the folder for inputs that show a fault")
    parser.add_argument("--list", action="store_true", help="say which targets there are")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        _fuzz_here(asked.targets[0], asked.seconds, asked.faults)
        return
    from tests.fuzz.targets import TARGETS

    unknown = [name for name in asked.targets if name not in TARGETS]
    if unknown:
        parser.error(f"there is no {unknown[0]!r}; --list says which there are")
    if asked.list:
        print("\n".join(TARGETS))
        return
    if asked.input:
        for name in asked.targets or TARGETS:
            TARGETS[name].run(asked.input.read_bytes())
        return
    sys.exit(sum([_fuzz(name, asked.seconds, asked.faults) for name in asked.targets or TARGETS]) > 0)


def _fuzz(name: str, seconds: int, faults: Path) -> int:
    """One target in a process of its own; 1 where it has a fault."""
    faults.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz", name, "--here", "--seconds", str(seconds), "--faults", str(faults)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    said = done.stdout + done.stderr
    tried = max((int(found[1] or found[2]) for found in _DONE.finditer(said)), default=0)
    failed = int(done.returncode != 0)
    print(f"{name}: {tried:,} inputs, {'a FAULT' if failed else 'no fault'}", flush=True)
    if failed:
        print(said[-4000:])
    record_count(4, f"inputs of the parser: {name}", tried, failed)
    return failed


def _fuzz_here(name: str, seconds: int, faults: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        fuzz_with_hypothesis(name, seconds, faults)
        return
    import atheris

    with atheris.instrument_imports(include=["qualia_lab"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        corpus, words = Path(folder) / "corpus", Path(folder) / "words.txt"
        corpus.mkdir()
        for place, seed in enumerate(target.seeds):
            (corpus / str(place)).write_bytes(seed)
        words.write_text(
            "".join('"' + "".join(f"\\x{one:02x}" for one in word) + '"\n' for word in target.words if word)
        )
        limits = ["-timeout=30", "-rss_limit_mb=2000", "-max_len=4000", "-print_final_stats=1"]
        options = [f"-max_total_time={seconds}", f"-artifact_prefix={faults}/", f"-dict={words}", *limits]
        atheris.Setup([sys.argv[0], *options, str(corpus)], target.run)
        atheris.Fuzz()


def fuzz_with_hypothesis(name: str, seconds: int, faults: Path) -> None:
    from hypothesis import given, settings
    from hypothesis import strategies as st

    from tests.fuzz.inputs import inputs
    from tests.fuzz.targets import TARGETS
    from tests.fuzz.test_targets import CHECKS

    tried, until, last = 0, time.monotonic() + seconds, b""

    # Small batches: an example that stopped when the time is up would look flaky to Hypothesis.
    @settings(max_examples=50, deadline=None, database=None, suppress_health_check=CHECKS)
    @given(st.data())
    def some(data: st.DataObject) -> None:
        nonlocal tried, last
        tried += 1
        last = data.draw(inputs(TARGETS[name]))
        TARGETS[name].run(last)

    try:
        while time.monotonic() < until:
            some()
    except BaseException:  # of a fault's inputs Hypothesis tries the smallest last
        (faults / f"crash-{hashlib.sha256(last).hexdigest()[:16]}").write_bytes(last)
        raise
    finally:
        print(f"Done {tried} runs")


if __name__ == "__main__":
    main()
