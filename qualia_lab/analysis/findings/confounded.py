"""Configurations that are distinguishable but differ in several things that always change together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Rule, listed
from qualia_lab.analysis.sides import differing
from qualia_lab.escaping import one_line
from qualia_lab.names import aside
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.differs import Differs
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.groups import Group
    from qualia_lab.study.study import Study, Task

_MOST_RIVALS = 50  # rivals compared with the leader one by one, best first


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        levels: Maximum number of different values of a compared factor; more is a search, not a comparison of two
            sides.
        settings: Maximum number of params and tags that differ; more makes the configurations incomparable.
    """

    levels: int = 3
    settings: int = 3


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: the leader compared with the rivals it is distinguishable from.

    Two sides are confounded if more than one thing differs between them, and each of these partitions the compared
    configurations in the same way: params and tags that change one to one with each other, the commit, or the digest of
    data. Factors that vary independently, as in a grid, are not confounded.
    """
    findings = []
    for task in evidence.study.tasks:
        answer = evidence.answers.get(task.experiment_id)
        if answer is None or not answer.apart:
            continue
        sides = [
            (rival, differences)
            for rival in _confounded_rivals(evidence, answer, thresholds)[:_MOST_RIVALS]
            if len(differences := differing(evidence.tables, evidence.study, answer.leader.scored, rival.scored)) > 1
            and all(len(difference.a) == 1 and len(difference.b) == 1 for difference in differences)
        ]
        if sides:
            findings.append(_finding(evidence, task, answer.leader, sides))
    return findings


def _confounded_rivals(evidence: Evidence, answer: Answer, thresholds: Thresholds) -> list[Group]:
    """The rivals distinguishable from the leader whose differing factors partition the configurations equally."""
    compared = [answer.leader, *answer.level, *answer.apart]
    settings = [dict(group.configuration.settings) for group in compared]
    partitions = {one.name: _partition([of.get(one.name) for of in settings]) for one in evidence.study.factors}
    few = {name for name, numbers in partitions.items() if len(set(numbers)) <= thresholds.levels}
    confounded = []
    for position, rival in enumerate(answer.apart, 1 + len(answer.level)):
        differ = [name for name, numbers in partitions.items() if numbers[position] != numbers[0]]
        if (
            0 < len(differ) <= thresholds.settings
            and few.issuperset(differ)
            and len({partitions[n] for n in differ}) == 1
        ):
            confounded.append(rival)
    return confounded


def _partition(values: Sequence[str | None]) -> tuple[int, ...]:
    """The number of each configuration's value; two factors with equal tuples partition the configurations equally."""
    numbers: dict[Hashable, int] = {}
    known: dict[str | None, int] = {}
    for value in dict.fromkeys(values):
        known[value] = numbers.setdefault(None if value is None else canonical(value), len(numbers))
    return tuple(known[value] for value in values)


def _finding(
    evidence: Evidence, task: Task, leader: Group, sides: Sequence[tuple[Group, tuple[Differs, ...]]]
) -> Finding:
    _, differences = sides[0]
    first = _main_difference(evidence.study, differences)
    also = [
        difference.named + aside(f"{difference.shown(difference.a)} against {difference.shown(difference.b)}")
        for difference in differences
        if difference is not first
    ]
    others = f" The same is true of {len(sides) - 1:,} more." if len(sides) > 1 else ""
    param = one_line(first.key, 60)
    return Finding(
        "confounded",
        "problem",
        "warning",
        f"{evidence.prefix(task)}{param}={first.shown(first.a)} is better than {first.shown(first.b)}, but they "
        f"differ in {listed(also)}, too: the difference in {leader.metric} cannot be attributed to {param}.{others}",
        (*leader.scored, *(run_id for group, _ in sides for run_id in group.scored)),
        tuple(dict.fromkeys(difference.key for _, differs in sides for difference in differs)),
        section="origins",
        code="runs.groups()",
        next=f"Run {param}={first.shown(first.b)} again with {_other_settings(differences, first)}, so that only "
        f"{param} differs.",
        experiment=evidence.experiment(task),
    )


def _main_difference(study: Study, differences: Sequence[Differs]) -> Differs:
    """The factor that names the comparison: text before numbers, then one that other factors are tied to."""
    factors = {one.name: one for one in study.factors}
    settings = [one for one in differences if one.key in factors]
    return min(settings, key=lambda one: (factors[one.key].numeric, factors[one.key].role != "factor"))


def _other_settings(differences: Sequence[Differs], first: Differs) -> str:
    """The settings of the leader that the rival should be run with: `batch_size=64` and the same commit."""
    return listed(
        [
            f"{one_line(difference.key, 60)}={difference.shown(difference.a)}"
            if difference.what in ("param", "tag")
            else f"the same {difference.what}"
            for difference in differences
            if difference is not first
        ]
    )


RULE = Rule(
    "confounded",
    "a configuration is distinguishable from the leader and differs from it in several things that only change "
    "together",
    "",
    Thresholds(),
    find,
)
