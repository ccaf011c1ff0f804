"""How runs ended: by status, how long they took, and what they say of an error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qualia_lab.tables import RunTables

FAILED = ("FAILED", "KILLED")
UNFINISHED = ("RUNNING", "SCHEDULED")

_ORDER = (*FAILED, *UNFINISHED)
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


def endings(tables: RunTables) -> list[Ending]:
    """The runs by status: failed and killed ones first, then those without an end, then the rest."""
    logged = set(tables.metrics.column("run_id").to_pylist())
    by_status: dict[str, list[dict[str, object]]] = {}
    for row in tables.runs.to_pylist():
        by_status.setdefault(row["status"] or "UNKNOWN", []).append(row)
    found = []
    for status in sorted(by_status, key=lambda one: (_ORDER.index(one) if one in _ORDER else len(_ORDER), one)):
        rows = by_status[status]
        starts = [start for row in rows if isinstance(start := row["start_time"], int)]
        found.append(
            Ending(
                status,
                tuple(str(row["run_id"]) for row in rows),
                tuple(
                    (end - start) / 1000
                    for row in rows
                    if isinstance(start := row["start_time"], int) and isinstance(end := row["end_time"], int)
                    if end >= start
                ),
                min(starts, default=None),
                max(starts, default=None),
                sum(row["run_id"] not in logged for row in rows),
            )
        )
    return found


def error_tags(tables: RunTables) -> dict[str, str]:
    """By run id what its tags say of an error: the values of `error`, `exception`, `traceback` and the like."""
    said: dict[str, list[str]] = {}
    for row in tables.tags.to_pylist():
        if _ERROR_TAG.fullmatch(row["key"]) and row["value"] and not row["key"].startswith("mlflow."):
            said.setdefault(row["run_id"], []).append(row["value"])
    return {run_id: "\n".join(values) for run_id, values in said.items()}
