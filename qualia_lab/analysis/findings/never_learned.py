"""Runs that never left their start while others of the same task learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.courses import lead_courses
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, number, parts
from qualia_lab.analysis.findings.per_task import runs_by_task, some_of

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """moved: by how much a run may have moved, in shares of what others gained.

    behind: how far it has to end behind these.  others: runs that learned.  fewest_points: of a history looked at.
    """

    moved: float = 0.1
    behind: float = 0.5
    others: int = 2
    fewest_points: int = 5


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, about the curve that is judged.

    A run learned whose best level is six standard deviations of noise from its start. A run never did whose levels all
    stay within noise, or a tenth of what is gained usually, around its start, and that ends far behind.
    """
    dead = _dead_runs(evidence, thresholds)
    found = []
    for task, run_ids in runs_by_task(evidence, dead):
        key = evidence.lead_curve(task) or ""
        ones = evidence.histories_of(key, run_ids)
        others = dead[run_ids[0]]
        clauses = [f"{evidence.name(one.run_id)}, {number(one.start)} → {number(one.tail)}" for one in ones]
        found.append(
            Finding(
                "never_learned",
                "problem",
                "problem",
                f"{evidence.where(task)}{some_of(len(ones), task)} never learned, {key} stays where it began: "
                f"{parts(clauses)}; {number(others)} is the usual end of those that learned.",
                tuple(one.run_id for one in ones),
                (key,),
                numbers=(
                    *(
                        Number(what, value, one.run_id)
                        for one in ones[:NAMED]
                        for what, value in (("start", one.start), ("end", one.tail))
                    ),
                    Number("usual end", others),
                ),
                section="curves",
                code=f"runs.history_summary({code.metric(evidence, key)})",
                next="Look at what only these runs have: learning rate, initialisation, frozen layers, labels.",
                experiment=evidence.experiment(task),
            )
        )
    return found


@np.errstate(all="ignore")
def _dead_runs(evidence: Evidence, limits: Thresholds) -> dict[str, float]:
    """The runs that never learned, each with where those of its task that did usually end."""
    courses = lead_courses(evidence)
    series = evidence.series
    runs = series.run[courses.rows]
    tasks = evidence.task_places[runs]
    calm = ~np.isin(runs, [evidence.places[run_id] for run_id in evidence.diverged])
    learned = calm & courses.learned
    away = np.nanmax(np.abs(courses.levels - courses.start[:, None]), axis=1, initial=0.0)
    found: dict[str, float] = {}
    for task in np.unique(tasks[calm & ~learned]).tolist():
        of_task = tasks == task
        others = of_task & learned
        if others.sum() < limits.others:
            continue
        gain, ends = float(np.median(courses.gain[others])), np.sort(courses.tail[others])
        end = float(ends[len(ends) // 2])
        dead = (
            of_task
            & calm
            & (series.points[courses.rows] >= limits.fewest_points)
            & (away <= np.maximum(limits.moved * gain, 0.0))
            & (courses.tail - end > limits.behind * gain)
        )
        for place in np.flatnonzero(dead).tolist():
            found[evidence.run_ids[runs[place]]] = float(courses.sign[place]) * end
    return found


RULE = Rule(
    "never_learned",
    "a run's curve stays where it began, within a tenth of what others gained, and ends far behind them",
    "",
    Thresholds(),
    find,
)
