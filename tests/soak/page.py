"""docs/reliability.md, from what `make soak` counted and nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROMISES = {
    1: "A store is only read: not created, not migrated, not locked, not touched",
    2: "No string of a store is executed, rendered live, used as a path, or sent raw to a terminal",
    3: "No secret is written or shown, and the executing kernel holds none",
    4: "One fault does not stop the rest: it is named with its reason",
    5: "A person's cells are never lost: files are replaced whole or not at all",
    6: "Every number stands under its own run, and what is cut is said to be",
    7: "Answers in time: a first word within two seconds, an end within the documented time",
    8: "No other network connections than to the tracking server and its artifact store",
    9: "No pickle and no model is loaded, and no artifact outside the places of the store",
}

# What a long run has to try at least: the kinds of it, by their promise and how they begin.
_LIES = ((4, "one wrong run"), (7, "endless"))
LEAST = (
    ("hostile values in sinks", 2000, ((2, ""),)),
    ("secrets", 250, ((3, "secrets planted"), (3, "secrets of a connection"), (3, "variables of a kernel"))),
    ("odd artifacts", 80, ((4, "odd artifacts"),)),
    ("failures to write", 500, ((5, "calls of"), (5, "files past"))),
    ("interruptions", 300, ((5, "interrupted"), (5, "killed"), (5, "executions interrupted"))),
    ("faults of a server", 120, (*_LIES, (4, "one endpoint"), (7, "faults of"), (7, "connections that break"))),
    ("of these endless or lying", 20, _LIES),
)

_HEAD = (
    "# Reliability",
    "",
    (
        "Written by `make soak` from the counts of its tests; no number on this page was typed. "
        "What each promise means is in [SECURITY.md](../SECURITY.md) and in the "
        "[threat model](threat_model.md); the tests are in `tests/promises/`, `tests/fuzz/` and `tests/soak/`. A number "
        "is how often something was tried on one machine in one run of that command: it is no proof for what was not "
        "tried."
    ),
    "",
)


@dataclass(frozen=True)
class Count:
    """What was tried for one promise, and how much of it failed."""

    promise: int
    kind: str
    tried: int
    failed: int


@dataclass(frozen=True)
class Record:
    """One run of `make soak`.

    settings: how long and how often, by what it is of.  tests: how many passed, failed and were skipped.
    """

    date: str
    machine: dict[str, str]
    settings: dict[str, int]
    minutes: int
    tests: dict[str, int]
    counts: tuple[Count, ...]

    @property
    def failed(self) -> int:
        """How much failed in all."""
        return sum(one.failed for one in self.counts) + self.tests.get("failed", 0) + self.tests.get("error", 0)


def summed(lines: Sequence[str]) -> tuple[Count, ...]:
    """Lines of QUALIA_TEST_COUNTS as one count for each kind, in the order of promises and then of kinds."""
    sums: dict[tuple[int, str], list[int]] = {}
    for line in filter(str.strip, lines):
        one = json.loads(line)
        both = sums.setdefault((int(one["promise"]), one["kind"]), [0, 0])
        both[0] += int(one["tried"])
        both[1] += int(one["failed"])
    return tuple(Count(*key, *both) for key, both in sorted(sums.items()))


def read(path: Path) -> Record:
    """The record as it stands in a file."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return Record(**{**found, "counts": tuple(Count(**one) for one in found["counts"])})


def as_json(record: Record) -> str:
    """The record as it is written."""
    return json.dumps(asdict(record), indent=1) + "\n"


def page(record: Record) -> str:
    """The page."""
    lines = [*_HEAD, f"- {record.date}, in {record.minutes:,} min"]
    lines += [f"- {value}" for value in record.machine.values()]
    lines += [f"- {', '.join(f'{value:,} {name}' for name, value in record.settings.items())}"]
    lines += [f"- tests: {', '.join(f'{count:,} {outcome}' for outcome, count in record.tests.items())}", ""]
    lines += ["| to be tried at least | times | tried |", "|---|---:|---:|"]
    lines += [f"| {what} | {least:,} | {tried(record, kinds):,} |" for what, least, kinds in LEAST]
    lines += [""]
    for promise, title in PROMISES.items():
        lines += [f"## {promise}. {title}", ""]
        counts = [one for one in record.counts if one.promise == promise]
        if not counts:
            lines += ["Nothing was tried in this run.", ""]
            continue
        lines += ["| tried | times | failed |", "|---|---:|---:|"]
        lines += [f"| {one.kind} | {one.tried:,} | {_failed(one.failed)} |" for one in counts]
        lines += [
            f"| in all | {sum(one.tried for one in counts):,} | {_failed(sum(one.failed for one in counts))} |",
            "",
        ]
    return "\n".join(lines)


def tried(record: Record, kinds: tuple[tuple[int, str], ...]) -> int:
    """How often these kinds were tried."""
    return sum(
        one.tried
        for one in record.counts
        if any(one.promise == promise and one.kind.startswith(begin) for promise, begin in kinds)
    )


def _failed(count: int) -> str:
    return f"**{count:,}**" if count else "0"
