"""Curves that are read a second time, point by point, since the few numbers that were kept of them leave it open."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from qualia_lab.analysis.findings.courses import Courses, courses_of, lead_courses, row_of
from qualia_lab.analysis.findings.pairs import metric_pairs
from qualia_lab.analysis.histories import real
from qualia_lab.columns import whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from qualia_lab.analysis.findings.evidence import Evidence

    Numbers = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

MOST_POINTS = 2_000_000  # that are held at once, 16 bytes each
MOST_CURVES = 3_000  # each is judged by itself, in some tenth of a millisecond
_SHARE = 0.1  # of all points, of which so many are read again in any case:
_FEW_POINTS = 300_000

# Less than the rules ask by their thresholds, so that these can be lowered.
_LOST = 0.02  # of the gain
_NOISES = 2.0
_SWING = 0.25  # of the gain


@dataclass(frozen=True)
class Curve:
    """The finite points of one history."""

    steps: Numbers
    values: Numbers


@dataclass(frozen=True)
class SecondLook:
    """curves: by run id and metric.  asked, read: how many histories left it open, and how many were read."""

    curves: Mapping[tuple[str, str], Curve]
    asked: int
    read: int


def look_again(evidence: Evidence) -> SecondLook:
    """Read the curves that lose much of what they gained, with their twins of training, and those that may swing.

    Those that lost most in shares of their gain come first, at most MOST_CURVES, and as many as have MOST_POINTS or a
    tenth of all points together.
    """
    series = evidence.series
    rows, ranks = [], []
    lead = lead_courses(evidence)
    for courses, mask in ((lead, _loses(lead) | _swings(evidence, lead)), *_held_out(evidence)):
        rows.append(courses.rows[mask])
        ranks.append(_share_lost(courses)[mask])
    candidates, share = np.concatenate(rows), np.concatenate(ranks)
    candidates, first = np.unique(candidates[np.argsort(-share, kind="stable")], return_index=True)
    candidates = candidates[np.argsort(first)]
    points = min(MOST_POINTS, max(_FEW_POINTS, int(_SHARE * series.points.sum())))
    read = candidates[:MOST_CURVES]
    read = read[np.cumsum(series.points[read]) <= points]
    wanted = {(evidence.run_ids[series.run[row]], evidence.keys[series.key[row]]) for row in read.tolist()}
    for training, held_out in metric_pairs(evidence.study, evidence.keys):
        wanted |= {(run_id, training) for run_id, key in wanted if key == held_out}
    return SecondLook(_curves(evidence, wanted), len(candidates), len(read))


def unexamined(evidence: Evidence) -> list[str]:
    """How many curves are more, or have more points together, than are read a second time."""
    look = evidence.second_look
    if look.read == look.asked:
        return []
    left = look.asked - look.read
    return [f"the shape of {left:,} curves: the {look.read:,} that lost most of their gain were read point by point"]


def _held_out(evidence: Evidence) -> list[tuple[Courses, Mask]]:
    found = []
    for training, held_out in metric_pairs(evidence.study, evidence.keys):
        there = row_of(evidence, held_out)
        courses = courses_of(evidence, there[(there >= 0) & (row_of(evidence, training) >= 0)])
        found.append((courses, _loses(courses)))
    return found


@np.errstate(all="ignore")
def _loses(courses: Courses) -> Mask:
    return np.asarray((courses.lost > _LOST * courses.gain) & (courses.lost > _NOISES * courses.noise))


@np.errstate(all="ignore")
def _swings(evidence: Evidence, courses: Courses) -> Mask:
    """Whether the later levels, or neighbouring points, are far apart against what was gained."""
    later = np.where(np.arange(courses.levels.shape[1]) * 3 >= courses.ends[:, None], courses.levels, np.nan)
    wide = np.nanmax(later, axis=1, initial=-np.inf) - np.nanmin(later, axis=1, initial=np.inf)
    wide = np.fmax(wide, 4 * np.nan_to_num(evidence.series.noise[courses.rows]))
    return np.asarray(wide > _SWING * np.abs(courses.start - courses.tail))


@np.errstate(all="ignore")
def _share_lost(courses: Courses) -> Numbers:
    return np.nan_to_num(courses.lost / courses.gain, nan=0.0, posinf=1e9, neginf=0.0)


def _curves(evidence: Evidence, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], Curve]:
    """The finite points of these histories: those that were held, and the others out of the store."""
    series = evidence.series
    runs, keys = {run_id for run_id, _ in wanted}, {key for _, key in wanted}
    of_runs = np.array([run_id in runs for run_id in evidence.run_ids], np.bool_)
    of_keys = np.array([key in keys for key in evidence.keys], np.bool_)
    pairs = {
        row: pair
        for row in np.flatnonzero(of_runs[series.run] & of_keys[series.key]).tolist()
        if (pair := (evidence.run_ids[series.run[row]], evidence.keys[series.key[row]])) in wanted
    }
    found = {}
    for row, steps, values in evidence.held.slices(series.points, pairs):
        finite = np.isfinite(values)
        found[pairs[row]] = Curve(steps[finite].astype(np.float64), values[finite])
    return found | _read(evidence, wanted - found.keys())


def _read(evidence: Evidence, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], Curve]:
    """The finite points of these histories, read from the store."""
    if not wanted:
        return {}
    runs = {run_id for run_id, _ in wanted}
    run_ids = [run_id for run_id in evidence.run_ids if run_id in runs]
    pieces: dict[tuple[str, str], list[tuple[Numbers, Numbers]]] = {pair: [] for pair in wanted}
    for batch in evidence.read_history(run_ids, sorted({key for _, key in wanted})):
        codes = [whole(batch.column(name)).dictionary_encode() for name in ("run_id", "key")]
        names = [code.dictionary.to_pylist() for code in codes]
        run, key = (pc.fill_null(code.indices, 0).to_numpy(zero_copy_only=False) for code in codes)
        steps = batch.column("step").fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
        values = real(batch.column("value").fill_null(np.nan).to_numpy(zero_copy_only=False))
        begins = np.flatnonzero((run[1:] != run[:-1]) | (key[1:] != key[:-1])) + 1
        for begin, end in pairwise([0, *begins.tolist(), len(run)]):
            pair = (names[0][run[begin]], names[1][key[begin]]) if begin < end else ("", "")
            if pair in pieces:
                finite = np.isfinite(values[begin:end])
                pieces[pair].append((steps[begin:end][finite], values[begin:end][finite]))
    return {
        pair: Curve(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        for pair, parts in pieces.items()
        if parts
    }
