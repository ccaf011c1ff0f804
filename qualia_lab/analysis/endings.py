"""How runs ended: their status, their duration, and error messages in their tags."""

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

    Attributes:
        status: the status.
        run_ids: the runs.
        seconds: the duration of each run that has a start and an end.
        first, last: the earliest and the latest start in milliseconds since 1970; None where no start is known.
        without_metrics: how many of the runs logged no metric.
    """

    status: str
    run_ids: tuple[str, ...]
    seconds: tuple[float, ...]
    first: int | None
    last: int | None
    without_metrics: int

    @property
    def median_seconds(self) -> float | None:
        """The median duration in seconds; None without one."""
        return median(self.seconds) if self.seconds else None


def endings(tables: RunTables) -> list[Ending]:
    """Group the runs by status: failed and killed first, then those without an end, then the rest."""
    logged = set(pc.unique(tables.metrics.column("run_id")).to_pylist())
    times = zip(*(tables.runs.column(name).to_pylist() for name in ("start_time", "end_time")), strict=True)
    by_status: dict[str, list[tuple[str, int | None, int | None]]] = {}
    for (run_id, status), (start, end) in zip(statuses_of(tables).items(), times, strict=True):
        by_status.setdefault(status, []).append((run_id, start, end))
    groups = []
    for status in sorted(by_status, key=place_of):
        rows = by_status[status]
        starts = [start for _, start, _ in rows if start is not None]
        groups.append(
            Ending(
                status,
                tuple(run_id for run_id, *_ in rows),
                tuple((end - start) / 1000 for _, start, end in rows if start is not None and end is not None),
                min(starts, default=None),
                max(starts, default=None),
                sum(run_id not in logged for run_id, *_ in rows),
            )
        )
    return groups


def error_tags(tables: RunTables) -> dict[str, str]:
    """The error messages of runs by run id: values of tags such as `error`, `exception` or `traceback`."""
    messages: dict[str, list[str]] = {}
    keys = pc.unique(tables.tags.column("key")).to_pylist()
    rows = rows_with(
        tables.tags, "key", [key for key in keys if _ERROR_TAG.fullmatch(key) and not key.startswith("mlflow.")]
    )
    for run_id, value in zip(*(texts_of(rows.column(name)) for name in ("run_id", "value")), strict=True):
        if value:
            messages.setdefault(run_id, []).append(value)
    return {run_id: "\n".join(values) for run_id, values in messages.items()}
