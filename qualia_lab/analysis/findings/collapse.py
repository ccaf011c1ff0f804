"""Runs that had learned and then collapsed: the objective falls back within a few points and does not recover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions, full_curves
from qualia_lab.analysis.findings.block_curves import lead_block_curves
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses, number
from qualia_lab.analysis.findings.per_task import count_text, runs_by_task
from qualia_lab.analysis.trends import collapse

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.findings.full_curves import Curve
    from qualia_lab.study.settings import Better

_PARTS = 40  # parts of a long curve, to detect a fall that takes many points


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        lost: Share of the gain that is lost at the end.
    """

    lost: float = 0.5


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, about its lead curve: runs that learned, fell back abruptly, and did not recover.

    A gradual decline is reported by the rules `overfitting` or `best_not_last` instead.
    """
    collapse_steps = _cached_collapse_steps(evidence, thresholds)
    findings = []
    for task, run_ids in runs_by_task(evidence, collapse_steps):
        key = evidence.lead_curve(task) or ""
        histories = evidence.histories_of(key, run_ids)
        clauses = [
            f"{evidence.name(history.run_id)} at step {collapse_steps[history.run_id]:,}, {number(history.best)} at "
            f"best and {number(history.last)} at the end"
            for history in histories
        ]
        findings.append(
            Finding(
                "collapse",
                "problem",
                "problem",
                f"{evidence.prefix(task)}{key} collapses in {count_text(len(histories), task)} and does not come back: "
                f"{joined_clauses(clauses)}.",
                tuple(history.run_id for history in histories),
                (key,),
                tuple(collapse_steps[history.run_id] for history in histories),
                tuple(
                    Number(what, value, history.run_id)
                    for history in histories[:MOST_NAMED]
                    for what, value in (
                        ("step", collapse_steps[history.run_id]),
                        ("best", history.best),
                        ("last", history.last),
                    )
                ),
                "curves",
                expressions.history(evidence, key, (history.run_id for history in histories[:MOST_NAMED])),
                next="Take the checkpoint before that step, and look at the learning rate, the gradients and the data "
                "there.",
                experiment=evidence.experiment(task),
            )
        )
    return findings


def collapsed_runs(evidence: Evidence) -> frozenset[str]:
    """The runs that collapse, by the default thresholds."""
    return frozenset(_cached_collapse_steps(evidence, Thresholds()))


def _cached_collapse_steps(evidence: Evidence, limits: Thresholds) -> dict[str, int]:
    return evidence.cached(("collapse", limits), lambda: _collapse_steps(evidence, limits))


@np.errstate(all="ignore")
def _collapse_steps(evidence: Evidence, limits: Thresholds) -> dict[str, int]:
    """The step at which each collapsing run does so; diverged runs are reported by the rule `diverged` instead."""
    curves = lead_block_curves(evidence)
    series = evidence.series
    far = curves.learned & (curves.lost >= limits.lost * curves.gain)
    collapse_steps = {}
    for row, sign in zip(curves.rows[far].tolist(), curves.sign[far].tolist(), strict=True):
        run_id = evidence.run_ids[series.run[row]]
        curve = evidence.full_curves.curves.get(row)
        if curve is None or run_id in evidence.diverged:
            continue
        step = _collapse_step(curve, "lower" if sign > 0 else "higher")
        if step is not None:
            collapse_steps[run_id] = step
    return collapse_steps


def _collapse_step(curve: Curve, better: Better) -> int | None:
    """The step at which a curve collapses: within three points or, in a long curve, within three of its forty parts."""
    index, size = collapse(curve.values, better), len(curve.values) // _PARTS
    if index is None and size > 2:
        part_means = curve.values[: size * (len(curve.values) // size)].reshape(-1, size).mean(axis=1)
        part_index = collapse(part_means, better)
        index = None if part_index is None else part_index * size
    return None if index is None else int(curve.steps[index])


RULE = Rule(
    "collapse",
    "the objective of a run that had learned falls back within three points by at least half of its gain, and "
    "does not recover",
    "Hampel 1974",
    Thresholds(),
    find,
    lambda evidence, _thresholds: full_curves.unexamined(evidence),
)
