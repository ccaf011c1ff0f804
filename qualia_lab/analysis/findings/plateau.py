"""Runs that went on after they had nothing more to gain, and what early stopping would have saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.best_not_last import Thresholds as OfBest
from qualia_lab.analysis.findings.best_not_last import lost_runs
from qualia_lab.analysis.findings.collapse import collapsed_runs
from qualia_lab.analysis.findings.courses import lead_courses, row_of
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, duration, number, parts
from qualia_lab.analysis.findings.overfitting import overfitted_runs
from qualia_lab.analysis.findings.per_task import runs_by_task, some_of
from qualia_lab.analysis.findings.point_facts import BLOCKS
from qualia_lab.columns import filled, numbers_of
from qualia_lab.counts import counted
from qualia_lab.study.statuses import UNFINISHED

if TYPE_CHECKING:
    import numpy.typing as npt

    from qualia_lab.analysis.findings.courses import Courses
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task

    Numbers = npt.NDArray[np.float64]

_HALF = BLOCKS // 2
_STEPS = 5.0  # mean differences of neighbours, that a gain has to be: rounded noise gains less
_HOUR = 3_600_000  # ms


@dataclass(frozen=True)
class Thresholds:
    """gain: share of the whole gain, and of the level that is left, that is nothing.

    flat: how much the last half of the levels may vary, in shares of the gain.  saved: share of the points after the
    best one, from which on it is said.  fewest_points: of a history that is looked at.
    """

    gain: float = 0.01
    flat: float = 0.1
    saved: float = 0.25
    fewest_points: int = 20


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, about the curve that is judged: its levels hardly moved in the last half of the points.

    What moved has to be less than `gain` of all that was gained and of what is left (the distance to 0 of a loss, to 1
    of a share), or within the noise of the levels: two of its standard deviations, or three under twice that gain. What
    early stopping would have saved is counted with the least patience that stops none of these runs before it came
    within noise of its best value.
    """
    courses = lead_courses(evidence)
    runs = evidence.series.run[courses.rows[_is_flat(evidence, courses, thresholds)]]
    told = {
        *evidence.diverged,
        *collapsed_runs(evidence),
        *overfitted_runs(evidence),
        *lost_runs(evidence, OfBest()),
        *(run_id for run_id, status in evidence.status.items() if status in UNFINISHED),
    }
    wanted = {evidence.run_ids[run] for run in runs.tolist()} - told
    return [_finding(evidence, task, run_ids) for task, run_ids in runs_by_task(evidence, wanted)]


@np.errstate(all="ignore")
def _is_flat(evidence: Evidence, courses: Courses, limits: Thresholds) -> npt.NDArray[np.bool_]:
    """Of every course whether its last half brought nothing."""
    series = evidence.series
    points, reached = series.points[courses.rows], series.reached[courses.rows]
    late = courses.levels[:, _HALF:]
    moved = late[:, :2].mean(axis=1) - late[:, -2:].mean(axis=1)  # more than 0 where it went on improving
    values = courses.sign * courses.tail
    is_share = (courses.sign < 0) & (series.low[courses.rows] >= 0) & (series.high[courses.rows] <= 1)
    left = np.where(is_share, 1 - values, np.abs(values))
    little = limits.gain * np.fmin(courses.gain, left)
    nothing = np.fmax(np.fmax(little, 2 * courses.noise), np.fmin(2 * little, 3 * courses.noise))
    return np.asarray(
        (points >= max(limits.fewest_points, BLOCKS))
        & (courses.ends == BLOCKS - 1)
        & (series.nan[courses.rows] + series.infinite[courses.rows] == 0)
        & courses.learned
        & (courses.gain > _STEPS * courses.rough)
        & (np.ptp(late, axis=1) <= limits.flat * courses.gain)
        & (moved <= nothing)
        & (1 - reached / points >= limits.saved)
    )


def _finding(evidence: Evidence, task: Task, run_ids: list[str]) -> Finding:
    key = evidence.lead_curve(task) or ""
    series = evidence.series
    rows = row_of(evidence, key)[[evidence.places[run_id] for run_id in run_ids]]
    patience = int(series.waited[rows].max()) + 1
    spared = np.maximum(0, series.points[rows] - series.reached[rows] - patience) / series.points[rows]
    took = _took(evidence)[series.run[rows]]
    known = took > 0
    total = float(took[known].sum()) / _HOUR
    saved = float((took * spared)[known].sum()) / _HOUR if total else 0.0
    share = saved / total if total else float(spared.mean())
    clauses = [
        f"{evidence.name(evidence.run_ids[series.run[row]])}, within noise of its best from step "
        f"{series.reached_step[row]:,} of {series.end_step[row]:,} on"
        for row in rows.tolist()
    ]
    numbers = [
        Number(what, float(value), evidence.run_ids[series.run[row]])
        for row in rows[:NAMED].tolist()
        for what, value in (("step of the best", series.reached_step[row]), ("last step", series.end_step[row]))
    ]
    does = f"{key} stopped improving long before the end in {some_of(len(rows), task)}"
    advice = ""
    if share >= 0.05:
        time = f"{duration(3600 * saved)} ({number(round(100 * share))} % of what these runs took)" if total else (
            f"{number(round(100 * share))} % of their steps")  # fmt: skip
        advice = f"Early stopping with a patience of {counted(patience, 'evaluation')} would have saved {time}."
    return Finding(
        "plateau",
        "problem",
        "note",
        f"{evidence.where(task)}{does}: {parts(clauses)}.",
        tuple(evidence.run_ids[run] for run in series.run[rows].tolist()),
        (key,),
        tuple(series.reached_step[rows].tolist()),
        tuple(numbers),
        "curves",
        code.history_summary(evidence, key, run_ids[:NAMED]),
        next=advice or "Stop earlier, or lower the learning rate once it no longer improves.",
        experiment=evidence.experiment(task),
    )


def _took(evidence: Evidence) -> Numbers:
    """How long each run took in ms, 0 where it has no end."""
    start, end = (
        numbers_of(filled(evidence.tables.runs.column(name), 0)).astype(np.float64)
        for name in ("start_time", "end_time")
    )
    return np.where((start > 0) & (end > start), end - start, 0.0)


RULE = Rule(
    "plateau",
    "the last half of the points of the curve that is judged brought nothing beyond noise",
    "",
    Thresholds(),
    find,
)
