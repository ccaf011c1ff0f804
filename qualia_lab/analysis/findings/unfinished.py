"""Runs with status RUNNING or SCHEDULED that have logged nothing for a long time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses
from qualia_lab.counts import counted
from qualia_lab.study.statuses import UNFINISHED
from qualia_lab.tables import rows_with
from qualia_lab.times import is_possible

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence

_HOUR = 3_600_000  # ms


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        hours: Hours without a point after which a run with status RUNNING is assumed to be over.
    """

    hours: float = 24.0


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding: runs of status RUNNING or SCHEDULED with neither a start nor a point in the last `hours`."""
    open_runs = [run_id for run_id, status in evidence.status.items() if status in UNFINISHED]
    runs, metrics = (rows_with(of, "run_id", open_runs) for of in (evidence.tables.runs, evidence.tables.metrics))
    points: dict[str, int] = {}
    for run_id, time in zip(*(metrics.column(name).to_pylist() for name in ("run_id", "timestamp")), strict=True):
        if is_possible(time):
            points[run_id] = max(points.get(run_id, 0), time)
    run_ids, clauses, numbers = [], [], []
    for run_id, start in zip(*(runs.column(name).to_pylist() for name in ("run_id", "start_time")), strict=True):
        silence = evidence.now - max(start or 0, points.get(run_id, 0))
        if silence < thresholds.hours * _HOUR:
            continue
        run_ids.append(run_id)
        clause = f"{evidence.name(run_id)}, started {_date(start) if start else 'at an unknown time'}"
        if start and len(run_ids) <= MOST_NAMED:
            numbers.append(Number("start, ms", start, run_id))
        if run_id in points:
            clause += f", last point {_date(points[run_id])}"
            if len(run_ids) <= MOST_NAMED:
                numbers.append(Number("last point, ms", points[run_id], run_id))
        else:
            clause += ", no point"
        clauses.append(clause)
    if not run_ids:
        return []
    has = "has" if len(run_ids) == 1 else "have"
    return [
        Finding(
            "unfinished",
            "problem",
            "warning",
            f"{len(run_ids):,} of {counted(len(evidence.run_ids), 'run')} still {has} status RUNNING or SCHEDULED "
            f"and {has} logged nothing for a long time: {joined_clauses(clauses)}.",
            tuple(run_ids),
            numbers=tuple(numbers),
            section="overview",
            code=(
                'runs.tables.runs.to_pandas().set_index("run_id").assign(last_point=runs.tables.metrics.to_pandas()'
                f'.groupby("run_id")["timestamp"].max()).loc[{expressions.run_ids(evidence, run_ids[:MOST_NAMED])}, '
                '["status", "start_time", "last_point"]]'
            ),
            next="Set the status of runs that have ended, or delete them: until then, no mean or comparison uses them.",
        )
    ]


def _date(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"


RULE = Rule(
    "unfinished",
    "a run has status RUNNING or SCHEDULED and has logged nothing for hours",
    "",
    Thresholds(),
    find,
)
