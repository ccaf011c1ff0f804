"""Courses: metric histories side by side in a few levels each, turned so that less is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings.point_facts import BLOCKS

if TYPE_CHECKING:
    import numpy.typing as npt

    from qualia_lab.analysis.findings.evidence import Evidence

    Numbers = npt.NDArray[np.float64]
    Whole = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

_NOISES, _STEPS, _ROUNDING = 6.0, 2.0, 1e-9
_FEWEST = 4  # levels of a course about which anything is said


@dataclass(frozen=True)
class Courses:
    """Histories, a row each; every value is turned so that less is better.

    rows: of SeriesFacts.  sign: 1 where less is better, -1 where more is.
    levels: SeriesFacts.blocks.  ends: the place of the last level.  best_at: the place of the best one.
    start, best, tail: the levels at the beginning, the best of all, and at the end.
    noise: standard deviation of one level by the noise of its points.  rough: SeriesFacts.rough.
    """

    rows: Whole
    sign: Numbers
    levels: Numbers
    ends: Whole
    best_at: Whole
    start: Numbers
    best: Numbers
    tail: Numbers
    noise: Numbers
    rough: Numbers

    @property
    @np.errstate(all="ignore")
    def gain(self) -> Numbers:
        """How far the best level is from the start."""
        return self.start - self.best

    @property
    @np.errstate(all="ignore")
    def learned(self) -> Mask:
        """Whether the best level is far from the start.

        By six standard deviations of a level; by two differences of neighbours, of which noise that is rounded or
        rarely another value seems to have next to none; and past the rounding of numbers.
        """
        least = np.fmax(np.fmax(_NOISES * self.noise, _STEPS * self.rough), _ROUNDING * np.abs(self.start))
        return np.asarray(self.gain > least)

    @property
    @np.errstate(all="ignore")
    def lost(self) -> Numbers:
        """How far the end is from the best level."""
        return self.tail - self.best

    def level(self, place: Whole) -> Numbers:
        """The level at this place of each course."""
        return np.asarray(self.levels[np.arange(len(self.rows)), np.clip(place, 0, BLOCKS - 1)])


@np.errstate(all="ignore")
def courses_of(evidence: Evidence, rows: Whole) -> Courses:
    """The courses of these rows of `evidence.series`; of histories of fewer than four finite points there is none."""
    series = evidence.series
    finite = series.points - series.nan - series.infinite
    rows = rows[finite[rows] >= _FEWEST]
    sign = signs(evidence)[series.key[rows]]
    levels = sign[:, None] * series.blocks[rows]
    ends = np.minimum(finite[rows], BLOCKS) - 1
    best_at = np.argmin(np.where(np.isnan(levels), np.inf, levels), axis=1) if len(rows) else np.zeros(0, np.int64)
    of_block = np.maximum(1.0, finite[rows] / BLOCKS)
    return Courses(
        rows,
        sign,
        levels,
        ends,
        best_at,
        sign * series.start[rows],
        levels[np.arange(len(rows)), best_at],
        sign * series.tail[rows],
        np.nan_to_num(series.noise[rows]) / np.sqrt(of_block),
        series.rough[rows],
    )


def lead_courses(evidence: Evidence) -> Courses:
    """Of every run the course of the metric that is judged in its task, in the order of the runs."""
    return evidence.once("lead courses", lambda: _lead_courses(evidence))


def _lead_courses(evidence: Evidence) -> Courses:
    places = {key: place for place, key in enumerate(evidence.keys)}
    wanted = np.full(len(evidence.run_ids), -1)
    for task in evidence.study.tasks:
        key = evidence.lead_curve(task)
        if key is not None:
            wanted[[evidence.places[run_id] for run_id in task.run_ids]] = places[key]
    series = evidence.series
    rows = np.flatnonzero(wanted[series.run] == series.key)
    return courses_of(evidence, rows[np.argsort(series.run[rows], kind="stable")])


def signs(evidence: Evidence) -> Numbers:
    """By the place of a metric 1 where less is better, -1 where more is, 0 where neither is known."""
    ways = {True: -1.0, False: 1.0, None: 0.0}
    return np.array([ways[evidence.study.greater_is_better(key)] for key in evidence.keys], np.float64)


def row_of(evidence: Evidence, key: str) -> Whole:
    """By the place of a run its row of this metric in `evidence.series`, -1 where it has none."""
    found = np.full(len(evidence.run_ids), -1)
    rows = np.flatnonzero(evidence.series.key == evidence.keys.index(key))
    found[evidence.series.run[rows]] = rows
    return found
