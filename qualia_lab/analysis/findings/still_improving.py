"""Tasks whose runs ended while still improving, so that longer training may matter more than other settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.block_curves import block_curves, rows_by_run
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number

if TYPE_CHECKING:
    from collections.abc import Collection

    from qualia_lab.analysis.findings.block_curves import BlockCurves
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task

_MOST_METRICS = 3  # objectives of a task that are tested, one after another
_FEWEST_LEVELS = 8
_LAST = 8  # block means over which the mean curve has to improve
_BACK = 0.2  # maximum step back, as a share of that improvement


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        runs: Minimum number of finished runs with a curve.
        alpha: Significance level of the test.
        gain: Minimum improvement at the end, as a share of the total gain.
        share: Minimum share of the runs that are better in their last eighth than in the one before.
    """

    runs: int = 5
    alpha: float = 0.05
    gain: float = 0.05
    share: float = 0.7


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: its objective, or the next one that has curves, improved to the end.

    For each finished run, the mean of the last eighth of its points is compared with that of the previous eighth (with
    few points, two with two). Over the runs the improvement has to be significant by Student's t test (Student 1908),
    corrected for the number of metrics tested, and be a good part of what the runs gained in total. Their mean curve
    must not have a large step back, since a curve that goes up and down is improving half of the time. The samples of
    the test are runs, not points, which are not independent.
    """
    found = (_task_finding(evidence, task, thresholds) for task in evidence.study.tasks)
    return [one for one in found if one is not None]


def gain_at_the_end(evidence: Evidence, key: str) -> dict[str, float]:
    """The improvement of the last points of a metric over those before them, by run id, for all included runs."""
    curves = _block_curves(evidence, key, range(len(evidence.run_ids)))
    runs = (evidence.run_ids[run] for run in evidence.series.run[curves.rows].tolist())
    gains = zip(runs, _improved(curves).tolist(), strict=True)
    included = {run_id for task in evidence.study.tasks for run_id in _included(evidence, task)}
    return {run_id: gain for run_id, gain in gains if not math.isnan(gain) and run_id in included}


def _block_curves(evidence: Evidence, key: str, own: Collection[int]) -> BlockCurves:
    """The block means of a metric in the runs at these positions, in the order of the runs."""
    rows = rows_by_run(evidence, key)[sorted(own)]
    return block_curves(evidence, rows[rows >= 0])


def _task_finding(evidence: Evidence, task: Task, limits: Thresholds) -> Finding | None:
    study = evidence.study
    ranked = (study.metric[count.key] for count in evidence.ranked if count.stepped)
    own_key = task.objective.key if task.objective else None
    tested = [
        metric.key
        for metric in ranked  # training data shows progress only, unless it is the objective
        if metric.role == "objective"
        and metric.better is not None
        and (metric.split != "training" or metric.key == own_key)
    ][:_MOST_METRICS]
    own = [evidence.positions[run_id] for run_id in _included(evidence, task)] if tested else []
    for key in tested:
        curves = _block_curves(evidence, key, own)
        better = _improved(curves)
        enough = ~np.isnan(better)
        if enough.sum() < max(3, limits.runs):
            continue
        is_significant = _is_significant(better[enough], curves.gain[enough], limits, len(tested))
        if is_significant and _improves_to_the_end(curves, enough):
            runs = evidence.series.run[curves.rows[enough]]
            return _finding(evidence, task, key, [evidence.run_ids[run] for run in runs.tolist()], better[enough])
    return None


def _included(evidence: Evidence, task: Task) -> list[str]:
    """The runs of a task that finished and are included in comparisons."""
    compared = evidence.compared[task.experiment_id]
    return [run_id for run_id in compared if run_id not in evidence.unfinished] if evidence.unfinished else [*compared]


@np.errstate(all="ignore")
def _improved(curves: BlockCurves) -> np.ndarray:
    """The improvement of the last two block means over the two before; NaN for short histories."""
    count = curves.ends + 1
    index = np.arange(curves.levels.shape[1])
    last = index >= (count - 2)[:, None]
    middle = (index >= (count - 4)[:, None]) & ~last
    inside = index < count[:, None]

    def mean(mask: np.ndarray) -> np.ndarray:
        kept = mask & inside
        return np.asarray(np.where(kept, curves.levels, 0.0).sum(axis=1) / kept.sum(axis=1))

    return np.where(count >= _FEWEST_LEVELS, mean(middle) - mean(last), np.nan)


@np.errstate(all="ignore")
def _improves_to_the_end(curves: BlockCurves, enough: np.ndarray) -> bool:
    """Whether the mean of these curves improves to its end without a large step back."""
    rows = np.flatnonzero(enough)
    last = curves.ends[rows, None] - np.arange(_LAST)[::-1]
    mean = curves.levels[rows[:, None], last].mean(axis=0)
    return bool(np.diff(mean).max() <= _BACK * (mean[0] - mean[-1]))


@np.errstate(all="ignore")
def _is_significant(better: np.ndarray, gain: np.ndarray, limits: Thresholds, tests: int) -> bool:
    from scipy.special import stdtr

    n, spread = len(better), float(better.std(ddof=1))
    mean = float(better.mean())
    if mean <= 0 or mean < limits.gain * float(np.abs(gain).mean()) or (better > 0).mean() < limits.share:
        return False
    p = 0.0 if spread == 0 else float(stdtr(n - 1, -mean / (spread / np.sqrt(n))))
    return p * tests < limits.alpha


def _finding(evidence: Evidence, task: Task, key: str, run_ids: list[str], better: np.ndarray) -> Finding:
    improved, mean = int((better > 0).sum()), float(better.mean())
    runs = f"{len(better):,} runs"
    every = f"in all {runs}" if improved == len(better) else f"in {improved:,} of {runs}"
    over = "" if improved == len(better) else f" over all {len(better):,}"
    return Finding(
        "still_improving",
        "problem",
        "note",
        f"{evidence.prefix(task)}{key} was still improving when the runs ended: {every} the last points are "
        f"better than those before, by a mean{over} of {number(mean)}.",
        tuple(compress(run_ids, (better > 0).tolist())),
        (key,),
        numbers=(Number("better", improved), Number("runs", len(better)), Number("mean improvement", mean)),
        section="curves",
        code=f"runs.history_summary({expressions.metric(evidence, key)})"
        '.assign(better=lambda of: of["gain_at_the_end"] > 0)'
        '.groupby("experiment")[["gain_at_the_end", "better"]].agg(["count", "sum", "mean"])',
        next="Train longer before comparing settings: their order may still change.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "still_improving",
    "in the finished runs of a task, the last points of an objective are better than those before them, to the end",
    "Student 1908",
    Thresholds(),
    find,
)
