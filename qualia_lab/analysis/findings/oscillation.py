"""Curves that swing up and down without getting better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.courses import lead_courses
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, number, parts
from qualia_lab.analysis.findings.per_task import runs_by_task, some_of
from qualia_lab.analysis.trends import oscillates

if TYPE_CHECKING:
    import numpy.typing as npt

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.trends import Oscillation


@dataclass(frozen=True)
class Thresholds:
    """swing: from trough to crest, in shares of what was gained from the start to the end."""

    swing: float = 0.5


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, about the curve that is judged: regular swings that are large against the gain.

    Swings around a level that goes on improving by half of them or more, as with warm restarts of the learning rate,
    are none.
    """
    waves = _waves(evidence, thresholds)
    found = []
    for task, run_ids in runs_by_task(evidence, waves):
        key = evidence.lead_curve(task) or ""
        clauses = [
            f"{evidence.name(run_id)} between {number(waves[run_id][0])} and {number(waves[run_id][1])}"
            for run_id in run_ids
        ]
        found.append(
            Finding(
                "oscillation",
                "problem",
                "warning",
                f"{evidence.where(task)}{key} swings up and down without improving in "
                f"{some_of(len(run_ids), task)}: {parts(clauses)}.",
                tuple(run_ids),
                (key,),
                (),
                tuple(
                    Number(what, value, run_id)
                    for run_id in run_ids[:NAMED]
                    for what, value in zip(("lowest", "highest"), waves[run_id], strict=True)
                ),
                "curves",
                code.history(evidence, key, run_ids[:NAMED]),
                next="Lower the learning rate or raise the batch size, and compare such runs by a mean of their last "
                "values, not by one.",
                experiment=evidence.experiment(task),
            )
        )
    return found


def _waves(evidence: Evidence, limits: Thresholds) -> dict[str, tuple[float, float]]:
    """The runs that swing, each with the lowest and the highest value of its later two thirds."""
    courses = lead_courses(evidence)
    series = evidence.series
    found = {}
    for row, sign in zip(courses.rows.tolist(), courses.sign.tolist(), strict=True):
        run_id, key = evidence.run_ids[series.run[row]], evidence.keys[series.key[row]]
        curve = evidence.second_look.curves.get((run_id, key))
        if curve is None or run_id in evidence.diverged:
            continue
        wave = oscillates(curve.values)
        if wave is not None and _is_large(sign * curve.values, wave, limits.swing):
            later = curve.values[len(curve.values) // 3 :]
            found[run_id] = float(later.min()), float(later.max())
    return found


@np.errstate(all="ignore")
def _is_large(cost: npt.NDArray[np.float64], wave: Oscillation, share: float) -> bool:
    """Whether the swing is large against the gain, and against what the later part still gained."""
    cycle = max(2, round(wave.period))
    later = cost[len(cost) // 3 :]
    gain = float(cost[:cycle].mean() - cost[-cycle:].mean())
    still = float(later[:cycle].mean() - later[-cycle:].mean())
    swing = 2 * wave.amplitude
    return swing >= share * gain and still < swing / 2


RULE = Rule(
    "oscillation",
    "the curve that is judged swings in a regular wave, large against what was gained, and no longer improves",
    "Schuster 1898; Fisher 1929",
    Thresholds(),
    find,
)
