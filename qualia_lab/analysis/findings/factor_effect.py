"""A factor with one level that is clearly better than another if everything else is the same."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from qualia_lab.analysis.effects import ALPHA, testable_factors
from qualia_lab.analysis.findings.finding import (
    Finding,
    Number,
    Rule,
    joined_clauses,
    listed,
    number,
    shortened_reasons,
)
from qualia_lab.analysis.findings.naming import short_values
from qualia_lab.escaping import one_line
from qualia_lab.study.factor_names import names_a_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.effects import Effect
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task

_NAMED = 3  # other levels and other factors named in a sentence


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        alpha: Probability of calling any effect clear if there is none.
        most: Maximum number of findings per task.
    """

    alpha: float = ALPHA
    most: int = 3


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task and factor whose best level is clearly better than others; see `analysis.effects`.

    Factors whose better level depends on another factor are reported by the rule `interaction` instead.
    """
    findings = []
    for task in evidence.study.tasks:
        by_factor: dict[str, list[Effect]] = {}
        for effect in evidence.clear_effects(thresholds.alpha)[task.experiment_id]:
            by_factor.setdefault(effect.factor.factor, []).append(effect)
        if not by_factor:
            continue
        crossed = {
            name
            for crossing in evidence.crossings(thresholds.alpha)[task.experiment_id]
            for name in (crossing.other, crossing.first[1].factor.factor)
        }
        uncrossed = [effects for name, effects in by_factor.items() if name not in crossed]
        findings += [_finding(evidence, task, effects) for effects in uncrossed[: int(thresholds.most)]]
    return findings


def _finding(evidence: Evidence, task: Task, effects: Sequence[Effect]) -> Finding:
    first = effects[0]
    name = one_line(first.factor.factor, 60)
    levels = [first.better, *(effect.worse for effect in effects)]
    short = short_values(level for level in levels if level is not None)
    shown = [f"no {name}" if level is None else short[level] for level in levels]
    key = first.pairs[0][0].metric
    clauses, numbers = [], []
    for effect, level in zip(effects, shown[1:], strict=True):
        interval = (
            f", 95 % {number(effect.low)} to {number(effect.high)}"
            if effect.low is not None and effect.high is not None
            else ""
        )
        clauses.append(
            f"{level} in {effect.wins:,} of {effect.n:,} {_contexts(effect)}, by {number(effect.gain)} on "
            f"average{interval}"
        )
        numbers += [Number("better in", effect.wins), Number("of", effect.n), Number("gain", effect.gain)]
        numbers += [Number("bound of 95 %", effect.low)] if effect.low is not None else []
        numbers += [Number("bound of 95 %", effect.high)] if effect.high is not None else []
    tied = f" (with {listed(first.factor.tied, _NAMED)})" if first.factor.tied else ""
    best = shown[0] if first.better is None else f"{name}={shown[0]}"
    groups = {id(group): group for effect in effects for group in chain.from_iterable(effect.pairs)}
    compared = dict.fromkeys(chain.from_iterable([group.scored for group in groups.values()]))
    return Finding(
        "factor_effect",
        "answer",
        "note",
        f"{evidence.prefix(task)}{best}{tied} has a better {key}, all else being equal, than "
        f"{joined_clauses(clauses, _NAMED)}.",
        tuple(compared),
        (first.factor.factor, key),
        numbers=tuple(numbers),
        section="groups",
        code="runs.effects()",
        next=_next(effects, best),
        experiment=evidence.experiment(task),
    )


def _contexts(effect: Effect) -> str:
    """A noun for the contexts of the comparison: `targets`, or `settings of width and activation`."""
    columns = zip(*[first.params for first, _ in effect.pairs], strict=True)  # a column of settings for each factor
    varying = [
        column[0][0] for column in columns if column[0][0] != effect.factor.factor and len(frozenset(column)) > 1
    ]
    if len(varying) == 1 and names_a_problem(varying[0]) and varying[0].isalpha():
        return varying[0] if varying[0].endswith(("s", "data")) else f"{varying[0]}s"
    return f"settings of {listed((one_line(name, 40) for name in varying), _NAMED)}"


def _next(effects: Sequence[Effect], best: str) -> str:
    first = effects[0]
    not_better = first.n - first.wins
    if not_better:
        return f"Take {best} in general; look at the {not_better:,} where it is not better."
    undecided = len({*first.factor.levels} - {first.better, *(one.worse for one in effects)})
    if undecided:
        rest = "the other level" if undecided == 1 else f"the {undecided:,} other levels"
        return f"Leave out what it is better than; {rest}, from which it is not distinguishable here, may be as good."
    rest = "it" if len(effects) == 1 else "them"
    return (
        f"Take {best}: no more runs are needed to tell it apart from {'the other' if rest == 'it' else 'the others'}."
    )


def unexamined(evidence: Evidence, thresholds: Thresholds) -> list[str]:  # noqa: ARG001 - thresholds do not apply
    """For each task, the factors without two levels that could be compared with everything else the same."""
    reasons = []
    for task in evidence.study.tasks:
        groups = [one for one in evidence.groups.get(task.experiment_id, ()) if one.values]
        names = [name for name, _ in groups[0].params if not names_a_problem(name)] if len(groups) > 1 else []
        compared = testable_factors(evidence.cells[task.experiment_id])
        untested = [one_line(name, 40) for name in names if name not in compared]
        if untested and len(names) > 1:
            reasons.append(
                f"{evidence.prefix(task)}{listed(untested, _NAMED)} with all else being equal: too few configurations "
                "that differ in nothing else"
            )
    return shortened_reasons(reasons)


RULE = Rule(
    "factor_effect",
    "one level of a factor is better than another in contexts with equal values of all other factors",
    "Student 1908; Conover 1999; Bonferroni",
    Thresholds(),
    find,
    unexamined,
)
