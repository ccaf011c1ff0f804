"""Metrics of training next to the same of held-out data, and the runs in which the two part."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.histories import real

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from qualia_lab.analysis.findings.evidence import Evidence

    Numbers = npt.NDArray[np.float64]

Candidate = tuple[str, str, str]  # run id, metric of training, held-out metric

MOST_POINTS = 5_000_000  # that are held at once, 16 bytes each

_TRAINING = re.compile(r"(?i)(?<![a-z])(train|training)(?![a-z])")
# In the order in which they are preferred.
_HELD_OUT = (
    re.compile(r"(?i)(?<![a-z])(val|valid|validation|dev|eval)(?![a-z])"),
    re.compile(r"(?i)(?<![a-z])(test|holdout)(?![a-z])"),
)


@dataclass(frozen=True)
class Curves:
    """Finite points of one metric of training and of the held-out one, of one run."""

    run_id: str
    training: str
    held_out: str
    training_steps: Numbers
    training_values: Numbers
    held_out_steps: Numbers
    held_out_values: Numbers


def metric_pairs(keys: Sequence[str]) -> list[tuple[str, str]]:
    """(of training, of held-out data) for metrics whose names differ in that alone: train_loss and val_loss.

    A name without a word for training counts as one of training where its held-out one exists: loss and val_loss.
    Of several held-out ones validation is taken before test.
    """
    training: dict[str, str] = {}
    for key in sorted(keys, key=lambda key: (_TRAINING.search(key) is not None, key)):
        if not any(word.search(key) for word in _HELD_OUT):
            training[_stem(_TRAINING.sub("", key))] = key
    pairs: dict[str, tuple[str, str]] = {}
    for word in _HELD_OUT:
        for key in sorted(keys):
            stem = _stem(word.sub("", key))
            if word.search(key) and stem in training and stem not in pairs:
                pairs[stem] = (training[stem], key)
    return sorted(pairs.values())


def _stem(key: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", key.lower()).strip()


def parted_candidates(evidence: Evidence, *, margin: float, most_points: int = MOST_POINTS) -> list[Candidate]:
    """(run id, training, held-out) where the held-out metric ends worse than its best by a share of its gain.

    The widest gaps first, as many as have so many points together: only their histories are worth a second look.
    """
    found = []
    for training, held_out in metric_pairs(evidence.keys):
        better = evidence.greater_is_better[held_out]
        if better is None or better is not evidence.greater_is_better[training]:
            continue
        of_training = {one.run_id: one.points for one in evidence.histories(training) if one.points > 1}
        for one in evidence.histories(held_out):
            gap, gain = one.lost, one.gain
            if one.run_id in of_training and one.best_step < one.last_step and gap > max(margin * gain, 3 * one.noise):
                points = one.points + of_training[one.run_id]
                found.append((gap / gain if gain else np.inf, points, (one.run_id, training, held_out)))
    found.sort(key=lambda row: -row[0])
    totals = accumulate(points for _, points, _ in found)
    return [candidate for (*_, candidate), total in zip(found, totals, strict=True) if total <= most_points]


def curves_of(batches: Iterable[pa.RecordBatch], candidates: Sequence[Candidate]) -> tuple[Curves, ...]:
    """The curves of these candidates, out of histories that hold them and may hold more."""
    import pyarrow.compute as pc

    wanted = {(run_id, key) for run_id, *keys in candidates for key in keys}
    points: dict[tuple[str, str], list[tuple[Numbers, Numbers]]] = {pair: [] for pair in wanted}
    for batch in batches:
        for key in pc.unique(batch.column("key")).to_pylist():
            of_key = batch.filter(pc.equal(batch.column("key"), key))
            runs = of_key.column("run_id").to_numpy(zero_copy_only=False)
            begins = [0, *(np.flatnonzero(runs[1:] != runs[:-1]) + 1).tolist(), len(runs)]
            steps = of_key.column("step").fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
            values = real(of_key.column("value").fill_null(np.nan).to_numpy(zero_copy_only=False))
            for begin, end in pairwise(begins):
                if begin < end and (runs[begin], key) in wanted:
                    points[runs[begin], key].append((steps[begin:end], values[begin:end]))
    curves = []
    for run_id, training, held_out in candidates:
        columns = []
        for key in (training, held_out):
            steps, values = (np.concatenate([np.zeros(0), *column]) for column in _columns(points[run_id, key]))
            finite = np.isfinite(values)
            columns += [steps[finite], values[finite]]
        curves.append(Curves(run_id, training, held_out, *columns))
    return tuple(curves)


def _columns(pieces: list[tuple[Numbers, Numbers]]) -> tuple[list[Numbers], list[Numbers]]:
    return [steps for steps, _ in pieces], [values for _, values in pieces]
