"""The params that matter for the objective, given enough configurations, and the range of its best values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.evidence import MOST_TASKS
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, listed, number
from qualia_lab.analysis.importance import FEWEST_CONFIGURATIONS
from qualia_lab.analysis.problem_factors import problems_and_tied
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.study.factor_names import names_a_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.best_range import BestRange
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.importance import Importances
    from qualia_lab.analysis.param_importance import ParamImportance
    from qualia_lab.study.study import Task

_NAMED = 3
_WIDEST = 30  # characters of a value


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        r2: Minimum out-of-bag R² of the forest.
        configurations: Minimum number of different configurations.
        share: Minimum share of R² that a param accounts for.
        rho: Rank correlation from which the metric is said to rise or fall with a param.
    """

    r2: float = 0.3
    configurations: int = FEWEST_CONFIGURATIONS
    share: float = 0.1
    rho: float = 0.5


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task, by a forest over configurations and permutation importance (Breiman 2001).

    There is none if `analysis.importance` refuses: too few configurations, or a forest that explains little.
    """
    findings = []
    for task in evidence.study.tasks:
        importances = evidence.importances.get(task.experiment_id)
        strong = strong_params(importances, thresholds) if importances else []
        problems = problems_and_tied(evidence.groups[task.experiment_id], evidence.study)
        strong = [row for row in strong if row.param not in problems]
        if importances and strong:
            findings.append(_finding(evidence, task, importances, strong, thresholds))
    return findings


def strong_params(importances: Importances, thresholds: Thresholds) -> list[ParamImportance]:
    """The params that account for a good part of what the forest explains, most important first.

    What a configuration was tried on, such as a data set, is excluded: it is not a choice, so there is nothing to
    advise.

    Args:
        importances: The importances of a task.
        thresholds: The thresholds of the rule.

    Returns:
        The importances of these params; empty if the forest explains too little.
    """
    if (
        importances.refusal
        or importances.r2 is None
        or importances.r2 < thresholds.r2
        or importances.configurations < thresholds.configurations
    ):
        return []
    rows = [row for row in importances.params if row.matters and not row.tied_to and not names_a_problem(row.param)]
    return [row for row in rows if (row.forest or 0.0) >= thresholds.share * importances.r2]


def unexamined(evidence: Evidence, thresholds: Thresholds) -> list[str]:
    """Why importances were not computed, for tasks with varying params."""
    fewest = max(FEWEST_CONFIGURATIONS, int(thresholds.configurations))
    counts = [(task, _configurations(evidence, task)) for task in evidence.study.tasks]
    few = [(task, number) for task, number in counts if 2 < number < fewest]
    untested = sum(number >= fewest and task.experiment_id not in evidence.importances for task, number in counts)
    reasons = (
        [f"importance of params in {counted(untested, 'more experiment')}: only {MOST_TASKS} are analysed"]
        if untested
        else []
    )
    if len(few) == 1:
        [(task, configurations)] = few
        where = f" in {one_line(task.experiment, 40)}" if evidence.experiment(task) else ""
        reasons.append(f"importance of params{where}: {configurations:,} configurations, {fewest} are needed")
    elif few:
        most = max(number for _, number in few)
        where = f"{len(few):,} experiments"
        reasons.append(f"importance of params in {where}: {most:,} configurations at most, {fewest} are needed")
    return reasons


def _configurations(evidence: Evidence, task: Task) -> int:
    """The number of configurations of the task that have its objective."""
    importances = evidence.importances.get(task.experiment_id)
    if importances is not None:
        return importances.configurations
    return sum(group.mean is not None for group in evidence.groups[task.experiment_id])


def _finding(
    evidence: Evidence, task: Task, importances: Importances, strong: Sequence[ParamImportance], thresholds: Thresholds
) -> Finding:
    assert task.objective is not None
    assert importances.r2 is not None
    key, shown = task.objective.key, strong[:_NAMED]
    tied = {row.param: [one.param for one in importances.params if one.tied_to == row.param] for row in shown}
    weak = [row.param for row in importances.params if _is_without_effect(row)]
    clauses = [_clause(row, tied[row.param], importances, thresholds) for row in shown]
    sampled = (
        f" (a sample of {importances.sampled:,} was analysed)"
        if importances.sampled < importances.configurations
        else ""
    )
    no_effect = f"; no effect of {listed(weak, _NAMED)} was seen" if weak else ""
    sentence = (
        f"{evidence.prefix(task)}{key} {' and '.join(clauses)}. Over {importances.configurations:,} "
        f"configurations{sampled} the params predict {100 * importances.r2:.0f} % of its variance{no_effect}."
    )
    numbers = [
        Number("out-of-bag R² in %", 100 * importances.r2),
        Number("configurations", importances.configurations),
        *([Number("configurations asked", importances.sampled)] if sampled else []),
    ]
    for row in shown:
        numbers += _numbers(row, thresholds)
    return Finding(
        "matters",
        "relation",
        "note",
        sentence,
        keys=tuple(row.param for row in strong),
        numbers=tuple(numbers),
        section="importance",
        code=f"runs.relations.importance({expressions.metric(evidence, key)})",
        next=_next(shown, weak, thresholds, task.objective.greater_is_better),
        experiment=evidence.experiment(task),
    )


def _is_without_effect(row: ParamImportance) -> bool:
    """Whether neither the forest nor the rank correlation finds more than chance (Kendall 1948)."""
    by_rank = row.rho is None or abs(row.rho) < 1.96 / math.sqrt(row.n - 1)
    return row.forest is not None and not row.matters and not row.tied_to and by_rank


def _clause(row: ParamImportance, tied: Sequence[str], importances: Importances, thresholds: Thresholds) -> str:
    """A clause about one param: the direction in which the metric moves with it, or its best values."""
    text = row.param + (f", which changes only together with {listed(tied, _NAMED)}" if tied else "")
    facts = []
    if _is_monotone(row, thresholds):
        assert row.rho is not None
        text = f"{'rises' if row.rho > 0 else 'falls'} with {text}"
        facts.append(f"rank correlation {row.rho:.2f}")
    else:
        text = f"varies with {text}"
    best = _best(row, thresholds)
    if best is not None and best.value:
        facts.append(f"best at {one_line(best.value, _WIDEST)}")
    elif best is not None:
        low, middle, high = (_rounded(value) for value in (best.low, best.middle, best.high))
        facts.append(
            f"best around {middle}: the {best.count:,} best of {importances.sampled:,} lie between {low} and {high}"
        )
    return f"{text} ({'; '.join(facts)})" if facts else text


def _numbers(row: ParamImportance, thresholds: Thresholds) -> list[Number]:
    """The numbers of the clause, and the importance behind it."""
    numbers = [Number(f"importance of {row.param}", row.forest or 0.0)]
    if _is_monotone(row, thresholds) and row.rho is not None:
        numbers.append(Number(f"rank correlation of {row.param}", row.rho))
    best = _best(row, thresholds)
    if best is not None and not best.value:
        numbers += [
            Number(f"{row.param} of the best", value)
            for value in (best.low, best.middle, best.high)
            if value is not None
        ]
        numbers.append(Number("best configurations", best.count))
    return numbers


def _is_monotone(row: ParamImportance, thresholds: Thresholds) -> bool:
    return row.rho is not None and abs(row.rho) >= thresholds.rho


def _best(row: ParamImportance, thresholds: Thresholds) -> BestRange | None:
    """The range of the best values; None if it is the end towards which the metric improves anyway."""
    return None if row.best is None or (row.best.at_end and _is_monotone(row, thresholds)) else row.best


def _rounded(value: float | None) -> str:
    """A value of a param, to two significant digits."""
    return number(float(f"{value or 0.0:.2g}"))


def _next(strong: Sequence[ParamImportance], weak: Sequence[str], thresholds: Thresholds, better: bool | None) -> str:
    where = []
    for row in strong:
        best = _best(row, thresholds)
        if best is not None:
            value = one_line(best.value, _WIDEST) if best.value else f"about {_rounded(best.middle)}"
            where.append(f"{row.param} = {value}")
        elif better is not None and row.rho is not None and _is_monotone(row, thresholds):
            where.append(f"{'larger' if (row.rho > 0) is better else 'smaller'} values of {row.param}")
    aim = f"Put the next configurations at {listed(where)}" if where else f"Vary {listed(_names(strong))} further"
    return f"{aim}{f', and hold {listed(weak, _NAMED)} fixed' if weak else ''}."


def _names(rows: Sequence[ParamImportance]) -> list[str]:
    return [row.param for row in rows]


RULE = Rule(
    "matters",
    "a forest over the configurations explains the objective, and a param accounts for a good part of that",
    "Breiman 2001",
    Thresholds(),
    find,
    unexamined,
)
