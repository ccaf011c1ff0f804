"""Runs that never left their starting level while others of the same task learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.block_curves import lead_block_curves
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses, number
from qualia_lab.analysis.findings.per_task import count_text, runs_by_task

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        moved: Maximum movement of a run, as a share of what others gained.
        behind: Minimum distance to the end of the others, as a share of what they gained.
        others: Minimum number of runs that learned.
        fewest_points: Minimum number of points of a history.
    """

    moved: float = 0.1
    behind: float = 0.5
    others: int = 2
    fewest_points: int = 5


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, about its lead curve.

    A run learned if its best block mean is six standard deviations of noise from its start. A run never learned if all
    its block means stay near its start, within a tenth of what others usually gain, and it ends far behind them.
    """
    dead = _dead_runs(evidence, thresholds)
    findings = []
    for task, run_ids in runs_by_task(evidence, dead):
        key = evidence.lead_curve(task) or ""
        histories = evidence.histories_of(key, run_ids)
        others = dead[run_ids[0]]
        clauses = [
            f"{evidence.name(history.run_id)}, about {number(history.start)} → {number(history.tail)}"
            for history in histories
        ]
        findings.append(
            Finding(
                "never_learned",
                "problem",
                "problem",
                f"{evidence.prefix(task)}{count_text(len(histories), task)} never learned, {key} stays at its start: "
                f"{joined_clauses(clauses)}; those that learned usually end at {number(others)}.",
                tuple(history.run_id for history in histories),
                (key,),
                numbers=(
                    *(
                        Number(what, value, history.run_id)
                        for history in histories[:MOST_NAMED]
                        for what, value in (("start", history.start), ("end", history.tail))
                    ),
                    Number("usual end", others),
                ),
                section="curves",
                code=f"runs.history_summary({expressions.metric(evidence, key)})",
                next="Look at what only these runs have: learning rate, initialisation, frozen layers, labels.",
                experiment=evidence.experiment(task),
            )
        )
    return findings


@np.errstate(all="ignore")
def _dead_runs(evidence: Evidence, limits: Thresholds) -> dict[str, float]:
    """The runs that never learned, each with the level at which the others of its task usually end."""
    curves = lead_block_curves(evidence)
    series = evidence.series
    runs = series.run[curves.rows]
    tasks = evidence.task_positions[runs]
    not_diverged = ~np.isin(runs, [evidence.positions[run_id] for run_id in evidence.diverged])
    learned = not_diverged & curves.learned
    movement = np.nanmax(np.abs(curves.levels - curves.start[:, None]), axis=1, initial=0.0)
    usual_ends: dict[str, float] = {}
    for task in np.unique(tasks[not_diverged & ~learned]).tolist():
        of_task = tasks == task
        others = of_task & learned
        if others.sum() < limits.others:
            continue
        gain, ends = float(np.median(curves.gain[others])), np.sort(curves.tail[others])
        end = float(ends[len(ends) // 2])
        dead = (
            of_task
            & not_diverged
            & (series.points[curves.rows] >= limits.fewest_points)
            & (movement <= np.maximum(limits.moved * gain, 0.0))
            & (curves.tail - end > limits.behind * gain)
        )
        for index in np.flatnonzero(dead).tolist():
            usual_ends[evidence.run_ids[runs[index]]] = float(curves.sign[index]) * end
    return usual_ends


RULE = Rule(
    "never_learned",
    "a run's curve stays at its start, within a tenth of what others gained, and ends far behind them",
    "",
    Thresholds(),
    find,
)
