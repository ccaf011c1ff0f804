"""Configurations that are told apart and differ in more than one thing that always changes together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Rule, listed
from qualia_lab.analysis.sides import differing
from qualia_lab.escaping import one_line
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.groups import Group
    from qualia_lab.analysis.sides import Differs
    from qualia_lab.study.study import Study, Task


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
        compared = [answer.leader, *answer.level, *answer.apart]
        sides = [
            (rival, together)
            for rival in answer.apart
            if len(together := _together(evidence, answer.leader, rival, compared, thresholds)) > 1
        ]
        if sides:
            found.append(_finding(evidence, task, answer.leader, sides))
    return found


def _together(
    evidence: Evidence, leader: Group, rival: Group, compared: Sequence[Group], thresholds: Thresholds
) -> tuple[Differs, ...]:
    """What differs between two configurations, where all of it changes together; () where it does not."""
    differs = differing(evidence.tables, evidence.study, leader.scored, rival.scored)
    settings = [one for one in differs if one.what in ("param", "tag")]
    if not 0 < len(settings) <= thresholds.settings or any(len(one.a) != 1 or len(one.b) != 1 for one in differs):
        return ()
    apart = {_parts(compared, one.key) for one in settings}
    if len(apart) > 1 or len(set(next(iter(apart)))) > thresholds.levels:
        return ()
    return differs


def _parts(compared: Sequence[Group], name: str) -> tuple[int, ...]:
    """Of each configuration the number of its value: equal for factors that set the same configurations apart."""
    numbers: dict[Hashable, int] = {}
    found = []
    for group in compared:
        value = dict(group.configuration.settings).get(name)
        found.append(numbers.setdefault(None if value is None else canonical(value), len(numbers)))
    return tuple(found)


def _finding(
    evidence: Evidence, task: Task, leader: Group, sides: Sequence[tuple[Group, tuple[Differs, ...]]]
) -> Finding:
    _, together = sides[0]
    first = _claimed(evidence.study, together)
    also = [
        f"{'commit' if one.what == 'commit' else one_line(one.key, 60)} ({one.shown(one.a)} against {one.shown(one.b)})"
        for one in together
        if one is not first
    ]
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
