"""Metric histories as a few block means each, with the sign set so that less is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings.point_facts import BLOCKS

if TYPE_CHECKING:
    import numpy.typing as npt

    from qualia_lab.analysis.findings.evidence import Evidence

    Numbers = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

_NOISES, _STEPS, _ROUNDING = 6.0, 2.0, 1e-9
_FEWEST = 4  # finite points needed to judge a history


@dataclass(frozen=True)
class BlockCurves:
    """Metric histories, one per row; every value has its sign set so that less is better.

    Attributes:
        rows: Rows of SeriesFacts.
        sign: 1 if less is better, -1 if more is better.
        levels: SeriesFacts.blocks, times the sign.
        ends: Index of the last block.
        best_at: Index of the best block.
        start: Level at the beginning.
        best: Best block mean.
        tail: Level at the end.
        noise: Standard deviation of one block mean, from the noise of its points.
        rough: SeriesFacts.rough.
    """

    rows: Integers
    sign: Numbers
    levels: Numbers
    ends: Integers
    best_at: Integers
    start: Numbers
    best: Numbers
    tail: Numbers
    noise: Numbers
    rough: Numbers

    @property
    @np.errstate(all="ignore")
    def gain(self) -> Numbers:
        """The distance from the start to the best level."""
        return self.start - self.best

    @property
    @np.errstate(all="ignore")
    def learned(self) -> Mask:
        """Whether the best level is far from the start.

        The distance has to exceed six standard deviations of a block mean, the rounding of numbers, and two mean
        differences of neighbouring points: the last since rounded noise, and noise that rarely changes its value, has a
        MAD near zero.
        """
        least = np.fmax(np.fmax(_NOISES * self.noise, _STEPS * self.rough), _ROUNDING * np.abs(self.start))
        return np.asarray(self.gain > least)

    @property
    @np.errstate(all="ignore")
    def lost(self) -> Numbers:
        """The distance from the best level to the end."""
        return self.tail - self.best

    def level(self, position: Integers) -> Numbers:
        """The block mean at this index, for each row."""
        return np.asarray(self.levels[np.arange(len(self.rows)), np.clip(position, 0, BLOCKS - 1)])


@np.errstate(all="ignore")
def block_curves(evidence: Evidence, rows: Integers) -> BlockCurves:
    """The block means of these rows of `evidence.series`, without histories of fewer than four finite points."""
    series = evidence.series
    finite = series.points - series.nan - series.infinite
    rows = rows[finite[rows] >= _FEWEST]
    sign = signs(evidence)[series.key[rows]]
    levels = sign[:, None] * series.blocks[rows]
    ends = np.minimum(finite[rows], BLOCKS) - 1
    best_at = np.argmin(np.where(np.isnan(levels), np.inf, levels), axis=1) if len(rows) else np.zeros(0, np.int64)
    of_block = np.maximum(1.0, finite[rows] / BLOCKS)
    return BlockCurves(
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


def lead_block_curves(evidence: Evidence) -> BlockCurves:
    """The block means of each run's lead curve (see `Evidence.lead_curve`), in the order of the runs."""
    return evidence.cached("lead block curves", lambda: _lead_block_curves(evidence))


def _lead_block_curves(evidence: Evidence) -> BlockCurves:
    key_positions = {key: position for position, key in enumerate(evidence.keys)}
    wanted = np.full(len(evidence.run_ids), -1)
    for task in evidence.study.tasks:
        key = evidence.lead_curve(task)
        if key is not None:
            wanted[[evidence.positions[run_id] for run_id in task.run_ids]] = key_positions[key]
    series = evidence.series
    rows = np.flatnonzero(wanted[series.run] == series.key)
    return block_curves(evidence, rows[np.argsort(series.run[rows], kind="stable")])


def signs(evidence: Evidence) -> Numbers:
    """For each metric, by position: 1 if less is better, -1 if more is better, 0 if unknown."""
    sign_of = {True: -1.0, False: 1.0, None: 0.0}
    return np.array([sign_of[evidence.study.greater_is_better(key)] for key in evidence.keys], np.float64)


def rows_by_run(evidence: Evidence, key: str) -> Integers:
    """For each run, by position: its row of this metric in `evidence.series`; -1 if it has none."""
    row_by_run = np.full(len(evidence.run_ids), -1)
    rows = np.flatnonzero(evidence.series.key == evidence.keys.index(key))
    row_by_run[evidence.series.run[rows]] = rows
    return row_by_run
