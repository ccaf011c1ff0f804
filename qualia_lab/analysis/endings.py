"""How runs ended: by status, how long they took, and what they say of an error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from qualia_lab.columns import texts_of
from qualia_lab.study.statuses import place_of, statuses_of
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from qualia_lab.tables import RunTables

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
    logged = set(pc.unique(tables.metrics.column("run_id")).to_pylist())
    times = zip(*(tables.runs.column(name).to_pylist() for name in ("start_time", "end_time")), strict=True)
    by_status: dict[str, list[tuple[str, int | None, int | None]]] = {}
    for (run_id, status), (start, end) in zip(statuses_of(tables).items(), times, strict=True):
        by_status.setdefault(status, []).append((run_id, start, end))
    found = []
    for status in sorted(by_status, key=place_of):
        rows = by_status[status]
        starts = [start for _, start, _ in rows if start is not None]
        found.append(
            Ending(
                status,
                tuple(run_id for run_id, *_ in rows),
                tuple((end - start) / 1000 for _, start, end in rows if start is not None and end is not None),
                min(starts, default=None),
                max(starts, default=None),
                sum(run_id not in logged for run_id, *_ in rows),
            )
        )
    return found


def error_tags(tables: RunTables) -> dict[str, str]:
    """By run id what its tags say of an error: the values of `error`, `exception`, `traceback` and the like."""
    said: dict[str, list[str]] = {}
    keys = pc.unique(tables.tags.column("key")).to_pylist()
    rows = rows_with(
        tables.tags, "key", [key for key in keys if _ERROR_TAG.fullmatch(key) and not key.startswith("mlflow.")]
    )
    for run_id, value in zip(*(texts_of(rows.column(name)) for name in ("run_id", "value")), strict=True):
        if value:
            said.setdefault(run_id, []).append(value)
    return {run_id: "\n".join(values) for run_id, values in said.items()}
