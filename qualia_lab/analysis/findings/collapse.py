"""Runs that had learned and lost it at once: the objective falls back within a few points and stays there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code, second_look
from qualia_lab.analysis.findings.courses import lead_courses
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, number, parts
from qualia_lab.analysis.findings.per_task import runs_by_task, some_of
from qualia_lab.analysis.trends import collapse

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.findings.second_look import Curve
    from qualia_lab.study.settings import Better

_PARTS = 40  # of a long curve, that a fall over many points is looked for in


@dataclass(frozen=True)
class Thresholds:
    """lost: share of the gain that is gone at the end."""

    lost: float = 0.5


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, about the curve that is judged: runs that learned, fell back at once, and stayed there.

    Where a curve gets worse gradually it is overfitting, or a best value that is not the last one.
    """
    falls = _known_falls(evidence, thresholds)
    found = []
    for task, run_ids in runs_by_task(evidence, falls):
        key = evidence.lead_curve(task) or ""
        ones = evidence.histories_of(key, run_ids)
        clauses = [
            f"{evidence.name(one.run_id)} at step {falls[one.run_id]:,}, {number(one.best)} at best and "
            f"{number(one.last)} at the end"
            for one in ones
        ]
        found.append(
            Finding(
                "collapse",
                "problem",
                "problem",
                f"{evidence.where(task)}{key} collapses in {some_of(len(ones), task)} and does not come back: "
                f"{parts(clauses)}.",
                tuple(one.run_id for one in ones),
                (key,),
                tuple(falls[one.run_id] for one in ones),
                tuple(
                    Number(what, value, one.run_id)
                    for one in ones[:NAMED]
                    for what, value in (("step", falls[one.run_id]), ("best", one.best), ("last", one.last))
                ),
                "curves",
                code.history(evidence, key, (one.run_id for one in ones[:NAMED])),
                next="Take the checkpoint before that step, and look at the learning rate, the gradients and the data "
                "there.",
                experiment=evidence.experiment(task),
            )
        )
    return found


def collapsed_runs(evidence: Evidence) -> frozenset[str]:
    """The runs that collapse, by the thresholds as they are."""
    return frozenset(_known_falls(evidence, Thresholds()))


def _known_falls(evidence: Evidence, limits: Thresholds) -> dict[str, int]:
    return evidence.once(("collapse", limits), lambda: _falls(evidence, limits))


@np.errstate(all="ignore")
def _falls(evidence: Evidence, limits: Thresholds) -> dict[str, int]:
    """The runs that collapse, each with the step at which it does; those that diverged are told there."""
    courses = lead_courses(evidence)
    series = evidence.series
    far = courses.learned & (courses.lost >= limits.lost * courses.gain)
    found = {}
    for row, sign in zip(courses.rows[far].tolist(), courses.sign[far].tolist(), strict=True):
        run_id, key = evidence.run_ids[series.run[row]], evidence.keys[series.key[row]]
        curve = evidence.second_look.curves.get((run_id, key))
        if curve is None or run_id in evidence.diverged:
            continue
        step = _fall(curve, "lower" if sign > 0 else "higher")
        if step is not None:
            found[run_id] = step
    return found


def _fall(curve: Curve, better: Better) -> int | None:
    """The step at which a curve collapses: within three points, or of a long one within three of forty parts."""
    at, size = collapse(curve.values, better), len(curve.values) // _PARTS
    if at is None and size > 2:
        parts = curve.values[: size * (len(curve.values) // size)].reshape(-1, size).mean(axis=1)
        found = collapse(parts, better)
        at = None if found is None else found * size
    return None if at is None else int(curve.steps[at])


RULE = Rule(
    "collapse",
    "the objective of a run that had learned falls back within three points, by half of its gain or more, and stays so",
    "Hampel 1974",
    Thresholds(),
    find,
    lambda evidence, _thresholds: second_look.unexamined(evidence),
)
