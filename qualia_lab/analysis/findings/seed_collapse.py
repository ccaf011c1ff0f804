"""One run of a configuration that is far worse than its repeats."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings.finding import Finding, Number, Rule, joined_clauses, number
from qualia_lab.analysis.findings.naming import configuration_names
from qualia_lab.analysis.moments import joined, pooled_deviation
from qualia_lab.analysis.spread_compare import collapsed_seeds
from qualia_lab.counts import counted
from qualia_lab.names import aside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.groups import Group
    from qualia_lab.study.study import Setting, Task

_FEWEST_DEGREES = 3  # degrees of freedom of a pooled standard deviation


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        ranges: Minimum distance in ranges of the other repeats of the configuration.
        deviations: Minimum distance in standard deviations of all repeats, without the collapsed ones.
    """

    ranges: float = 3.0
    deviations: float = 5.0


@dataclass(frozen=True)
class _Collapsed:
    """A run, its value, and the lowest and highest values of its repeats."""

    group: Group
    run_id: str
    value: float
    low: float
    high: float

    @property
    def away(self) -> float:
        """The distance to the nearest of its repeats."""
        return max(self.low - self.value, self.value - self.high)


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: the runs that are far worse than their repeats.

    The distance is judged by the spread of all repeats (see `spread_compare.collapsed_seeds`) and by that of its own
    configuration, since spreads may differ.
    """
    findings = []
    for task in evidence.study.tasks:
        groups = [one for one in evidence.groups.get(task.experiment_id, ()) if len(one.values) > 1]
        collapsed = _collapsed(groups, thresholds.ranges, thresholds.deviations) if groups else []
        findings += [_finding(evidence, task, collapsed)] if collapsed else []
    return findings


def _collapsed(groups: Sequence[Group], ranges: float, deviations: float) -> list[_Collapsed]:
    better = groups[0].greater_is_better
    if better is None:
        return []
    values, sizes = joined([group.values for group in groups])
    seeds = [*chain.from_iterable(map(_seeds, groups))]
    of_rows, begins = np.repeat(np.arange(len(groups)), sizes).tolist(), np.cumsum(sizes) - sizes
    collapsed = []
    for one in collapsed_seeds(values, of_rows, seeds, "higher" if better else "lower"):
        group, index = groups[of_rows[one.row]], one.row - int(begins[of_rows[one.row]])
        others = [value for other, value in enumerate(group.values) if other != index]
        value, low, high = group.values[index], min(others), max(others)
        if (low - value if better else value - high) > ranges * (high - low):
            collapsed.append(_Collapsed(group, group.scored[index], value, low, high))
    spread = _spread_of_others(groups, collapsed) if collapsed else 0.0
    return [one for one in collapsed if one.away > deviations * spread]


def _spread_of_others(groups: Sequence[Group], collapsed: Sequence[_Collapsed]) -> float:
    """The pooled standard deviation of all other repeats; 0 if there are too few of them.

    A median is not enough: three repeats may be close together by chance.
    """
    excluded = {one.run_id for one in collapsed}
    spread, degrees = pooled_deviation(
        [
            [value for run, value in zip(group.scored, group.values, strict=True) if run not in excluded]
            for group in groups
        ]
    )
    return spread if degrees >= _FEWEST_DEGREES else 0.0


def _seeds(group: Group) -> list[tuple[Setting, ...] | str]:
    """The seeds of each scored run; for a run without any, its id, which equals no other."""
    return [seeds or run_id for seeds, run_id in zip(group.repeats, group.scored, strict=True)]


def _finding(evidence: Evidence, task: Task, collapsed: list[_Collapsed]) -> Finding:
    names = configuration_names(evidence.study, [one.group for one in collapsed])
    key = collapsed[0].group.metric
    clauses = [
        f"{evidence.name(one.run_id)}{aside(names[one.group.run_ids[0]])} has {number(one.value)}, its other repeats "
        f"have {number(one.low)} to {number(one.high)}"
        for one in collapsed
    ]
    numbers = [
        one_number
        for one in collapsed
        for one_number in (
            Number(key, one.value, one.run_id),
            Number("lowest of the others", one.low),
            Number("highest of the others", one.high),
        )
    ]
    return Finding(
        "seed_collapse",
        "problem",
        "warning",
        f"{evidence.prefix(task)}{counted(len(collapsed), 'seed')} collapsed in {key}: {joined_clauses(clauses)}.",
        tuple(one.run_id for one in collapsed),
        (key,),
        numbers=tuple(numbers),
        section="groups",
        code="runs.scores()",
        next="Look at its curve and log before you average it in; report how often it happens, and also the median.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "seed_collapse",
    "a run is worse than its repeats by eight standard deviations between repeats, and by three times their range",
    "Rousseeuw and Croux 1993",
    Thresholds(),
    find,
)
