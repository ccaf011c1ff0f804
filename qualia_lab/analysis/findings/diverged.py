"""Trainings that diverge: losses that become non-finite, grow far above their start, or are far off from the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.block_curves import block_curves, lead_block_curves, rows_by_run, signs
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses, number
from qualia_lab.analysis.findings.per_task import count_text, runs_by_task

if TYPE_CHECKING:
    import numpy.typing as npt

    from qualia_lab.analysis.findings.block_curves import BlockCurves
    from qualia_lab.analysis.findings.evidence import Evidence, History
    from qualia_lab.study.study import Task

    Mask = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

_FEWEST_OTHERS = 3  # histories needed to tell where this loss usually begins
_MOST_OFF = 1 / 3  # share of the histories; if more are far off, the scale differs and none is an outlier


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        growth: Factor by which a loss has to end above the level at its start.
        fewest_points: Minimum number of points of a history.
    """

    growth: float = 10.0
    fewest_points: int = 3


def diverged_runs(evidence: Evidence) -> frozenset[str]:
    """The runs whose training diverged."""
    rows = np.flatnonzero(_cached_diverges(evidence, Thresholds()))
    return frozenset(evidence.run_ids[run] for run in evidence.series.run[rows].tolist())


def bad_histories(evidence: Evidence) -> list[tuple[str, History, bool]]:
    """Every history with non-finite values or divergence, sorted by run, then by the step at which it went bad.

    Args:
        evidence: The histories to check.

    Returns:
        For each history: its metric, its facts, and whether it diverges.
    """
    series = evidence.series
    diverges = _cached_diverges(evidence, Thresholds())
    bad = (series.nan + series.infinite > 0) | diverges
    histories: list[tuple[str, History, bool]] = []
    for position, key in enumerate(evidence.keys):
        rows = np.flatnonzero(bad & (series.key == position))
        rows = rows[np.argsort(series.run[rows], kind="stable")]
        histories += zip([key] * len(rows), evidence.histories(key, bad), diverges[rows].tolist(), strict=True)

    # A metric logged once, at the end, has step 0 and did not go bad first.
    def order(item: tuple[str, History, bool]) -> tuple[int, bool, int, str]:
        key, history, diverges = item
        return evidence.positions[history.run_id], history.points == 1, first_bad_step(history, diverges=diverges), key

    return sorted(histories, key=order)


