"""One run of a configuration that is far worse than its repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings.finding import Finding, Number, Rule, count, number, parts
from qualia_lab.analysis.findings.naming import configuration_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.groups import Group
    from qualia_lab.study.study import Task

_FEWEST = 3  # repeats of a configuration


@dataclass(frozen=True)
class Thresholds:
    """alpha: of the corrected p.  ranges: how far off, in ranges of the other repeats of its configuration."""

    alpha: float = 0.01
    ranges: float = 4.0


@dataclass(frozen=True)
class _Collapsed:
    """One run, its value, and the mean and ends of its repeats."""

    group: Group
    run_id: str
    value: float
    others: float
    low: float
    high: float


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """Of each task at most one finding: the runs that are outliers among their repeats, on the worse side.

    By the externally studentised residual (Cook and Weisberg 1982), with the spread of all repeats without the run, for
    as many runs as there are (Bonferroni); and by the range of its own repeats, since spreads may differ.
    """
    found = []
    for task in evidence.study.tasks:
        groups = [one for one in evidence.groups.get(task.experiment_id, ()) if len(one.values) > 1]
        collapsed = _collapsed(groups, thresholds)
        found += [_finding(evidence, task, collapsed)] if collapsed else []
    return found


def _collapsed(groups: Sequence[Group], thresholds: Thresholds) -> list[_Collapsed]:
    from scipy.special import stdtr

    squares = [float(((np.asarray(one.values) - np.mean(one.values)) ** 2).sum()) for one in groups]
    runs, total = sum(len(one.values) for one in groups), sum(squares)
    found = []
    for group, square in zip(groups, squares, strict=True):
        n, sign = len(group.values), 1.0 if group.greater_is_better else -1.0
        if n < _FEWEST or group.greater_is_better is None:
            continue
        worst = min(range(n), key=lambda place: sign * group.values[place])
        others = np.delete(np.asarray(group.values), worst)
        degrees = runs - len(groups) - 1
        left = total - square + float(((others - others.mean()) ** 2).sum())
        away = sign * (others.mean() - group.values[worst])
        if away <= thresholds.ranges * np.ptp(others) or degrees < 1 or not away > 1e-9 * abs(others).max():
            continue
        error = np.sqrt(max(left / degrees, 1e-30) * (1 + 1 / (n - 1)))
        if stdtr(degrees, -away / error) * runs < thresholds.alpha:
            ends = float(others.min()), float(others.max())
            found.append(_Collapsed(group, group.scored[worst], group.values[worst], float(others.mean()), *ends))
    return found


def _finding(evidence: Evidence, task: Task, collapsed: list[_Collapsed]) -> Finding:
    names = configuration_names(evidence.study, [one.group for one in collapsed])
    key = collapsed[0].group.metric
    clauses, numbers = [], []
    for one in collapsed:
        repeats = len(one.group.values) - 1
        clauses.append(
            f"{evidence.name(one.run_id)} ({names[one.group.run_ids[0]]}) has {number(one.value)}, its other {repeats:,} "
            f"repeats have {number(one.low)} to {number(one.high)}"
        )
        numbers += [
            Number(key, one.value, one.run_id),
            Number("repeats", repeats),
            Number("lowest", one.low),
            Number("highest", one.high),
        ]
    return Finding(
        "seed_collapse",
        "problem",
        "warning",
        f"{evidence.where(task)}{count(len(collapsed), 'seed')} collapsed in {key}: {parts(clauses)}.",
        tuple(one.run_id for one in collapsed),
        (key,),
        numbers=tuple(numbers),
        section="groups",
        code="runs.groups()",
        next="Look at its curve and log before you average it in; report how often it happens, and the median beside the "
        "mean.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "seed_collapse",
    "a run is worse than its repeats by more than four times their range, beyond the spread of all repeats",
    "Cook and Weisberg 1982; Bonferroni",
    Thresholds(),
    find,
)
