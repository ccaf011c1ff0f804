"""Held-out metrics that get worse while the same metrics on training data keep improving."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.block_curves import block_curves, rows_by_run
from qualia_lab.analysis.findings.collapse import collapsed_runs
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses, number
from qualia_lab.analysis.findings.metric_pairs import metric_pairs
from qualia_lab.analysis.findings.per_task import count_text, runs_by_task
from qualia_lab.analysis.findings.point_facts import MAD_TO_SD
from qualia_lab.analysis.trends import FEWEST_IN_TREND, trend_p

if TYPE_CHECKING:
    import numpy.typing as npt

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.findings.full_curves import Curve
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        margin: Minimum share of the held-out gain that is lost at the end.
        noises: The same loss in standard deviations of the noise of a block mean.
        alpha: Significance level of the held-out trend.
        fewest_points: Minimum number of points of each history after the turning point.
    """

    margin: float = 0.1
    noises: float = 4.0
    alpha: float = 0.02
    fewest_points: int = FEWEST_IN_TREND


@dataclass(frozen=True)
class _Turn:
    """The turning point of a held-out metric: both metrics then and at the end, and the lost share of its gain."""

    run_id: str
    training: str
    held_out: str
    step: int
    held_out_best: float
    held_out_end: float
    training_then: float
    training_end: float
    share: float


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, listing each run under the pair of metrics in which it lost most.

    The turning point is the best point of the held-out metric. After it that metric has to get worse more steadily than
    random walks do after theirs (`trends.trend_p`), while the training metric ends better, and near its best.
    """
    turns = _cached_turns(evidence, thresholds)
    return [
        _finding(evidence, task, [turns[run_id] for run_id in run_ids])
        for task, run_ids in runs_by_task(evidence, turns)
    ]


def overfitted_runs(evidence: Evidence) -> frozenset[str]:
    """The runs that overfit, by the default thresholds."""
    return frozenset(_cached_turns(evidence, Thresholds()))


def _cached_turns(evidence: Evidence, limits: Thresholds) -> dict[str, _Turn]:
    return evidence.cached(("overfitting", limits), lambda: _turns(evidence, limits))


@np.errstate(all="ignore")
def _turns(evidence: Evidence, limits: Thresholds) -> dict[str, _Turn]:
    """The turning point with the largest loss, by run id, without runs that diverged or collapsed."""
    series = evidence.series
    turns: dict[str, _Turn] = {}
    excluded = {*evidence.diverged, *collapsed_runs(evidence)}
    for training, held_out in metric_pairs(evidence.study, evidence.keys):
        of_training, of_held_out = rows_by_run(evidence, training), rows_by_run(evidence, held_out)
        held = block_curves(evidence, of_held_out[(of_training >= 0) & (of_held_out >= 0)])
        lost, gain = held.lost, held.gain
        shares = np.where(gain > 0, lost / gain, np.inf)
        candidates = np.flatnonzero((lost > limits.margin * gain) & (lost > limits.noises * held.noise))
        candidates = candidates[evidence.full_curves.among(held.rows[candidates])]
        rows = held.rows[candidates]
        columns = (column.tolist() for column in (series.run[rows], rows, of_training[series.run[rows]]))
        for run, row, training_row, share in zip(*columns, shares[candidates].tolist(), strict=True):
            run_id = evidence.run_ids[run]
            if run_id in excluded or (run_id in turns and share <= turns[run_id].share):
                continue
            curves = evidence.full_curves.curves.get(row), evidence.full_curves.curves.get(training_row)
            turn = _turn(evidence, (run_id, training, held_out), curves, share, limits)
            if turn is not None:
                turns[run_id] = turn
    return turns


def _turn(
    evidence: Evidence,
    of: tuple[str, str, str],
    curves: tuple[Curve | None, Curve | None],
    share: float,
    limits: Thresholds,
) -> _Turn | None:
    """The turning point of a run for a training and a held-out metric; None if the two do not separate."""
    held_out = of[2]
    held, trained = curves
    if held is None or trained is None or not len(held.values):
        return None
    sign = -1.0 if evidence.study.greater_is_better(held_out) else 1.0
    best = int((sign * held.values).argmin())
    if len(held.values) - best - 1 < limits.fewest_points:
        return None
    after = trained.steps >= held.steps[best]
    before = np.flatnonzero(trained.steps <= held.steps[best])
    if not len(before) or after.sum() <= limits.fewest_points:
        return None
    if not _improves(sign * trained.values[after]) or trend_p(sign * held.values[best:]) >= limits.alpha:
        return None
    then, last = float(trained.values[before[-1]]), float(trained.values[-1])
    ends = float(held.values[best]), float(held.values[-1])
    return _Turn(*of, int(held.steps[best]), *ends, then, last, share)


def _improves(cost: npt.NDArray[np.float64]) -> bool:
    """Whether a curve ends better than it began by four standard deviations of its noise, and near its best."""
    begin, end = median(cost[:3].tolist()), median(cost[-3:].tolist())
    if not begin > end:
        return False
    half = cost[len(cost) // 2 :]
    steps = half[1:] - half[:-1]
    noise = MAD_TO_SD * _median(np.abs(steps - _median(steps))) / np.sqrt(2)
    gained, missing = begin - end, end - float(cost.min())
    return bool(gained > 4 * noise and missing <= 0.25 * gained + 2 * noise)


def _median(values: npt.NDArray[np.float64]) -> float:
    """The median; for few values, ten times as fast as numpy's."""
    ordered = np.sort(values)
    return float(ordered[(len(ordered) - 1) // 2] / 2 + ordered[len(ordered) // 2] / 2)


def _finding(evidence: Evidence, task: Task, turns: list[_Turn]) -> Finding:
    turns = sorted(turns, key=lambda turn: -turn.share)
    numbers = [
        Number(what, value, turn.run_id)
        for turn in turns[:MOST_NAMED]
        for what, value in (
            ("step of the best", turn.step),
            ("held-out best", turn.held_out_best),
            ("held-out end", turn.held_out_end),
            ("training then", turn.training_then),
            ("training end", turn.training_end),
        )
    ]
    clauses = [
        f"{evidence.name(turn.run_id)} from step {turn.step:,} on ({turn.held_out} {number(turn.held_out_best)} → "
        f"{number(turn.held_out_end)}, {turn.training} {number(turn.training_then)} → {number(turn.training_end)})"
        for turn in turns
    ]
    keys = tuple(dict.fromkeys(key for turn in turns for key in (turn.training, turn.held_out)))
    run_ids = tuple(turn.run_id for turn in turns)
    named = ", ".join(expressions.metric(evidence, key) for key in keys)
    return Finding(
        "overfitting",
        "problem",
        "warning",
        f"{evidence.prefix(task)}{count_text(len(turns), task)} {'overfits' if len(turns) == 1 else 'overfit'}, "
        f"held-out data worse while training keeps improving: {joined_clauses(clauses)}.",
        run_ids,
        keys,
        tuple(turn.step for turn in turns),
        tuple(numbers),
        "curves",
        f'runs.history([{named}]).set_index(["run_id", "key", "step"])["value"]'
        f".loc[{expressions.run_ids(evidence, run_ids[:MOST_NAMED])}]",
        next="Keep the checkpoint of the best step, not the last one, or stop early; to gain more, regularise "
        "(weight decay, dropout, augmentation) or add data.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "overfitting",
    "a held-out metric turns and gets worse more steadily than a random walk, while the training metric improves",
    "Hamed and Rao 1998; simulated random walks",
    Thresholds(),
    find,
)
