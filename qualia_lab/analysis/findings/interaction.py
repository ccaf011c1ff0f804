"""Pairs of factors in which one decides which level of the other is better."""

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
    """Thresholds of the rule.

    Attributes:
        alpha: Probability of reporting any interaction if there is none.
        most: Maximum number of findings per task.
    """

    alpha: float = ALPHA
    most: int = 2


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per crossing pair of factors of a task; see `analysis.effects`."""
    return [
        _finding(evidence, task, crossing)
        for task in evidence.study.tasks
        for crossing in evidence.crossings(thresholds.alpha)[task.experiment_id][: int(thresholds.most)]
    ]


def _finding(evidence: Evidence, task: Task, crossing: Crossing) -> Finding:
    factor = crossing.first[1].factor.factor
    name, other = one_line(factor, 60), one_line(crossing.other, 60)
    key = crossing.first[1].pairs[0][0].metric
    clauses, numbers = [], []
    for level, effect in (crossing.first, crossing.second):
        clauses.append(
            f"with {_setting_text(other, level)} {_setting_text(name, effect.better)} is better than "
            f"{_setting_text(name, effect.worse)} by {number(effect.gain)}"
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
        f"{evidence.prefix(task)}Which level of {name} has a better {key} depends on {other}: {clauses[0]}, "
        f"{clauses[1]}.",
        tuple(runs),
        (factor, crossing.other, key),
        numbers=tuple(numbers),
        section="groups",
        code="runs.effects()",
        next=f"Choose {name} and {other} together, and report no effect of one of them alone.",
        experiment=evidence.experiment(task),
    )


def _setting_text(name: str, level: Level) -> str:
    return f"no {name}" if level is None else f"{name}={short_values([level])[level]}"


RULE = Rule(
    "interaction",
    "one level of a factor is better than another at one level of a second factor and worse at another level of it",
    "Gail and Simon 1985; Bonferroni",
    Thresholds(),
    find,
)
