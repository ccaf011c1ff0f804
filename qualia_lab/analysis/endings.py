"""How runs ended: by status, how long they took, and what they say of an error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from qualia_lab.columns import texts_of
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.tables import RunTables

FINISHED = "FINISHED"
WITHOUT = "without a finite value"
FAILED = ("FAILED", "KILLED")
UNFINISHED = ("RUNNING", "SCHEDULED")

_ORDER = (*FAILED, *UNFINISHED)
_STATUSES = (FINISHED, *FAILED, *UNFINISHED)
_ERROR_TAG = re.compile(r"(?i)(.*[^a-z])?(error|exception|traceback|failure|fail_?reason)([^a-z].*)?")


@dataclass(frozen=True)
class Ending:
    """The runs of one status.

    seconds: what each run with a start and an end took.  first, last: the earliest and latest start in ms, or None.
    without_metrics: how many of them logged no metric at all.
    """

    status: str
    run_ids: tuple[str, ...]
    seconds: tuple[float, ...]
    first: int | None
    last: int | None
    without_metrics: int

    @property
    def median_seconds(self) -> float | None:
        """The median of `seconds`."""
        return median(self.seconds) if self.seconds else None


def statuses_of(tables: RunTables) -> dict[str, str]:
    """FINISHED, FAILED, ... by run id; UNKNOWN where the store has no status."""
    return {
        run_id: status or "UNKNOWN"
        for run_id, status in zip(tables.run_ids, texts_of(tables.runs.column("status")), strict=True)
    }


def counted_statuses(present: Iterable[str], statuses: Sequence[str] | None = None) -> tuple[str, ...]:
    """The statuses whose runs count in means: these, or those that finished; where none did, all that are present.

    A run that did not finish has the last value that it came to, and no mean of it with others says what training
    gives. Where no run finished, all are alike in that, and a look at what there is says more than an empty table.
    Raises QualiaLabError for a word that is no status.
    """
    present = dict.fromkeys(present)
    if statuses is None:
        return (FINISHED,) if FINISHED in present else tuple(sorted(present, key=_place))
    wanted = tuple(status.upper() for status in ([statuses] if isinstance(statuses, str) else statuses))
    for status in wanted:
        if status not in _STATUSES and status not in present:
            raise QualiaLabError(f"There is no status {one_line(status, 60)}.", f"There are {', '.join(_STATUSES)}.")
    return wanted


def left_out(status: dict[str, str], statuses: Sequence[str] | None = None) -> dict[str, str]:
    """The status of every run that is in no mean, by run id; status: of all runs."""
    counted = counted_statuses(status.values(), statuses)
    return {run_id: one for run_id, one in status.items() if one not in counted}


def counts_text(counts: Iterable[tuple[str, int]]) -> str:
    """`2 failed, 1 running`, in the order of endings."""
    total: dict[str, int] = {}
    for word, count in counts:
        total[word] = total.get(word, 0) + count
    return ", ".join(f"{total[word]:,} {word}" for word in sorted(total, key=lambda word: _place(word.upper())))


def endings(tables: RunTables) -> list[Ending]:
    """The runs by status: failed and killed ones first, then those without an end, then the rest."""
    logged = set(pc.unique(tables.metrics.column("run_id")).to_pylist())
    times = zip(*(tables.runs.column(name).to_pylist() for name in ("start_time", "end_time")), strict=True)
    by_status: dict[str, list[tuple[str, int | None, int | None]]] = {}
    for run_id, status, (start, end) in zip(tables.run_ids, texts_of(tables.runs.column("status")), times, strict=True):
        by_status.setdefault(status or "UNKNOWN", []).append((run_id, start, end))
    found = []
    for status in sorted(by_status, key=_place):
        rows = by_status[status]
        starts = [start for _, start, _ in rows if start is not None]
        found.append(
            Ending(
                status,
                tuple(run_id for run_id, *_ in rows),
                tuple(
                    (end - start) / 1000
                    for _, start, end in rows
                    if start is not None and end is not None and end >= start
                ),
                min(starts, default=None),
                max(starts, default=None),
                sum(run_id not in logged for run_id, *_ in rows),
            )
        )
    return found


def _place(status: str) -> tuple[int, str]:
    return (_ORDER.index(status) if status in _ORDER else len(_ORDER), status)


def error_tags(tables: RunTables) -> dict[str, str]:
    """By run id what its tags say of an error: the values of `error`, `exception`, `traceback` and the like."""
    said: dict[str, list[str]] = {}
    for row in tables.tags.to_pylist():
        if _ERROR_TAG.fullmatch(row["key"]) and row["value"] and not row["key"].startswith("mlflow."):
            said.setdefault(row["run_id"], []).append(row["value"])
    return {run_id: "\n".join(values) for run_id, values in said.items()}
