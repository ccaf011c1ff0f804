"""Trainings that diverge: losses that stop being numbers, grow far above their start, or are off from the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.courses import courses_of, lead_courses, row_of, signs
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, number, parts
from qualia_lab.analysis.findings.per_task import runs_by_task, some_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from qualia_lab.analysis.findings.courses import Courses
    from qualia_lab.analysis.findings.evidence import Evidence, History
    from qualia_lab.study.study import Task

    Mask = npt.NDArray[np.bool_]
    Whole = npt.NDArray[np.int64]

_FEWEST_OTHERS = 3  # histories whose start says where this loss begins
_MOST_OFF = 1 / 3  # of the histories: more of them are another scale, and not off


@dataclass(frozen=True)
class Thresholds:
    """growth: times the level at its start that a loss has to end above.  fewest_points: of a history looked at."""

    growth: float = 10.0
    fewest_points: int = 3


def diverged_runs(evidence: Evidence) -> frozenset[str]:
    """The runs whose training diverged."""
    rows = np.flatnonzero(_known_diverges(evidence, Thresholds()))
    return frozenset(evidence.run_ids[run] for run in evidence.series.run[rows].tolist())


def bad_histories(evidence: Evidence) -> list[tuple[str, History, bool]]:
    """Every history that went bad: its metric, its facts, and whether it diverges; by run, the earliest first."""
    series = evidence.series
    diverges = _known_diverges(evidence, Thresholds())
    bad = (series.nan + series.infinite > 0) | diverges
    found: list[tuple[str, History, bool]] = []
    for place, key in enumerate(evidence.keys):
        rows = np.flatnonzero(bad & (series.key == place))
        rows = rows[np.argsort(series.run[rows], kind="stable")]
        found += zip([key] * len(rows), evidence.histories(key, bad), diverges[rows].tolist(), strict=True)

    # What is logged once, at the end, has step 0 and is not what went bad first.
    def order(of: tuple[str, History, bool]) -> tuple[int, bool, int, str]:
        key, one, is_so = of
        return evidence.places[one.run_id], one.points == 1, first_bad_step(one, diverges=is_so), key

    return sorted(found, key=order)


def first_bad_step(one: History, *, diverges: bool) -> int:
    """The step at which a history went bad."""
    steps = [one.odd_step] if one.nan + one.infinite else []
    since = one.bad_step if one.bad_points else one.begin_step
    return min([*steps, since] if diverges else steps)


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, each run by the loss in which it began.

    A loss diverges that ends not finite; that ends, for more than one point, above `growth` times the larger of its
    level at the start (the median of its first tenth) and its lowest value; or that never comes nearer than that to
    where the same loss of other runs begins. Parts of a loss rise in a healthy training: of them only values that are
    not finite count. A loss that grows while the objective, or the same loss on other data, improves is none.
    """
    series = evidence.series
    diverges = _known_diverges(evidence, thresholds)
    first: dict[str, tuple[tuple[int, str], History]] = {}
    for place in np.unique(series.key[diverges]).tolist():
        key = evidence.keys[place]
        for one in evidence.histories(key, diverges):
            rank = (first_bad_step(one, diverges=True), key)
            if one.run_id not in first or rank < first[one.run_id][0]:
                first[one.run_id] = (rank, one)
    return [
        _finding(evidence, task, [(first[run_id][0][1], first[run_id][1]) for run_id in run_ids])
        for task, run_ids in runs_by_task(evidence, first)
    ]


def _known_diverges(evidence: Evidence, limits: Thresholds) -> Mask:
    return evidence.once(("diverged", limits), lambda: _diverges(evidence, limits))


def _diverges(evidence: Evidence, thresholds: Thresholds) -> Mask:
    """Of every row of `evidence.series` whether it is a loss that diverges."""
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
    far = grows | _is_off(evidence, whole & long, thresholds.growth)
    diverges: Mask = long & ((stops & (whole | part)) | (whole & far & ~_others_improve(evidence, whole & far)))
    return diverges


def _stops_being_finite(evidence: Evidence, losses: Mask) -> Mask:
    """Whether a history ends with values that are not finite, and is not one that never was where others are."""
    series = evidence.series
    ends_odd = np.isnan(series.last) | (series.last_step < series.end_step)
    never = np.isnan(series.first)
    fine = np.zeros(len(evidence.run_ids), np.bool_)
    fine[series.run[losses & ~ends_odd]] = True
    return ends_odd & (series.bad_points > 0) & ~(never & fine[series.run])


@np.errstate(all="ignore")
def _usually_grows(evidence: Evidence, grows: Mask, growth: float) -> Mask:
    """Of the histories that grow whether most of the same loss in the task do, and not a hundred times as far."""
    series = evidence.series
    found = np.zeros(len(series.run), np.bool_)
    for same in _alike(evidence, np.flatnonzero(np.isin(series.key, np.unique(series.key[grows])))):
        if len(same) >= _FEWEST_OTHERS and grows[same].mean() > 1 - _MOST_OFF:
            start = np.abs(series.start[same])
            found[same] = series.tail[same] < series.start[same] + 100 * growth * start
    return found


