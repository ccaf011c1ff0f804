"""Configurations that are told apart and differ in more than one thing that always changes together."""

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
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.groups import Group
    from qualia_lab.analysis.sides import Differs
    from qualia_lab.study.study import Study, Task

_MOST_RIVALS = 50  # set against the leader one by one, the best first


@dataclass(frozen=True)
class Thresholds:
    """levels: at most so many different values of what is compared; more is a search, no comparison of two sides.

    settings: at most so many params and tags that differ; more are other things altogether.
    """

    levels: int = 3
    settings: int = 3


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """Of each task at most one finding: the leader against the rivals that it is told from.

    The two sides are confounded where what differs between them sets the same configurations apart wherever it varies
    among those that were compared, and is more than one thing: params and tags that change one to one with each other,
    the commit, or the digest of data. Factors that vary independently, as in a grid, are not.
    """
    found = []
    for task in evidence.study.tasks:
        answer = evidence.answers.get(task.experiment_id)
        if answer is None or not answer.apart:
            continue
        sides = [
            (rival, together)
            for rival in _near(evidence, answer, thresholds)[:_MOST_RIVALS]
            if len(together := differing(evidence.tables, evidence.study, answer.leader.scored, rival.scored)) > 1
            and all(len(one.a) == 1 and len(one.b) == 1 for one in together)
        ]
        if sides:
            found.append(_finding(evidence, task, answer.leader, sides))
    return found


def _near(evidence: Evidence, answer: Answer, thresholds: Thresholds) -> list[Group]:
    """The rivals told from the leader of which all factors that differ set the same configurations apart."""
    compared = [answer.leader, *answer.level, *answer.apart]
    settings = [dict(group.configuration.settings) for group in compared]
    parts = {one.name: _parts([of.get(one.name) for of in settings]) for one in evidence.study.factors}
    few = {name for name, numbers in parts.items() if len(set(numbers)) <= thresholds.levels}
    found = []
    for place, rival in enumerate(answer.apart, 1 + len(answer.level)):
        differ = [name for name, numbers in parts.items() if numbers[place] != numbers[0]]
        if 0 < len(differ) <= thresholds.settings and few.issuperset(differ) and len({parts[n] for n in differ}) == 1:
            found.append(rival)
    return found


def _parts(values: Sequence[str | None]) -> tuple[int, ...]:
    """Of each configuration the number of its value: equal for factors that set the same configurations apart."""
    numbers: dict[Hashable, int] = {}
    known: dict[str | None, int] = {}
    for value in dict.fromkeys(values):
        known[value] = numbers.setdefault(None if value is None else canonical(value), len(numbers))
    return tuple(known[value] for value in values)


def _finding(
    evidence: Evidence, task: Task, leader: Group, sides: Sequence[tuple[Group, tuple[Differs, ...]]]
) -> Finding:
    _, together = sides[0]
    first = _claimed(evidence.study, together)
    also = [one.named + aside(f"{one.shown(one.a)} against {one.shown(one.b)}") for one in together if one is not first]
    more = f" So it is with {len(sides) - 1:,} more." if len(sides) > 1 else ""
    held = one_line(first.key, 60)
    return Finding(
        "confounded",
        "problem",
        "warning",
        f"{evidence.where(task)}{held}={first.shown(first.a)} is better than {first.shown(first.b)}, but they "
        f"differ in {listed(also)}, too: the difference in {leader.metric} cannot be put down to {held}.{more}",
        (*leader.scored, *(run_id for group, _ in sides for run_id in group.scored)),
        tuple(dict.fromkeys(one.key for _, differs in sides for one in differs)),
        section="origins",
        code="runs.groups()",
        next=f"Run {held}={first.shown(first.b)} again with {_rest(together, first)}, so that only {held} differs.",
        experiment=evidence.experiment(task),
    )


def _claimed(study: Study, together: Sequence[Differs]) -> Differs:
    """The factor that the comparison is named by: one of words before one of numbers, one that others are tied to."""
    known = {one.name: one for one in study.factors}
    settings = [one for one in together if one.key in known]
    return min(settings, key=lambda one: (known[one.key].numeric, known[one.key].role != "factor"))


def _rest(together: Sequence[Differs], first: Differs) -> str:
    """What of the leader the rival should have: `batch_size=64` and the same commit."""
    return listed(
        [
            f"{one_line(one.key, 60)}={one.shown(one.a)}" if one.what in ("param", "tag") else f"the same {one.what}"
            for one in together
            if one is not first
        ]
    )


RULE = Rule(
    "confounded",
    "a configuration is told from the leader, and what they differ in is several things that change only together",
    "",
    Thresholds(),
    find,
)
