"""A factor one level of which is clearly better than another wherever everything else is the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.effects import ALPHA, testable_factors
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, listed, number, parts, some_reasons
from qualia_lab.analysis.findings.naming import short_values
from qualia_lab.escaping import one_line
from qualia_lab.study.factor_names import names_a_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.effects import Effect
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task

_NAMED = 3  # other levels, and other factors


@dataclass(frozen=True)
class Thresholds:
    """alpha: how often any effect is called clear where there is none.  most: findings of a task."""

    alpha: float = ALPHA
    most: int = 3


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """Of each task one finding for a factor whose best level is clearly better than others; see `analysis.effects`.

    Not where which level is better depends on another factor: that is the matter of the rule interaction.
    """
    found = []
    for task in evidence.study.tasks:
        by_factor: dict[str, list[Effect]] = {}
        for effect in evidence.clear_effects(thresholds.alpha)[task.experiment_id]:
            by_factor.setdefault(effect.factor.factor, []).append(effect)
        if not by_factor:
            continue
        crossed = {
            name
            for one in evidence.crossings(thresholds.alpha)[task.experiment_id]
            for name in (one.other, one.first[1].factor.factor)
        }
        kept = [effects for name, effects in by_factor.items() if name not in crossed]
        found += [_finding(evidence, task, effects) for effects in kept[: int(thresholds.most)]]
    return found


def _finding(evidence: Evidence, task: Task, effects: Sequence[Effect]) -> Finding:
    first = effects[0]
    name = one_line(first.factor.factor, 60)
    levels = [first.better, *(one.worse for one in effects)]
    short = short_values(level for level in levels if level is not None)
    shown = [f"no {name}" if level is None else short[level] for level in levels]
    key = first.pairs[0][0].metric
    clauses, numbers = [], []
    for one, level in zip(effects, shown[1:], strict=True):
        interval = (
            f", 95 % {number(one.low)} to {number(one.high)}" if one.low is not None and one.high is not None else ""
        )
        clauses.append(
            f"{level} in {one.wins:,} of {one.n:,} {_contexts(one)}, by {number(one.gain)} on average{interval}"
        )
        numbers += [Number("better in", one.wins), Number("of", one.n), Number("gain", one.gain)]
        numbers += [Number("bound of 95 %", one.low)] if one.low is not None else []
        numbers += [Number("bound of 95 %", one.high)] if one.high is not None else []
    also = f" (with {listed(first.factor.tied, _NAMED)})" if first.factor.tied else ""
    best = shown[0] if first.better is None else f"{name}={shown[0]}"
    compared = dict.fromkeys(
        run_id for one in effects for pair in one.pairs for group in pair for run_id in group.scored
    )
    return Finding(
        "factor_effect",
        "answer",
        "note",
        f"{evidence.where(task)}{best}{also} has a better {key}, all else the same, than {parts(clauses, _NAMED)}.",
        tuple(compared),
        (first.factor.factor, key),
        numbers=tuple(numbers),
        section="groups",
        code="runs.effects()",
        next=_next(effects, best),
        experiment=evidence.experiment(task),
    )


def _contexts(effect: Effect) -> str:
    """`targets`, `settings of width and activation`: what the contexts are."""
    varying = [
        name
        for name in dict.fromkeys(name for pair in effect.pairs for name, _ in pair[0].params)
        if name != effect.factor.factor and len({dict(pair[0].params).get(name) for pair in effect.pairs}) > 1
    ]
    if len(varying) == 1 and names_a_problem(varying[0]) and varying[0].isalpha():
        return varying[0] if varying[0].endswith(("s", "data")) else f"{varying[0]}s"
    return f"settings of {listed((one_line(name, 40) for name in varying), _NAMED)}"


def _next(effects: Sequence[Effect], best: str) -> str:
    first = effects[0]
    lost = first.n - first.wins
    if lost:
        return f"Take {best} in general; look at the {lost:,} where it is not better."
    untold = len({*first.factor.levels} - {first.better, *(one.worse for one in effects)})
    if untold:
        which = "the other level" if untold == 1 else f"the {untold:,} other levels"
        return f"Leave what it is better than out; {which}, of which it is not told apart here, may be as good."
    which = "it" if len(effects) == 1 else "them"
    return f"Take {best}: no more runs are needed to tell it from {'the other' if which == 'it' else 'the others'}."


def unexamined(evidence: Evidence, thresholds: Thresholds) -> list[str]:  # noqa: ARG001  they are not asked
    """The factors of each task of which no two levels could be compared with the rest held."""
    reasons = []
    for task in evidence.study.tasks:
        groups = [one for one in evidence.groups.get(task.experiment_id, ()) if one.values]
        names = [name for name, _ in groups[0].params if not names_a_problem(name)] if len(groups) > 1 else []
        compared = testable_factors(evidence.one_factor[task.experiment_id], groups)
        silent = [one_line(name, 40) for name in names if name not in compared]
        if silent and len(names) > 1:
            reasons.append(
                f"{evidence.where(task)}{listed(silent, _NAMED)} with all else the same: too few configurations that "
                "differ in nothing else"
            )
    return some_reasons(reasons)


RULE = Rule(
    "factor_effect",
    "one level of a factor is better than another over contexts in which all other factors are the same",
    "Student 1908; Conover 1999; Bonferroni",
    Thresholds(),
    find,
    unexamined,
)
