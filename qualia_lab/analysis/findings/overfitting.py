"""Held-out metrics that turn while those of training go on improving."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, count, number

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.findings.pairs import Curves

_MOST_IN_TREND = 500  # values: every pair of them is compared


@dataclass(frozen=True)
class Thresholds:
    """margin: share of the held-out gain lost at the end.  alpha: of each trend.  fewest_points: after the turn."""

    margin: float = 0.1
    alpha: float = 0.01
    fewest_points: int = 6


@dataclass(frozen=True)
class Turn:
    """Where a run's held-out metric was best, and what both metrics were then and at the end."""

    curves: Curves
    step: int
    held_out_then: float
    held_out_last: float
    training_then: float
    training_last: float
    gap: float


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per pair of metrics, each run under the pair in which it lost most.

    The turn is the held-out metric's best point. After it the held-out metric has to get worse and that of training
    better, each by Mann-Kendall's test for a trend (Mann 1945, Econometrica 13; Kendall 1975): one-sided, `alpha` each.
    """
    widest: dict[str, Turn] = {}
    for curves in evidence.curves:
        turn = find_turn(curves, greater_is_better=bool(evidence.greater_is_better[curves.held_out]), limits=thresholds)
        if turn is not None and (curves.run_id not in widest or turn.gap > widest[curves.run_id].gap):
            widest[curves.run_id] = turn
    by_pair: dict[tuple[str, str], list[Turn]] = defaultdict(list)
    for turn in sorted(widest.values(), key=lambda turn: -turn.gap):
        by_pair[turn.curves.training, turn.curves.held_out].append(turn)
    return [_finding(evidence, turns) for turns in by_pair.values()]


@np.errstate(all="ignore")  # a store may hold values of which no computer has the double
def find_turn(curves: Curves, *, greater_is_better: bool, limits: Thresholds) -> Turn | None:
    """The turn of one run, or None where the two metrics do not part."""
    sign = -1.0 if greater_is_better else 1.0
    steps, held_out = curves.held_out_steps, sign * curves.held_out_values
    if not len(held_out) or not len(curves.training_values):
        return None
    best = int(held_out.argmin())
    after = curves.training_steps >= steps[best]
    before = np.flatnonzero(curves.training_steps <= steps[best])
    if len(held_out) - best - 1 < limits.fewest_points or not len(before) or after.sum() < limits.fewest_points:
        return None
    gain, lost = held_out[0] - held_out[best], held_out[-1] - held_out[best]
    if not lost > limits.margin * gain:
        return None
    then, last = float(curves.training_values[before[-1]]), float(curves.training_values[-1])
    rises = _trend(held_out[best:]) < limits.alpha
    falls = sign * last < sign * then and _trend(-sign * curves.training_values[after]) < (limits.alpha)
    if not (rises and falls):
        return None
    turned = float(curves.held_out_values[best])
    gap = lost / gain if gain else float("inf")
    return Turn(curves, int(steps[best]), turned, float(curves.held_out_values[-1]), then, last, float(gap))


def _trend(values: np.ndarray) -> float:
    """The one-sided p of Mann-Kendall's test: how often chance alone rises so steadily.

    S counts the pairs that rise less those that fall; it is near normal, with a variance that ties make smaller, and
    is corrected for continuity (Kendall 1975, Rank Correlation Methods, 4.8). Of many values an even choice is taken.
    """
    if len(values) > _MOST_IN_TREND:
        values = values[np.linspace(0, len(values) - 1, _MOST_IN_TREND).astype(np.int64)]
    n = len(values)
    rises = float(np.triu(np.sign(values[None, :] - values[:, None]), 1).sum())
    _, ties = np.unique(values, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    if variance <= 0:
        return 1.0
    return 1 - NormalDist().cdf((rises - np.sign(rises)) / math.sqrt(variance))


def _finding(evidence: Evidence, turns: list[Turn]) -> Finding:
    training, held_out = turns[0].curves.training, turns[0].curves.held_out
    clauses, numbers = [], []
    for turn in turns[:2]:
        run_id = turn.curves.run_id
        clauses.append(
            f"{evidence.name(run_id)} from step {turn.step:,} on ({held_out} {number(turn.held_out_then)} → "
            f"{number(turn.held_out_last)}, {training} {number(turn.training_then)} → {number(turn.training_last)})"
        )
        numbers += [
            Number("step of the turn", turn.step, run_id),
            Number("held-out then", turn.held_out_then, run_id),
            Number("held-out last", turn.held_out_last, run_id),
            Number("training then", turn.training_then, run_id),
            Number("training last", turn.training_last, run_id),
        ]
    if len(turns) > 2:
        more = ", ".join(f"{evidence.name(turn.curves.run_id)} from step {turn.step:,}" for turn in turns[2:NAMED])
        left = f" and {len(turns) - NAMED:,} more" if len(turns) > NAMED else ""
        clauses.append(more + left)
        numbers += [Number("step of the turn", turn.step, turn.curves.run_id) for turn in turns[2:NAMED]]
    run_ids = tuple(turn.curves.run_id for turn in turns)
    least = "" if evidence.all_curves else "at least "
    named = code.run_ids(evidence, run_ids[:NAMED])
    keys = f"[{code.metric(evidence, training)}, {code.metric(evidence, held_out)}]"
    return Finding(
        "overfitting",
        "warning",
        f"{held_out} gets worse while {training} goes on improving in {least}{count(len(turns), 'run')} of "
        f"{len(evidence.run_ids):,}: {'; '.join(clauses)}.",
        run_ids,
        (training, held_out),
        tuple(turn.step for turn in turns),
        tuple(numbers),
        "curves",
        f'runs.history({keys}).set_index(["run_id", "key", "step"])["value"].loc[{named}]',
    )


RULE = Rule(
    "overfitting",
    "a held-out metric turns, and gets worse while the same metric of training goes on improving",
    "Mann 1945; Kendall 1975",
    Thresholds(),
    find,
)
