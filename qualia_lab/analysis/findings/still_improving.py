"""Tasks whose runs ended while they were still getting better: more training may be worth more than other settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.courses import courses_of, row_of
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number
from qualia_lab.study.statuses import FINISHED

if TYPE_CHECKING:
    from collections.abc import Collection

    from qualia_lab.analysis.findings.courses import Courses
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task

_MOST_METRICS = 3  # objectives of a task that are asked, one after the other
_FEWEST_LEVELS = 8
_LAST = 8  # levels, of which the mean over the runs has to improve
_BACK = 0.2  # of that improvement, that a step back may be


@dataclass(frozen=True)
class Thresholds:
    """runs: finished ones with a curve, so many are needed.  alpha: of the test.  gain: share of all that was gained.

    share: of the runs, that have to be better in their last eighth than in the one before.
    """

    runs: int = 5
    alpha: float = 0.05
    gain: float = 0.05
    share: float = 0.7


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: its objective, or the next one that has curves, improved to the end.

    Of every finished run the mean level of the last eighth of its points is compared with that of the eighth before
    (of few points, two with two). Over the runs that has to be an improvement by Student's t test (Student 1908), for
    as many metrics as are asked, and a good part of what the runs gained in all; and their mean must not have a large
    step back, since what goes up and down is going down half of the time. Runs are independent, so no trend within one
    is taken for many.
    """
    found = (_of_task(evidence, task, thresholds) for task in evidence.study.tasks)
    return [one for one in found if one is not None]


def gain_at_the_end(evidence: Evidence, key: str) -> dict[str, float]:
    """By how much the last points of a metric are better than those before them, of every run of which it counts."""
    courses = _courses(evidence, key, range(len(evidence.run_ids)))
    runs = (evidence.run_ids[run] for run in evidence.series.run[courses.rows].tolist())
    gains = zip(runs, _improved(courses).tolist(), strict=True)
    return {run_id: gain for run_id, gain in gains if not math.isnan(gain) and _counts(evidence, run_id)}


def _courses(evidence: Evidence, key: str, own: Collection[int]) -> Courses:
    """The courses of a metric in these runs, given by their places, in the order of the runs."""
    rows = row_of(evidence, key)[sorted(own)]
    return courses_of(evidence, rows[rows >= 0])


def _of_task(evidence: Evidence, task: Task, limits: Thresholds) -> Finding | None:
    study = evidence.study
    own = {evidence.places[run_id] for run_id in task.run_ids if _counts(evidence, run_id)}
    ranked = (study.metric[count.key] for count in evidence.ranked if count.stepped)
    own_key = task.objective.key if task.objective else None
    asked = [
        one.key
        for one in ranked  # what is measured on training data says how training goes, unless it is the aim
        if one.role == "objective" and one.better is not None and (one.split != "training" or one.key == own_key)
    ][:_MOST_METRICS]
    for key in asked:
        courses = _courses(evidence, key, own)
        better = _improved(courses)
        enough = ~np.isnan(better)
        if enough.sum() < max(3, limits.runs):
            continue
        is_real = _is_real(better[enough], courses.gain[enough], limits, len(asked))
        if is_real and _goes_on(courses, enough):
            runs = evidence.series.run[courses.rows[enough]]
            return _finding(evidence, task, key, [evidence.run_ids[run] for run in runs.tolist()], better[enough])
    return None


def _counts(evidence: Evidence, run_id: str) -> bool:
    """Whether it finished and takes part in comparisons."""
    left_out = run_id in evidence.study.left_out or run_id in evidence.diverged
    return evidence.status[run_id] == FINISHED and not left_out


@np.errstate(all="ignore")
def _improved(courses: Courses) -> np.ndarray:
    """By how much the mean of the last two levels is better than that of the two before; NaN of short courses."""
    count = courses.ends + 1
    place = np.arange(courses.levels.shape[1])
    last = place >= (count - 2)[:, None]
    middle = (place >= (count - 4)[:, None]) & ~last
    inside = place < count[:, None]

    def mean(mask: np.ndarray) -> np.ndarray:
        kept = mask & inside
        return np.asarray(np.where(kept, courses.levels, 0.0).sum(axis=1) / kept.sum(axis=1))

    return np.where(count >= _FEWEST_LEVELS, mean(middle) - mean(last), np.nan)


@np.errstate(all="ignore")
def _goes_on(courses: Courses, enough: np.ndarray) -> bool:
    """Whether the mean of these courses improves to its end without a large step back."""
    rows = np.flatnonzero(enough)
    last = courses.ends[rows, None] - np.arange(_LAST)[::-1]
    mean = courses.levels[rows[:, None], last].mean(axis=0)
    return bool(np.diff(mean).max() <= _BACK * (mean[0] - mean[-1]))


@np.errstate(all="ignore")
def _is_real(better: np.ndarray, gain: np.ndarray, limits: Thresholds, asked: int) -> bool:
    from scipy.special import stdtr

    n, spread = len(better), float(better.std(ddof=1))
    mean = float(better.mean())
    if mean <= 0 or mean < limits.gain * float(np.abs(gain).mean()) or (better > 0).mean() < limits.share:
        return False
    p = 0.0 if spread == 0 else float(stdtr(n - 1, -mean / (spread / np.sqrt(n))))
    return p * asked < limits.alpha


def _finding(evidence: Evidence, task: Task, key: str, run_ids: list[str], better: np.ndarray) -> Finding:
    improved, mean = int((better > 0).sum()), float(better.mean())
    every = f"all {len(better):,} runs" if improved == len(better) else f"{improved:,} of {len(better):,} runs"
    return Finding(
        "still_improving",
        "problem",
        "note",
        f"{evidence.where(task)}{key} was still improving when the runs ended: in {every} the last points are "
        f"better than those before, by {number(mean)} on average.",
        tuple(run_id for run_id, one in zip(run_ids, better, strict=True) if one > 0),
        (key,),
        numbers=(Number("better", improved), Number("runs", len(better)), Number("mean improvement", mean)),
        section="curves",
        code=f'runs.history_summary({code.metric(evidence, key)}).assign(better=lambda of: of["gain_at_the_end"] > 0)'
        '.groupby("experiment")[["gain_at_the_end", "better"]].agg(["count", "sum", "mean"])',
        next="Train longer before comparing settings: their order may still change.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "still_improving",
    "over the finished runs of a task, the last points of an objective are better than those before them, to the end",
    "Student 1908",
    Thresholds(),
    find,
)