def first_bad_step(history: History, *, diverges: bool) -> int:
    """The step at which a history went bad.

    Args:
        history: A history with non-finite values, or one that diverges.
        diverges: Whether it diverges.

    Returns:
        The first step with a non-finite or diverging value.
    """
    steps = [history.odd_step] if history.nan + history.infinite else []
    diverging_step = history.bad_step if history.bad_points else history.begin_step
    return min([*steps, diverging_step] if diverges else steps)


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, listing each run under the loss that went bad first.

    A loss diverges if it ends non-finite; if it ends, for more than one point, above `growth` times the larger of its
    level at the start (the median of its first tenth) and its lowest value; or if it never comes nearer than that to
    where the same loss of other runs begins. Components of a loss may rise in a healthy training, so that only their
    non-finite values count. A loss does not diverge if it grows while the objective, or the same loss on other data,
    improves.
    """
    series = evidence.series
    diverges = _cached_diverges(evidence, thresholds)
    first: dict[str, tuple[tuple[int, str], History]] = {}
    for position in np.unique(series.key[diverges]).tolist():
        key = evidence.keys[position]
        for history in evidence.histories(key, diverges):
            rank = (first_bad_step(history, diverges=True), key)
            if history.run_id not in first or rank < first[history.run_id][0]:
                first[history.run_id] = (rank, history)
    return [
        _finding(evidence, task, [(first[run_id][0][1], first[run_id][1]) for run_id in run_ids])
        for task, run_ids in runs_by_task(evidence, first)
    ]


def _cached_diverges(evidence: Evidence, limits: Thresholds) -> Mask:
    return evidence.cached(("diverged", limits), lambda: _diverges(evidence, limits))


def _diverges(evidence: Evidence, thresholds: Thresholds) -> Mask:
    """For every row of `evidence.series`, whether it is a loss that diverges."""
    series, study = evidence.series, evidence.study
    if not len(series.run):
        return np.zeros(0, np.bool_)
    roles = [study.metric[key].role for key in evidence.keys]
    lower = signs(evidence) > 0
    whole = np.array([role in ("objective", "training") for role in roles], np.bool_)[series.key] & lower[series.key]
    part = np.array([role == "part" for role in roles], np.bool_)[series.key]
    long = series.points >= thresholds.fewest_points
    stops = _stops_being_finite(evidence, whole | part)
    grows = whole & long & (series.bad_points > 1) & ~stops & (series.last_step >= series.end_step)
    grows &= ~_usually_grows(evidence, grows, thresholds.growth)
    far = grows | _is_far_off(evidence, whole & long, thresholds.growth)
    diverges: Mask = long & ((stops & (whole | part)) | (whole & far & ~_other_metrics_improve(evidence, whole & far)))
    return diverges


def _stops_being_finite(evidence: Evidence, losses: Mask) -> Mask:
    """Whether a history ends non-finite, without those that never were finite in a run with another finite loss."""
    series = evidence.series
    ends_odd = np.isnan(series.last) | (series.last_step < series.end_step)
    never = np.isnan(series.first)
    fine = np.zeros(len(evidence.run_ids), np.bool_)
    fine[series.run[losses & ~ends_odd]] = True
    return ends_odd & (series.bad_points > 0) & ~(never & fine[series.run])


@np.errstate(all="ignore")
def _usually_grows(evidence: Evidence, grows: Mask, growth: float) -> Mask:
    """For growing histories, whether this loss grows in most runs of the task, and less than a hundred times as far."""
    series = evidence.series
    usual = np.zeros(len(series.run), np.bool_)
    for rows in _rows_by_task_and_metric(evidence, np.flatnonzero(np.isin(series.key, np.unique(series.key[grows])))):
        if len(rows) >= _FEWEST_OTHERS and grows[rows].mean() > 1 - _MOST_OFF:
            start = np.abs(series.start[rows])
            usual[rows] = series.tail[rows] < series.start[rows] + 100 * growth * start
    return usual


def _rows_by_task_and_metric(evidence: Evidence, rows: Integers) -> list[Integers]:
    """These rows of `evidence.series`, grouped by task and metric."""
    if not len(rows):
        return []
    series = evidence.series
    tasks = evidence.task_positions[series.run[rows]]
    rows = rows[np.lexsort((series.key[rows], tasks))]
    tasks = np.sort(tasks)
    begins = np.flatnonzero((np.diff(tasks) != 0) | (np.diff(series.key[rows]) != 0)) + 1
    return np.split(rows, begins)


@np.errstate(all="ignore")
def _is_far_off(evidence: Evidence, losses: Mask, growth: float) -> Mask:
    """Whether a loss starts far above where the other runs of its task start, and does not come nearer."""
    series = evidence.series
    far_off = np.zeros(len(series.run), np.bool_)
    for rows in _rows_by_task_and_metric(evidence, np.flatnonzero(losses & np.isfinite(series.start))):
        if len(rows) <= _FEWEST_OTHERS:
            continue
        starts = series.start[rows]
        usual_start = np.median(starts)
        spread = np.median(np.abs(starts - usual_start))
        bound = usual_start + np.maximum((growth - 1) * np.abs(usual_start), growth * spread)
        is_off = (series.low[rows] > bound) & (series.tail[rows] > starts / 2) & (usual_start != 0)
        if is_off.mean() <= _MOST_OFF:
            far_off[rows] = is_off
    return far_off


def _other_metrics_improve(evidence: Evidence, candidates: Mask) -> Mask:
    """For these rows, whether the objective of the run, or the same metric on other data, kept improving."""
    series = evidence.series
    improving = np.zeros(len(evidence.run_ids), np.bool_)
    lead = lead_block_curves(evidence)
    good = _improves(lead) & ~candidates[lead.rows] & (series.last_step[lead.rows] >= series.end_step[lead.rows])
    improving[series.run[lead.rows[good]]] = True
    excused = candidates & improving[series.run]
    for position in np.unique(series.key[candidates]).tolist():
        twin = evidence.study.metric[evidence.keys[position]].twin
        if twin not in evidence.keys:
            continue
        twin_rows = rows_by_run(evidence, twin)
        rows = np.flatnonzero(candidates & (series.key == position))
        rows = rows[twin_rows[series.run[rows]] >= 0]
        twins = block_curves(evidence, twin_rows[series.run[rows]])
        runs = series.run[twins.rows[_improves(twins)]]
        excused[rows] |= np.isin(series.run[rows], runs)
    return excused


def _improves(curves: BlockCurves) -> Mask:
    """Whether a curve learned and ends near its best level."""
    return np.asarray(curves.learned & (curves.lost <= 0.25 * curves.gain + 3 * curves.noise))


def _finding(evidence: Evidence, task: Task, histories: list[tuple[str, History]]) -> Finding:
    since = [first_bad_step(history, diverges=True) for _, history in histories]
    numbers = []
    for (_, history), step in zip(histories[:MOST_NAMED], since, strict=False):
        numbers.append(Number("first bad step", step, history.run_id))
        if history.nan + history.infinite:
            numbers.append(Number("first step not finite", history.odd_step, history.run_id))
        else:
            numbers += [Number("start", history.start, history.run_id), Number("end", history.tail, history.run_id)]
    first, history = histories[0]
    started_well = len(histories) == 1 and since[0] > history.begin_step
    before = f", from a checkpoint before step {since[0]:,}" if started_well else ""
    return Finding(
        "diverged",
        "problem",
        "problem",
        f"{evidence.prefix(task)}{count_text(len(histories), task)} "
        f"{'diverges' if len(histories) == 1 else 'diverge'}: "
        f"{joined_clauses([_clause(evidence, key, history) for key, history in histories])}.",
        tuple(history.run_id for _, history in histories),
        tuple(dict.fromkeys(key for key, _ in histories)),
        tuple(since),
        tuple(numbers),
        "curves",
        expressions.history_summary(
            evidence, first, [history.run_id for key, history in histories if key == first][:MOST_NAMED]
        ),
        next=f"Try a lower learning rate, a longer warm-up or clipped gradients{before}; these runs are "
        "excluded from means and comparisons.",
        experiment=evidence.experiment(task),
    )


def _clause(evidence: Evidence, key: str, history: History) -> str:
    """What happened in one run."""
    since = first_bad_step(history, diverges=True)
    if history.nan + history.infinite:
        far = "" if since == history.odd_step else f"far above its start from step {since:,} on and "
        how = f"{far}not finite from step {history.odd_step:,} on"
    elif history.bad_points:
        levels = f"from about {number(history.start)} to about {number(history.tail)}"
        how = f"{levels}, far above its start from step {since:,} on"
    else:
        how = f"{number(history.start)} from its first point on, far above where the other runs begin"
    return f"{evidence.name(history.run_id)}, {key} {how}"


RULE = Rule(
    "diverged",
    "a loss ends non-finite or far above its start, or is far above the start of other runs from its first point on",
    "",
    Thresholds(),
    find,
)
