"""Held-out metrics that get worse while those of training go on improving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.collapse import collapsed_runs
from qualia_lab.analysis.findings.courses import courses_of, row_of
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, number, parts
from qualia_lab.analysis.findings.pairs import metric_pairs
from qualia_lab.analysis.findings.per_task import runs_by_task, some_of
from qualia_lab.analysis.findings.point_facts import MAD_TO_SD
from qualia_lab.analysis.trends import FEWEST_IN_TREND, trend_p

if TYPE_CHECKING:
    import numpy.typing as npt

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """margin: share of the held-out gain that is lost at the end.  noises: the same in the noise of a level.

    alpha: of the held-out trend.  fewest_points: of each history after the turn.
    """

    margin: float = 0.1
    noises: float = 4.0
    alpha: float = 0.02
    fewest_points: int = FEWEST_IN_TREND


@dataclass(frozen=True)
class _Turn:
    """Where a held-out metric was best, what both metrics were then and at the end; share: of its gain that it lost."""

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
    """One finding per task, each run by the pair of metrics in which it lost most.

    The turn is the best point of the held-out metric. After it that metric has to get worse more steadily than a random
    walk does from its best point on (`trends.trend_p`), while the one of training ends better, and near its best.
    """
    turns = _known_turns(evidence, thresholds)
    return [
        _finding(evidence, task, [turns[run_id] for run_id in run_ids])
        for task, run_ids in runs_by_task(evidence, turns)
    ]


def overfitted_runs(evidence: Evidence) -> frozenset[str]:
    """The runs that overfit, by the thresholds as they are."""
    return frozenset(_known_turns(evidence, Thresholds()))


def _known_turns(evidence: Evidence, limits: Thresholds) -> dict[str, _Turn]:
    return evidence.once(("overfitting", limits), lambda: _turns(evidence, limits))


@np.errstate(all="ignore")
def _turns(evidence: Evidence, limits: Thresholds) -> dict[str, _Turn]:
    """By run the turn in which most was lost; runs that diverged or collapsed are told there."""
    series = evidence.series
    found: dict[str, _Turn] = {}
    told = {*evidence.diverged, *collapsed_runs(evidence)}
    for training, held_out in metric_pairs(evidence.study, evidence.keys):
        of_training, of_held_out = row_of(evidence, training), row_of(evidence, held_out)
        held = courses_of(evidence, of_held_out[(of_training >= 0) & (of_held_out >= 0)])
        lost, gain = held.lost, held.gain
        shares = np.where(gain > 0, lost / gain, np.inf)
        places = np.flatnonzero((lost > limits.margin * gain) & (lost > limits.noises * held.noise))
        for run, share in zip(series.run[held.rows[places]].tolist(), shares[places].tolist(), strict=True):
            run_id = evidence.run_ids[run]
            is_read = (run_id, held_out) in evidence.second_look.curves
            if not is_read or run_id in told or (run_id in found and share <= found[run_id].share):
                continue
            turn = _turn(evidence, (run_id, training, held_out), share, limits)
            if turn is not None:
                found[run_id] = turn
    return found


def _turn(evidence: Evidence, of: tuple[str, str, str], share: float, limits: Thresholds) -> _Turn | None:
    """The turn of a run, by a metric of training and one of held-out data; None where the two do not part."""
    run_id, training, held_out = of
    held, trained = (evidence.second_look.curves.get((run_id, key)) for key in (held_out, training))
    if held is None or trained is None or not len(held.values):
        return None
    sign = -1.0 if evidence.study.greater_is_better(held_out) else 1.0
    best = int((sign * held.values).argmin())
    after = trained.steps >= held.steps[best]
    before = np.flatnonzero(trained.steps <= held.steps[best])
    if not len(before) or len(held.values) - best - 1 < limits.fewest_points or after.sum() <= limits.fewest_points:
        return None
    if not _improves(sign * trained.values[after]) or trend_p(sign * held.values[best:]) >= limits.alpha:
        return None
    then, last = float(trained.values[before[-1]]), float(trained.values[-1])
    ends = float(held.values[best]), float(held.values[-1])
    return _Turn(*of, int(held.steps[best]), *ends, then, last, share)


def _improves(cost: npt.NDArray[np.float64]) -> bool:
    """Whether a curve ends better than it began, by four standard deviations of its noise, and near its best."""
    begin, end = _median(cost[:3]), _median(cost[-3:])
    half = cost[len(cost) // 2 :]
    steps = half[1:] - half[:-1]
    noise = MAD_TO_SD * _median(np.abs(steps - _median(steps))) / np.sqrt(2)
    gained, missing = begin - end, end - float(cost.min())
    return bool(gained > 4 * noise and missing <= 0.25 * gained + 2 * noise)


def _median(values: npt.NDArray[np.float64]) -> float:
    """As numpy's, which takes ten times as long for so few."""
    ordered = np.sort(values)
    return float(ordered[(len(ordered) - 1) // 2] / 2 + ordered[len(ordered) // 2] / 2)


def _finding(evidence: Evidence, task: Task, turns: list[_Turn]) -> Finding:
    turns = sorted(turns, key=lambda turn: -turn.share)
    numbers = [
        Number(what, value, turn.run_id)
        for turn in turns[:NAMED]
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
    named = ", ".join(code.metric(evidence, key) for key in keys)
    return Finding(
        "overfitting",
        "problem",
        "warning",
        f"{evidence.where(task)}{some_of(len(turns), task)} {'overfits' if len(turns) == 1 else 'overfit'}, held-out "
        f"data worse while training goes on improving: {parts(clauses)}.",
        run_ids,
        keys,
        tuple(turn.step for turn in turns),
        tuple(numbers),
        "curves",
        f'runs.history([{named}]).set_index(["run_id", "key", "step"])["value"]'
        f".loc[{code.run_ids(evidence, run_ids[:NAMED])}]",
        next="Keep the checkpoint of the best step, not the last one, or stop early; to gain more, regularise "
        "(weight decay, dropout, augmentation) or add data.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "overfitting",
    "a held-out metric turns and gets worse steadier than a random walk, while the same of training improves",
    "Hamed and Rao 1998; simulated random walks",
    Thresholds(),
    find,
)
