"""A configuration nearly as good as the best one, at a fraction of its cost."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from qualia_lab.analysis.configuration_means import means_of
from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number
from qualia_lab.analysis.findings.naming import configuration_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.groups import Group
    from qualia_lab.study.study import Task

_FEWEST = 3  # configurations; with fewer, the table shows as much


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        cost: Maximum share of the leader's cost.
        near: Share of the distance from the leader to the median within which a value is nearly as good.
    """

    cost: float = 0.34
    near: float = 0.2


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: the best of the configurations that cost much less than the leader.

    A configuration is nearly as good if its value is within `near`. One that its repeats do not distinguish from the
    leader may also be worse by the smallest relevant difference, but not by more: few repeats fail to show even large
    differences. A cost is a logged metric for which less is better; the duration of a run is not, since it depends on
    the machine.
    """
    costs = [one.key for one in evidence.study.metrics if one.role == "cost" and one.better == "lower"]
    findings = []
    for task in evidence.study.tasks:
        answer = evidence.answers.get(task.experiment_id)
        if answer is None or not costs or len(answer.groups) < _FEWEST:
            continue
        means = {key: means_of(evidence.study, evidence.values(key), task, evidence.diverged) for key in costs}
        options = [
            (group, key, means[key])
            for key in costs
            for group in _nearly_as_good(answer, thresholds.near)
            if _is_cheaper(means[key], group, answer.leader, thresholds.cost)
        ]
        if options:
            # Among equally good configurations, the one that saves most.
            group, key, of_key = min(
                options, key=lambda one: (answer.groups.index(one[0]), _share(one[2], one[0], answer.leader))
            )
            findings.append(_finding(evidence, task, group, key, of_key))
    return findings


def _nearly_as_good(answer: Answer, near: float) -> list[Group]:
    leader, values = answer.leader.mean or 0.0, [group.mean or 0.0 for group in answer.groups]
    reach = near * abs(leader - median(values))
    level = {group.run_ids[0]: max(reach, answer.smallest or 0.0) for group in answer.level}
    return [
        group
        for group in answer.groups[1:]
        if (group.run_ids[0] in level or len(group.values) == 1)
        and abs((group.mean or 0.0) - leader) <= level.get(group.run_ids[0], reach)
    ]


def _share(costs: Mapping[str, float], group: Group, leader: Group) -> float:
    return costs[group.run_ids[0]] / costs[leader.run_ids[0]]


def _is_cheaper(costs: Mapping[str, float], group: Group, leader: Group, most: float) -> bool:
    own, of_leader = costs.get(group.run_ids[0]), costs.get(leader.run_ids[0])
    return own is not None and of_leader is not None and of_leader > 0 and 0 <= own <= most * of_leader


def _finding(evidence: Evidence, task: Task, group: Group, key: str, costs: Mapping[str, float]) -> Finding:
    answer = evidence.answers[task.experiment_id]
    leader = answer.leader
    names = configuration_names(evidence.study, (leader, group), evidence.labels)
    means = leader.mean or 0.0, group.mean or 0.0
    level = "is not distinguishable from" if group in answer.level else "is nearly as good as"
    cost, of_leader = costs[group.run_ids[0]], costs[leader.run_ids[0]]
    return Finding(
        "cheaper",
        "relation",
        "note",
        f"{evidence.prefix(task)}{names[group.run_ids[0]]} {level} the best one in {leader.metric} "
        f"({number(means[1])} against {number(means[0])}), at {number(100 * cost / of_leader)} % of its {key} "
        f"({number(cost)} against {number(of_leader)}).",
        (*group.scored, *leader.scored),
        (leader.metric, key),
        numbers=(
            Number("mean", means[1]), Number("mean of the best", means[0]), Number("cost", cost),
            Number("cost of the best", of_leader), Number("percent", 100 * cost / of_leader),
        ),
        section="metrics",
        code=f"runs.metrics[[{expressions.metric(evidence, leader.metric)}, {expressions.metric(evidence, key)}]]"
        f".iloc[{expressions.positions(evidence, (*group.scored, *leader.scored))}]"
        f".groupby([0] * {len(group.scored)} + [1] * {len(leader.scored)}).mean()"
        ".pipe(lambda of: of.assign(percent=100 * of.iloc[:, 1] / of.iloc[-1, 1]))",
        next=f"Take it where {key} matters.",
        experiment=evidence.experiment(task),
    )  # fmt: skip


RULE = Rule(
    "cheaper",
    "a configuration not distinguishable from the best one, or close to it, costs a third of it or less",
    "",
    Thresholds(),
    find,
)