def _alike(evidence: Evidence, rows: Whole) -> list[Whole]:
    """These rows of `evidence.series` by task and metric."""
    if not len(rows):
        return []
    series = evidence.series
    tasks = evidence.task_places[series.run[rows]]
    rows = rows[np.lexsort((series.key[rows], tasks))]
    tasks = np.sort(tasks)
    begins = np.flatnonzero((np.diff(tasks) != 0) | (np.diff(series.key[rows]) != 0)) + 1
    return np.split(rows, begins)


@np.errstate(all="ignore")
def _is_off(evidence: Evidence, losses: Mask, growth: float) -> Mask:
    """Whether a loss never was near where those of the other runs of its task begin, and does not come nearer."""
    series = evidence.series
    found = np.zeros(len(series.run), np.bool_)
    for same in _alike(evidence, np.flatnonzero(losses & np.isfinite(series.start))):
        if len(same) <= _FEWEST_OTHERS:
            continue
        starts = series.start[same]
        usual = np.median(starts)
        spread = np.median(np.abs(starts - usual))
        bound = usual + np.maximum((growth - 1) * np.abs(usual), growth * spread)
        off = (series.low[same] > bound) & (series.tail[same] > starts / 2) & (usual != 0)
        if off.mean() <= _MOST_OFF:
            found[same] = off
    return found


def _others_improve(evidence: Evidence, asked: Mask) -> Mask:
    """Of these rows whether the objective of the run, or the same metric on other data, went on improving."""
    series = evidence.series
    improving = np.zeros(len(evidence.run_ids), np.bool_)
    lead = lead_courses(evidence)
    good = _improves(lead) & ~asked[lead.rows] & (series.last_step[lead.rows] >= series.end_step[lead.rows])
    improving[series.run[lead.rows[good]]] = True
    found = asked & improving[series.run]
    for place in np.unique(series.key[asked]).tolist():
        twin = evidence.study.metric[evidence.keys[place]].twin
        if twin not in evidence.keys:
            continue
        there = row_of(evidence, twin)
        mine = np.flatnonzero(asked & (series.key == place))
        mine = mine[there[series.run[mine]] >= 0]
        twins = courses_of(evidence, there[series.run[mine]])
        runs = series.run[twins.rows[_improves(twins)]]
        found[mine] |= np.isin(series.run[mine], runs)
    return found


def _improves(courses: Courses) -> Mask:
    """Whether a curve learned and ends near its best level."""
    return np.asarray(courses.learned & (courses.lost <= 0.25 * courses.gain + 3 * courses.noise))


def _finding(evidence: Evidence, task: Task, found: list[tuple[str, History]]) -> Finding:
    since = [first_bad_step(one, diverges=True) for _, one in found]
    numbers = []
    for (_, one), step in zip(found[:NAMED], since, strict=False):
        numbers.append(Number("first bad step", step, one.run_id))
        if one.nan + one.infinite:
            numbers.append(Number("first step not finite", one.odd_step, one.run_id))
        else:
            numbers += [Number("start", one.start, one.run_id), Number("end", one.tail, one.run_id)]
    first, one = found[0]
    known = len(found) == 1 and since[0] > one.begin_step
    before = f", from a checkpoint before step {since[0]:,}" if known else ""
    return Finding(
        "diverged",
        "problem",
        "problem",
        f"{evidence.where(task)}{some_of(len(found), task)} {'diverges' if len(found) == 1 else 'diverge'}: "
        f"{parts([_clause(evidence, key, one) for key, one in found])}.",
        tuple(one.run_id for _, one in found),
        tuple(dict.fromkeys(key for key, _ in found)),
        tuple(since),
        tuple(numbers),
        "curves",
        code.history_summary(evidence, first, [one.run_id for key, one in found if key == first][:NAMED]),
        next=f"Try a lower learning rate, a longer warm-up or clipped gradients{before}; no mean and no winner counts "
        "these runs.",
        experiment=evidence.experiment(task),
    )


def _clause(evidence: Evidence, key: str, one: History) -> str:
    """What happened to one run."""
    since = first_bad_step(one, diverges=True)
    if one.nan + one.infinite:
        far = "" if since == one.odd_step else f"far above its start from step {since:,} on and "
        how = f"{far}not finite from step {one.odd_step:,} on"
    elif one.bad_points:
        how = f"from {number(one.start)} to {number(one.tail)}, far above its start from step {since:,} on"
    else:
        how = f"{number(one.start)} from its first point on, far above where the other runs begin"
    return f"{evidence.name(one.run_id)}, {key} {how}"


RULE = Rule(
    "diverged",
    "a loss ends not finite or far above its start, or is far above where other runs begin from its first point on",
    "",
    Thresholds(),
    find,
)
