"""Params whose best value is the outermost one tried, while the objective still improves towards it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from qualia_lab.analysis.edge import edge_of, is_testable
from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, listed, number
from qualia_lab.analysis.intervals import mean_of
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.edge import Edge
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.groups import Group
    from qualia_lab.study.study import Task

_FEW = 8  # levels; with more, the edge is the outermost fifth of the configurations
_ALIKE = 0.05  # relative difference up to which steps count as equal


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        alpha: Significance level, corrected for the tested factors of the task and for the tested tasks.
    """

    alpha: float = 0.005


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding for each numeric factor of a task whose best value is at an end of its range; see `analysis.edge`.

    The test is over configurations; if only this factor varies, over their runs. An edge is not
    reported if no value beyond it is possible: below 0 or, for whole numbers, below 1; above 1 for shares.
    """
    candidates: list[tuple[float, Task, str, dict[float, list[Group]], Edge]] = []
    ps: list[float] = []
    for task in evidence.study.tasks:
        groups = [one for one in evidence.groups.get(task.experiment_id, ()) if one.values]
        if not groups or groups[0].greater_is_better is None:
            continue
        numeric = [one.name for one in evidence.study.factors if one.role == "factor" and one.numeric]
        varying = [name for name, _ in groups[0].params if name in numeric]
        positions = {name: position for position, (name, _) in enumerate(groups[0].params)}
        tested = []
        params = [one.configuration.params for one in groups]
        for name in varying:
            of_level = _by_level(groups, [of_group[positions[name]][1] for of_group in params])
            levels, values = _levels_and_values(groups, of_level)
            if is_testable(levels):
                edge = edge_of(levels, values, greater_is_better=groups[0].greater_is_better)
                tested.append((name, of_level, edge))
        of_task = [
            (edge.p * len(tested), task, name, of_level, edge)
            for name, of_level, edge in tested
            if edge is not None and edge.p * len(tested) < thresholds.alpha and not _is_the_end(list(of_level), edge)
        ]
        candidates += of_task
        if tested:
            ps.append(min((p for p, *_ in of_task), default=1.0))
    limit = limit_over_tasks(ps, thresholds.alpha)
    return [
        _finding(evidence, task, name, of_level, edge) for p, task, name, of_level, edge in candidates if p <= limit
    ]


def _by_level(groups: Sequence[Group], texts: Sequence[str | None]) -> dict[float, list[Group]]:
    """The configurations grouped by their value of a factor, in ascending order, without those that have none."""
    level_of = {text: float(text) for text in set(texts) if text is not None}
    by_level: dict[float, list[Group]] = {level: [] for level in sorted(set(level_of.values()))}
    for group, text in zip(groups, texts, strict=True):
        if text is not None:
            by_level[level_of[text]].append(group)
    return by_level


def _levels_and_values(groups: Sequence[Group], of_level: dict[float, list[Group]]) -> tuple[list[float], list[float]]:
    """The level and mean of each configuration, or of each run where no other factor varies."""
    only_factor = all(len(at) == 1 for at in of_level.values()) and len(groups[0].params) == 1
    pairs = [
        (level, value)
        for level, at in of_level.items()
        for group in at
        for value in (group.values if only_factor else (group.mean,))
        if value is not None
    ]
    return [level for level, _ in pairs], [value for _, value in pairs]


def _is_the_end(levels: Sequence[float], edge: Edge) -> bool:
    """Whether no value beyond this edge is possible."""
    whole_numbers = all(level == int(level) for level in levels)
    if edge.end == "lowest":
        return min(levels) == 0 or (whole_numbers and min(levels) == 1)
    return max(levels) == 1 and not whole_numbers


def _finding(evidence: Evidence, task: Task, name: str, of_level: dict[float, list[Group]], edge: Edge) -> Finding:
    ordered = list(of_level) if edge.end == "lowest" else list(of_level)[::-1]
    at_edge = ordered[:1]
    if len(ordered) > _FEW:
        groups = sum(map(len, of_level.values()))
        while sum(len(of_level[level]) for level in at_edge) < groups / 5:
            at_edge = ordered[: len(at_edge) + 1]
    key = of_level[edge.level][0].metric
    shown = one_line(name, 60)
    beyond = _beyond(ordered)
    extreme = "largest" if edge.end == "highest" else "smallest"
    if len(at_edge) == 1:
        mean, before = (mean_of([value for one in of_level[level] for value in one.values]) for level in ordered[:2])
        statement = (
            f"{shown}={number(edge.level)}, the {extreme} value tried, is best: {key} improves towards it over the "
            f"whole range, finally from {number(before)} to {number(mean)}"
        )
        numbers = [Number("mean", mean), Number("mean before", before)]
    else:
        statement = (
            f"The {extreme} values of {shown}, up to {number(edge.level)}, are best: {key} improves towards them"
        )
        statement += " over the whole range"
        numbers = [Number(name, edge.level)]
    tied = [one_line(one.name, 60) for one in evidence.study.factors if one.tied_to == name]
    if tied:
        statement += f"; {listed(tied)} changed only together with it, so that either may be the reason"
    such_as = f", such as {number(beyond)}" if beyond is not None else ""
    apart = f", with {listed(tied)} held fixed" if tied else ""
    return Finding(
        "edge",
        "relation",
        "note",
        f"{evidence.prefix(task)}{statement}.",
        tuple(run_id for level in at_edge for group in of_level[level] for run_id in group.scored),
        (name, key),
        numbers=tuple(numbers),
        section="params",
        code=_code(evidence, name),
        next=f"Try {shown} beyond {number(edge.level)}{such_as}{apart}.",
        experiment=evidence.experiment(task),
    )


def _code(evidence: Evidence, name: str) -> str:
    """An expression for the mean of the objective at each level."""
    factor = next(one for one in evidence.study.factors if one.name == name)
    if factor.kind == "param":
        return (
            f"runs.scores().groupby(runs.params[{expressions.param(evidence, factor.key)}].astype(float))"
            ".mean().reset_index()"
        )
    return "runs.scores()"


def _beyond(outermost: Sequence[float]) -> float | None:
    """The next value after the outermost one, if levels are equal steps or ratios apart; None otherwise."""
    if not 3 <= len(outermost) <= _FEW:
        return None
    first = outermost[0]
    if min(outermost) > 0:
        ratios = [one / other for one, other in pairwise(outermost)]
        if max(ratios) - min(ratios) <= _ALIKE * ratios[0]:
            return first * ratios[0]
    steps = [one - other for one, other in pairwise(outermost)]
    if max(steps) - min(steps) <= _ALIKE * abs(steps[0]) and (first + steps[0] > 0 or min(outermost) < 0):
        return first + steps[0]
    return None


RULE = Rule(
    "edge",
    "the outermost value tried of a numeric param is best, and the objective improves towards it",
    "Student 1908; Berger 1982; Bonferroni",
    Thresholds(),
    find,
)
