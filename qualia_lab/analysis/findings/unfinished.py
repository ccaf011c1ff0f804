"""Runs that say they are running and have been silent for long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, parts
from qualia_lab.counts import counted
from qualia_lab.study.statuses import UNFINISHED
from qualia_lab.tables import rows_with
from qualia_lab.times import is_possible

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence

_HOUR = 3_600_000  # ms


@dataclass(frozen=True)
class Thresholds:
    """hours: without a point, from which on a run that still says RUNNING is taken to be over."""

    hours: float = 24.0


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding: runs of status RUNNING or SCHEDULED with neither a start nor a point in so many hours."""
    open_runs = [run_id for run_id, status in evidence.status.items() if status in UNFINISHED]
    runs, metrics = (rows_with(of, "run_id", open_runs) for of in (evidence.tables.runs, evidence.tables.metrics))
    points: dict[str, int] = {}
    for run_id, time in zip(*(metrics.column(name).to_pylist() for name in ("run_id", "timestamp")), strict=True):
        if is_possible(time):
            points[run_id] = max(points.get(run_id, 0), time)
    found, clauses, numbers = [], [], []
    for run_id, start in zip(*(runs.column(name).to_pylist() for name in ("run_id", "start_time")), strict=True):
        silent = evidence.now - max(start or 0, points.get(run_id, 0))
        if silent < thresholds.hours * _HOUR:
            continue
        found.append(run_id)
        clause = f"{evidence.name(run_id)}, started {_date(start) if start else 'at an unknown time'}"
        if start and len(found) <= NAMED:
            numbers.append(Number("start, ms", start, run_id))
        if run_id in points:
            clause += f", last point {_date(points[run_id])}"
            if len(found) <= NAMED:
                numbers.append(Number("last point, ms", points[run_id], run_id))
        else:
            clause += ", no point"
        clauses.append(clause)
    if not found:
        return []
    says, has = ("says", "has") if len(found) == 1 else ("say", "have")
    return [
        Finding(
            "unfinished",
            "problem",
            "warning",
            f"{len(found):,} of {counted(len(evidence.run_ids), 'run')} still {says} RUNNING or SCHEDULED "
            f"and {has} been silent for long: {parts(clauses)}.",
            tuple(found),
            numbers=tuple(numbers),
            section="overview",
            code=(
                'runs.tables.runs.to_pandas().set_index("run_id").assign(last_point=runs.tables.metrics.to_pandas()'
                f'.groupby("run_id")["timestamp"].max()).loc[{code.run_ids(evidence, found[:NAMED])}, '
                '["status", "start_time", "last_point"]]'
            ),
            next="If they are over, set their status, or delete them: until then no mean counts them.",
        )
    ]


def _date(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"


RULE = Rule(
    "unfinished",
    "a run says RUNNING or SCHEDULED, and nothing was heard of it for hours",
    "",
    Thresholds(),
    find,
)
