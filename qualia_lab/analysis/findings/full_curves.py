"""Full curves of the histories whose shape cannot be judged from the few numbers kept of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from qualia_lab.analysis.findings.block_curves import BlockCurves, block_curves, lead_block_curves, rows_by_run
from qualia_lab.analysis.findings.metric_pairs import metric_pairs
from qualia_lab.analysis.findings.points import last_of_equal
from qualia_lab.analysis.histories import real
from qualia_lab.columns import whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from qualia_lab.analysis.findings.evidence import Evidence

    Integers = npt.NDArray[np.int64]
    Numbers = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

MOST_POINTS = 2_000_000  # in memory at once, 16 bytes each
MOST_CURVES = 3_000  # each is analysed separately, in about a tenth of a millisecond
_SHARE = 0.1  # share of all points that is read again, but at least _FEW_POINTS
_FEW_POINTS = 300_000

# Lower than the default thresholds of the rules, so that these can be lowered.
_LOST = 0.02  # of the gain
_NOISES = 2.0
_SWING = 0.25  # of the gain


class Curve(NamedTuple):
    """The finite points of one history."""

    steps: Integers
    values: Numbers


@dataclass(frozen=True)
class FullCurves:
    """The full curves that were read.

    Attributes:
        curves: The curves, by their row of `evidence.series`.
        undetermined: Number of histories whose shape was undetermined.
        read: Number of histories among them that were read.
    """

    curves: Mapping[int, Curve]
    undetermined: int
    read: int

    def among(self, rows: Integers) -> npt.NDArray[np.bool_]:
        """Whether the curves of these rows were read."""
        return np.isin(rows, np.fromiter(self.curves, np.int64))


def read_full_curves(evidence: Evidence) -> FullCurves:
    """Read the curves that lose much of their gain, with the same training metric, and those that may oscillate.

    Curves that lost the largest share of their gain come first, up to MOST_CURVES curves and up to MOST_POINTS or a
    tenth of all points.
    """
    series = evidence.series
    rows, ranks = [], []
    lead = lead_block_curves(evidence)
    for curves, mask in ((lead, _loses(lead) | _swings(evidence, lead)), *_held_out(evidence)):
        rows.append(curves.rows[mask])
        ranks.append(_share_lost(curves)[mask])
    candidates, share = np.concatenate(rows), np.concatenate(ranks)
    candidates, first = np.unique(candidates[np.argsort(-share, kind="stable")], return_index=True)
    candidates = candidates[np.argsort(first)]
    points = min(MOST_POINTS, max(_FEW_POINTS, int(_SHARE * series.points.sum())))
    read = candidates[:MOST_CURVES]
    read = read[np.cumsum(series.points[read]) <= points]
    wanted = read
    for training, held_out in metric_pairs(evidence.study, evidence.keys):
        runs = series.run[wanted[series.key[wanted] == evidence.keys.index(held_out)]]
        of_training = rows_by_run(evidence, training)[runs]
        wanted = np.union1d(wanted, of_training[of_training >= 0])
    return FullCurves(_curves(evidence, np.sort(wanted)), len(candidates), len(read))


def unexamined(evidence: Evidence) -> list[str]:
    """The number of curves that were not read because of these limits."""
    full_curves = evidence.full_curves
    if full_curves.read == full_curves.undetermined:
        return []
    unread = full_curves.undetermined - full_curves.read
    read = f"the {full_curves.read:,} that lost most of their gain were read point by point"
    return [f"the shape of {unread:,} curves: {read}"]


def _held_out(evidence: Evidence) -> list[tuple[BlockCurves, Mask]]:
    held_out_curves = []
    for training, held_out in metric_pairs(evidence.study, evidence.keys):
        rows = rows_by_run(evidence, held_out)
        curves = block_curves(evidence, rows[(rows >= 0) & (rows_by_run(evidence, training) >= 0)])
        held_out_curves.append((curves, _loses(curves)))
    return held_out_curves


@np.errstate(all="ignore")
def _loses(curves: BlockCurves) -> Mask:
    return np.asarray((curves.lost > _LOST * curves.gain) & (curves.lost > _NOISES * curves.noise))


@np.errstate(all="ignore")
def _swings(evidence: Evidence, curves: BlockCurves) -> Mask:
    """Whether the later block means, or neighbouring points, vary much compared with the gain."""
    later = np.where(np.arange(curves.levels.shape[1]) * 3 >= curves.ends[:, None], curves.levels, np.nan)
    wide = np.nanmax(later, axis=1, initial=-np.inf) - np.nanmin(later, axis=1, initial=np.inf)
    wide = np.fmax(wide, 4 * np.nan_to_num(evidence.series.noise[curves.rows]))
    return np.asarray(wide > _SWING * np.abs(curves.start - curves.tail))


@np.errstate(all="ignore")
def _share_lost(curves: BlockCurves) -> Numbers:
    return np.nan_to_num(curves.lost / curves.gain, nan=0.0, posinf=1e9, neginf=0.0)


def _curves(evidence: Evidence, rows: Integers) -> dict[int, Curve]:
    """The finite points of these histories, from the cache or else from the store."""
    series = evidence.series
    has_odd = set(rows[(series.nan + series.infinite)[rows] > 0].tolist())
    curves = {}
    for row, steps, values in evidence.point_cache.slices(series.points, rows.tolist()):
        finite = np.isfinite(values) if row in has_odd else slice(None)
        curves[row] = Curve(steps[finite], values[finite])
    return curves | _read(evidence, [row for row in rows.tolist() if row not in curves])


def _read(evidence: Evidence, rows: Sequence[int]) -> dict[int, Curve]:
    """The finite points of these histories, from the store."""
    if not rows:
        return {}
    series = evidence.series
    row_of = {(evidence.run_ids[series.run[row]], evidence.keys[series.key[row]]): row for row in rows}
    runs = {run_id for run_id, _ in row_of}
    run_ids = [run_id for run_id in evidence.run_ids if run_id in runs]
    pieces: dict[int, list[tuple[Integers, Integers, Numbers]]] = {row: [] for row in rows}
    for batch in evidence.read_history(run_ids, sorted({key for _, key in row_of})):
        codes = [whole(batch.column(name)).dictionary_encode() for name in ("run_id", "key")]
        names = [code.dictionary.to_pylist() for code in codes]
        run, key = (pc.fill_null(code.indices, 0).to_numpy(zero_copy_only=False) for code in codes)
        steps, times = (
            batch.column(name).fill_null(0).to_numpy(zero_copy_only=False) for name in ("step", "timestamp")
        )
        values = real(batch.column("value").fill_null(np.nan).to_numpy(zero_copy_only=False))
        begins = np.flatnonzero((run[1:] != run[:-1]) | (key[1:] != key[:-1])) + 1
        for begin, end in pairwise([0, *begins.tolist(), len(run)]):
            row = row_of.get((names[0][run[begin]], names[1][key[begin]])) if begin < end else None
            if row is not None:
                # Copies, or the whole batch would stay in memory.
                pieces[row].append((steps[begin:end].copy(), times[begin:end].copy(), values[begin:end].copy()))
    return {row: _curve(*map(np.concatenate, zip(*parts, strict=True))) for row, parts in pieces.items() if parts}


def _curve(steps: Integers, times: Integers, values: Numbers) -> Curve:
    """The points of one history that the summarised one has, too."""
    kept = last_of_equal(steps, times) & np.isfinite(values)
    return Curve(steps[kept], values[kept])
