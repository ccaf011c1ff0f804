"""Runs that continued after they had stopped improving, and what early stopping would have saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.best_not_last import Thresholds as OfBest
from qualia_lab.analysis.findings.best_not_last import lost_runs
from qualia_lab.analysis.findings.block_curves import lead_block_curves, rows_by_run
from qualia_lab.analysis.findings.collapse import collapsed_runs
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, duration, joined_clauses, number
from qualia_lab.analysis.findings.overfitting import overfitted_runs
from qualia_lab.analysis.findings.per_task import count_text, runs_by_task
from qualia_lab.analysis.findings.point_facts import BLOCKS
from qualia_lab.columns import filled, numbers_of
from qualia_lab.counts import counted
from qualia_lab.study.statuses import UNFINISHED

if TYPE_CHECKING:
    import numpy.typing as npt

    from qualia_lab.analysis.findings.block_curves import BlockCurves
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task

    Numbers = npt.NDArray[np.float64]

_HALF = BLOCKS // 2
_STEPS = 5.0  # minimum gain in mean differences of neighbouring points: rounded noise gains less
_HOUR = 3_600_000  # ms


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        gain: Share of the total gain, and of the remaining level, up to which a movement counts as none.
        flat: Maximum range of the last half of the block means, as a share of the gain.
        saved: Minimum share of the points after the best one.
        fewest_points: Minimum number of points of a history.
    """

    gain: float = 0.01
    flat: float = 0.1
    saved: float = 0.25
    fewest_points: int = 20


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, about its lead curve: its block means hardly moved in the last half of the points.

    The movement has to be less than `gain` of the total gain and of what remains (the distance of a loss to 0, of a
    share to 1), or within the noise of the block means: two of its standard deviations, or three if below twice that
    gain. The saving by early stopping is computed with the smallest patience that stops none of these runs before it
    came within noise of its best value.
    """
    curves = lead_block_curves(evidence)
    runs = evidence.series.run[curves.rows[_is_flat(evidence, curves, thresholds)]]
    reported = {
        *evidence.diverged,
        *collapsed_runs(evidence),
        *overfitted_runs(evidence),
        *lost_runs(evidence, OfBest()),
        *(run_id for run_id, status in evidence.status.items() if status in UNFINISHED),
    }
    wanted = {evidence.run_ids[run] for run in runs.tolist()} - reported
    return [_finding(evidence, task, run_ids) for task, run_ids in runs_by_task(evidence, wanted)]


@np.errstate(all="ignore")
def _is_flat(evidence: Evidence, curves: BlockCurves, limits: Thresholds) -> npt.NDArray[np.bool_]:
    """For each lead curve, whether its last half brought no improvement."""
    series = evidence.series
    points, reached = series.points[curves.rows], series.reached[curves.rows]
    late = curves.levels[:, _HALF:]
    gained = late[:, :2].mean(axis=1) - late[:, -2:].mean(axis=1)  # positive if it kept improving
    values = curves.sign * curves.tail
    is_share = (curves.sign < 0) & (series.low[curves.rows] >= 0) & (series.high[curves.rows] <= 1)
    left = np.where(is_share, 1 - values, np.abs(values))
    little = limits.gain * np.fmin(curves.gain, left)
    negligible = np.fmax(np.fmax(little, 2 * curves.noise), np.fmin(2 * little, 3 * curves.noise))
    return np.asarray(
        (points >= max(limits.fewest_points, BLOCKS))
        & (curves.ends == BLOCKS - 1)
        & (series.nan[curves.rows] + series.infinite[curves.rows] == 0)
        & curves.learned
        & (curves.gain > _STEPS * curves.rough)
        & (np.ptp(late, axis=1) <= limits.flat * curves.gain)
        & (gained <= negligible)
        & (1 - reached / points >= limits.saved)
    )


def _finding(evidence: Evidence, task: Task, run_ids: list[str]) -> Finding:
    key = evidence.lead_curve(task) or ""
    series = evidence.series
    rows = rows_by_run(evidence, key)[[evidence.positions[run_id] for run_id in run_ids]]
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
        for row in rows[:MOST_NAMED].tolist()
        for what, value in (("step of the best", series.reached_step[row]), ("last step", series.end_step[row]))
    ]
    does = f"{key} stopped improving long before the end in {count_text(len(rows), task)}"
    advice = ""
    if share >= 0.05:
        time = f"{duration(3600 * saved)} ({number(round(100 * share))} % of what these runs took)" if total else (
            f"{number(round(100 * share))} % of their steps")  # fmt: skip
        advice = f"Early stopping with a patience of {counted(patience, 'evaluation')} would have saved {time}."
    return Finding(
        "plateau",
        "problem",
        "note",
        f"{evidence.prefix(task)}{does}: {joined_clauses(clauses)}.",
        tuple(evidence.run_ids[run] for run in series.run[rows].tolist()),
        (key,),
        tuple(series.reached_step[rows].tolist()),
        tuple(numbers),
        "curves",
        expressions.history_summary(evidence, key, run_ids[:MOST_NAMED]),
        next=advice or "Stop earlier, or lower the learning rate once it no longer improves.",
        experiment=evidence.experiment(task),
    )


def _took(evidence: Evidence) -> Numbers:
    """The duration of each run in ms; 0 if it has no end."""
    start, end = (
        numbers_of(filled(evidence.tables.runs.column(name), 0)).astype(np.float64)
        for name in ("start_time", "end_time")
    )
    return np.where((start > 0) & (end > start), end - start, 0.0)


RULE = Rule(
    "plateau",
    "the lead curve improved by no more than noise in the last half of its points",
    "",
    Thresholds(),
    find,
)
