"""Steps that are missing from a history or were logged twice, usually after a resume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses
from qualia_lab.analysis.findings.per_task import count_text, runs_by_task

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence

_REGULAR = 0.9  # share of equal strides from which any gap stands out


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        gap: Minimum width of a gap in usual strides.
        regular_gap: The same if the other strides are equal.
        apart: Minimum ratio to the second widest gap.
        returns: Minimum number of points that are older than those of a lower step.
        fewest_points: Minimum number of points of a history.
    """

    gap: float = 10.0
    regular_gap: float = 4.0
    apart: float = 5.0
    returns: int = 2
    fewest_points: int = 10


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task: runs with a gap, or with steps logged again, in at least half of their long histories.

    A step was logged again if a point is older than one of a lower step: MLflow keeps both.
    """
    series = evidence.series
    long = series.points >= thresholds.fewest_points
    gaps = (series.gap >= thresholds.gap) & (series.gap >= thresholds.apart * series.second_gap)
    gaps |= (series.gap >= thresholds.regular_gap) & (series.even >= _REGULAR)
    logged_again = series.returns >= thresholds.returns
    clauses: dict[str, tuple[int, str]] = {}
    numbers: dict[str, tuple[int, int]] = {}
    for mask, kind in ((long & gaps, "gap"), (long & logged_again, "again")):
        for row in _longest_history_per_run(evidence, long, mask).tolist():
            run_id = evidence.run_ids[series.run[row]]
            begin, end = (int(getattr(series, f"{kind}_{side}")[row]) for side in ("from", "to"))
            clause = f"no point between steps {begin:,} and {end:,}" if kind == "gap" else (
                f"steps {begin:,} to {end:,} logged twice")  # fmt: skip
            clauses[run_id] = (row, f"{clauses[run_id][1]} and {clause}" if run_id in clauses else clause)
            numbers.setdefault(run_id, (begin, end))
    findings = []
    for task, run_ids in runs_by_task(evidence, clauses):
        keys = tuple(dict.fromkeys(evidence.keys[series.key[clauses[run_id][0]]] for run_id in run_ids))
        has_repeated_steps = any("twice" in clauses[run_id][1] for run_id in run_ids)
        findings.append(
            Finding(
                "step_gaps",
                "problem",
                "warning",
                f"{evidence.prefix(task)}{count_text(len(run_ids), task)} {'was' if len(run_ids) == 1 else 'were'} "
                "interrupted: "
                + joined_clauses([f"{evidence.name(run_id)}, {clauses[run_id][1]}" for run_id in run_ids])
                + ".",
                tuple(run_ids),
                keys,
                tuple(numbers[run_id][0] for run_id in run_ids),
                tuple(
                    Number(kind, value, run_id)
                    for run_id in run_ids[:MOST_NAMED]
                    for kind, value in zip(("from step", "to step"), numbers[run_id], strict=True)
                ),
                "curves",
                expressions.history(evidence, keys[0], run_ids[:MOST_NAMED]),
                next="Check that the run resumed from the right checkpoint"
                + ("; curves show both passes of the steps that were logged twice." if has_repeated_steps else "."),
                experiment=evidence.experiment(task),
            )
        )
    return findings


def _longest_history_per_run(evidence: Evidence, long: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """For each run with the mark in at least half of its long histories, the row with most points."""
    series = evidence.series
    runs = len(evidence.run_ids)
    of_all = np.bincount(series.run[long], minlength=runs)
    marked = np.bincount(series.run[mask], minlength=runs)
    rows = np.flatnonzero(mask & (2 * marked >= of_all)[series.run])
    rows = rows[np.lexsort((series.key[rows], -series.points[rows], series.run[rows]))]
    return rows[np.unique(series.run[rows], return_index=True)[1]]


RULE = Rule(
    "step_gaps",
    "a run's histories lack a range of steps much wider than their stride, or contain steps that were logged "
    "again later",
    "",
    Thresholds(),
    find,
)
