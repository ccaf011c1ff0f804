"""Two factors of which one decides which level of the other is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.effects import ALPHA
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number
from qualia_lab.analysis.findings.naming import short_values
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.effects import Crossing
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.one_factor import Level
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """alpha: how often any interaction is called one where there is none.  most: findings of a task."""

    alpha: float = ALPHA
    most: int = 2


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """Of each task the pairs of factors that cross; see `analysis.effects`."""
    return [
        _finding(evidence, task, one)
        for task in evidence.study.tasks
        for one in evidence.crossings(thresholds.alpha)[task.experiment_id][: int(thresholds.most)]
    ]


def _finding(evidence: Evidence, task: Task, crossing: Crossing) -> Finding:
    factor = crossing.first[1].factor.factor
    name, other = one_line(factor, 60), one_line(crossing.other, 60)
    key = crossing.first[1].pairs[0][0].metric
    clauses, numbers = [], []
    for level, effect in (crossing.first, crossing.second):
        clauses.append(
            f"with {_said(other, level)} {_said(name, effect.better)} is better than {_said(name, effect.worse)} by "
            f"{number(effect.gain)}"
        )
        numbers.append(Number("gain", effect.gain))
    runs = dict.fromkeys(
        run_id
        for _, effect in (crossing.first, crossing.second)
        for pair in effect.pairs
        for group in pair
        for run_id in group.scored
    )
    return Finding(
        "interaction",
        "relation",
        "note",
        f"{evidence.where(task)}Which {name} is better in {key} depends on {other}: {clauses[0]}, {clauses[1]}.",
        tuple(runs),
        (factor, crossing.other, key),
        numbers=tuple(numbers),
        section="groups",
        code="runs.effects()",
        next=f"Choose {name} and {other} together, and report no effect of one of them alone.",
        experiment=evidence.experiment(task),
    )


def _said(name: str, level: Level) -> str:
    return f"no {name}" if level is None else f"{name}={short_values([level])[level]}"


RULE = Rule(
    "interaction",
    "one level of a factor is better than another at one level of a second factor, and worse at another",
    "Gail and Simon 1985; Bonferroni",
    Thresholds(),
    find,
)
