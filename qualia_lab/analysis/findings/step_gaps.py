"""Steps that are missing from a history, or that were logged twice: what a resume leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, parts
from qualia_lab.analysis.findings.per_task import runs_by_task, some_of

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence

_REGULAR = 0.9  # of the strides alike: any hole stands out


@dataclass(frozen=True)
class Thresholds:
    """gap: in usual strides.  regular_gap: the same where the other strides are alike.  apart: times the next widest.

    returns: points that are older than those of a lower step.  fewest_points: of a history that is looked at.
    """

    gap: float = 10.0
    regular_gap: float = 4.0
    apart: float = 5.0
    returns: int = 2
    fewest_points: int = 10


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task: runs of whose long histories half or more have the gap, or steps that were logged again.

    A step was logged again later where a point is older than one of a lower step: MLflow keeps both.
    """
    series = evidence.series
    long = series.points >= thresholds.fewest_points
    gaps = (series.gap >= thresholds.gap) & (series.gap >= thresholds.apart * series.second_gap)
    gaps |= (series.gap >= thresholds.regular_gap) & (series.even >= _REGULAR)
    again = series.returns >= thresholds.returns
    said: dict[str, tuple[int, str]] = {}
    numbers: dict[str, tuple[int, int]] = {}
    for mask, what in ((long & gaps, "gap"), (long & again, "again")):
        for row in _one_of_each_run(evidence, long, mask).tolist():
            run_id = evidence.run_ids[series.run[row]]
            begin, end = (int(getattr(series, f"{what}_{side}")[row]) for side in ("from", "to"))
            words = f"no point between steps {begin:,} and {end:,}" if what == "gap" else (
                f"steps {begin:,} to {end:,} logged twice")  # fmt: skip
            said[run_id] = (row, f"{said[run_id][1]} and {words}" if run_id in said else words)
            numbers.setdefault(run_id, (begin, end))
    found = []
    for task, run_ids in runs_by_task(evidence, said):
        keys = tuple(dict.fromkeys(evidence.keys[series.key[said[run_id][0]]] for run_id in run_ids))
        both = any("twice" in said[run_id][1] for run_id in run_ids)
        found.append(
            Finding(
                "step_gaps",
                "problem",
                "warning",
                f"{evidence.where(task)}{some_of(len(run_ids), task)} {'was' if len(run_ids) == 1 else 'were'} "
                "interrupted: " + parts([f"{evidence.name(run_id)}, {said[run_id][1]}" for run_id in run_ids]) + ".",
                tuple(run_ids),
                keys,
                tuple(numbers[run_id][0] for run_id in run_ids),
                tuple(
                    Number(what, value, run_id)
                    for run_id in run_ids[:NAMED]
                    for what, value in zip(("from step", "to step"), numbers[run_id], strict=True)
                ),
                "curves",
                code.history(evidence, keys[0], run_ids[:NAMED]),
                next="Check that the resume took up the right checkpoint"
                + ("; curves show both passes of the steps that were logged twice." if both else "."),
                experiment=evidence.experiment(task),
            )
        )
    return found


def _one_of_each_run(evidence: Evidence, long: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Of each run with the mark in half or more of its long histories the row with most points."""
    series = evidence.series
    runs = len(evidence.run_ids)
    of_all = np.bincount(series.run[long], minlength=runs)
    marked = np.bincount(series.run[mask], minlength=runs)
    rows = np.flatnonzero(mask & (2 * marked >= of_all)[series.run])
    rows = rows[np.lexsort((series.key[rows], -series.points[rows], series.run[rows]))]
    return rows[np.unique(series.run[rows], return_index=True)[1]]


RULE = Rule(
    "step_gaps",
    "a run's histories lack a range of steps much wider than their stride, or hold steps that were logged again later",
    "",
    Thresholds(),
    find,
)
