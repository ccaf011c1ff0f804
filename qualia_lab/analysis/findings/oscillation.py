"""Curves that oscillate without improving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.block_curves import lead_block_curves
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses, number
from qualia_lab.analysis.findings.per_task import count_text, runs_by_task
from qualia_lab.analysis.trends import oscillates

if TYPE_CHECKING:
    import numpy.typing as npt

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.trends import Oscillation


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        swing: Minimum distance from trough to crest, as a share of the gain from start to end.
    """

    swing: float = 0.5


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, about its lead curve: periodic oscillations that are large compared with the gain.

    Oscillations around a level that keeps improving by half their size or more, as with warm restarts of the learning
    rate, are not reported.
    """
    waves = _waves(evidence, thresholds)
    findings = []
    for task, run_ids in runs_by_task(evidence, waves):
        key = evidence.lead_curve(task) or ""
        clauses = [
            f"{evidence.name(run_id)} between {number(waves[run_id][0])} and {number(waves[run_id][1])}"
            for run_id in run_ids
        ]
        findings.append(
            Finding(
                "oscillation",
                "problem",
                "warning",
                f"{evidence.prefix(task)}{key} swings up and down without improving in "
                f"{count_text(len(run_ids), task)}: {joined_clauses(clauses)}.",
                tuple(run_ids),
                (key,),
                (),
                tuple(
                    Number(what, value, run_id)
                    for run_id in run_ids[:MOST_NAMED]
                    for what, value in zip(("lowest", "highest"), waves[run_id], strict=True)
                ),
                "curves",
                expressions.history(evidence, key, run_ids[:MOST_NAMED]),
                next="Lower the learning rate or raise the batch size, and compare such runs by a mean of their last "
                "values, not by one.",
                experiment=evidence.experiment(task),
            )
        )
    return findings


def _waves(evidence: Evidence, limits: Thresholds) -> dict[str, tuple[float, float]]:
    """The oscillating runs, each with the lowest and highest value of its last two thirds."""
    curves = lead_block_curves(evidence)
    are_read = evidence.full_curves.among(curves.rows)
    rows = curves.rows[are_read]
    of_rows = (evidence.series.run[rows].tolist(), rows.tolist(), curves.sign[are_read].tolist())
    ranges = {}
    for run, row, sign in zip(*of_rows, strict=True):
        run_id, curve = evidence.run_ids[run], evidence.full_curves.curves[row]
        if run_id in evidence.diverged:
            continue
        wave = oscillates(curve.values)
        if wave is not None and _is_large(sign * curve.values, wave, limits.swing):
            later = curve.values[len(curve.values) // 3 :]
            ranges[run_id] = float(later.min()), float(later.max())
    return ranges


@np.errstate(all="ignore")
def _is_large(cost: npt.NDArray[np.float64], wave: Oscillation, share: float) -> bool:
    """Whether the oscillation is large compared with the gain, and with what the later part still gained."""
    cycle = max(2, round(wave.period))
    later = cost[len(cost) // 3 :]
    gain = float(cost[:cycle].mean() - cost[-cycle:].mean())
    late_gain = float(later[:cycle].mean() - later[-cycle:].mean())
    swing = 2 * wave.amplitude
    return swing >= share * gain and late_gain < swing / 2


RULE = Rule(
    "oscillation",
    "the lead curve oscillates periodically, by much compared with its gain, and no longer improves",
    "Schuster 1898; Fisher 1929",
    Thresholds(),
    find,
)
