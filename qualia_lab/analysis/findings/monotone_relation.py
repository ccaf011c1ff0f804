"""Params with which the objective rises or falls, or whose few values set it apart, from eight configurations on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import code, matters
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, joined, listed
from qualia_lab.analysis.importance import FEWEST_CONFIGURATIONS, drawn_units
from qualia_lab.analysis.monotone import (
    FEWEST,
    CategoryRelation,
    MonotoneRelation,
    category_relations,
    monotone_relations,
    ranks,
)
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.analysis.problem_factors import problems_and_tied
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.param_columns import ParamColumn
    from qualia_lab.study.study import Task

_ALONG = 0.7  # rank correlation of two params from which on the objective goes with either
_WIDEST = 30  # characters of a value


@dataclass(frozen=True)
class Thresholds:
    """alpha: of the p of a relation, corrected for all params of the task, and for the tasks.  rho: rank correlation.

    explained: share of the variance of ranks between the values of a text.  configurations: with the objective.
    """

    alpha: float = 0.01
    rho: float = 0.4
    explained: float = 0.5
    configurations: int = FEWEST


@dataclass(frozen=True)
class _Relations:
    """The relations of a task that are strong enough, whatever their p.

    columns: those of numbers, by name.  configurations: those with the objective.  kinds: 2 where numbers and texts
    were asked: they are corrected each by themselves, so each has half of alpha.
    """

    columns: Mapping[str, ParamColumn]
    configurations: int
    numeric: Sequence[MonotoneRelation]
    texts: Sequence[CategoryRelation]
    kinds: int

    @property
    def smallest_p(self) -> float:
        """Corrected for all that was asked in the task."""
        ps = [one.corrected for one in self.numeric] + [one.corrected for one in self.texts]
        return self.kinds * min(ps, default=1.0)


@dataclass(frozen=True)
class _Numeric:
    """A relation with a number, and the params that go along with it so far that either may be behind it."""

    relation: MonotoneRelation
    along: list[tuple[str, float]] = field(default_factory=list)


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: rank correlations (Spearman 1904) over configurations, corrected by Holm (1979).

    Of texts with a few values Kruskal and Wallis' test (1952), while there are too few configurations for a forest.
    What `matters` names is not said again.
    """
    asked = []
    for task in evidence.study.tasks:
        columns, means = _units(evidence, task)
        if task.objective is not None and len(means) >= max(FEWEST, thresholds.configurations) and columns:
            asked.append((task, _relations(columns, means, thresholds)))
    limit = limit_over_tasks([relations.smallest_p for _, relations in asked], thresholds.alpha)
    findings = []
    for task, relations in asked:
        numeric = _grouped(relations, limit, _named_by_matters(evidence, task)) if relations.numeric else []
        texts = [one for one in relations.texts if one.corrected * relations.kinds <= limit]
        if numeric or texts:
            findings.append(_finding(evidence, task, numeric, texts, relations.configurations))
    return findings


def unexamined(evidence: Evidence, thresholds: Thresholds) -> list[str]:
    """That there are too few configurations, where params vary."""
    fewest = max(FEWEST, int(thresholds.configurations))
    counts = [sum(one.mean is not None for one in evidence.groups[task.experiment_id]) for task in evidence.study.tasks]
    few = [configurations for configurations in counts if 2 < configurations < fewest]
    return [f"rank correlations with params: {max(few)} configurations, {fewest} are needed"] if few else []


def _units(evidence: Evidence, task: Task) -> tuple[list[ParamColumn], Numbers]:
    """The factors over the configurations of a task that have a mean, and the ranks of these means.

    But for those that say what was tried on, such as a data set: none of its values is better than another.
    """
    means = {one.run_ids[0]: one.mean for one in evidence.groups[task.experiment_id] if one.mean is not None}
    units = drawn_units(list(means))
    columns, _ = evidence.factor_columns.varying(units) if len(units) >= FEWEST else ([], {})
    problems = problems_and_tied(evidence.groups[task.experiment_id], evidence.study)
    columns = [one for one in columns if one.param not in problems]
    return columns, ranks(np.array([means[unit] for unit in units], np.float64))


def _named_by_matters(evidence: Evidence, task: Task) -> set[str]:
    found = evidence.importances.get(task.experiment_id)
    return {row.param for row in matters.strong_params(found, matters.Thresholds())} if found else set()


def _relations(columns: Sequence[ParamColumn], means: Numbers, thresholds: Thresholds) -> _Relations:
    """Of numbers, and of texts while there are too few configurations for a forest."""
    numbers = {one.param: one for one in columns if not one.choices}
    few = len(means) < FEWEST_CONFIGURATIONS
    numeric = monotone_relations({key: _known(one) for key, one in numbers.items()}, means.tolist())
    return _Relations(
        numbers,
        len(means),
        [one for one in numeric if abs(one.rho) >= thresholds.rho],
        _texts(columns, means, thresholds) if few else [],
        2 if few and 0 < len(numbers) < len(columns) else 1,
    )


def _grouped(relations: _Relations, limit: float, named: Collection[str]) -> list[_Numeric]:
    """The relations with numbers, strongest first; one that goes along with a stronger one stands with it."""
    found: list[_Numeric] = []
    for relation in relations.numeric:
        if relation.corrected * relations.kinds > limit:
            continue
        mine = relations.columns[relation.param]
        rhos = [(one, _rank_correlation(relations.columns[one.relation.param], mine)) for one in found]
        with_which = next((pair for pair in rhos if abs(pair[1]) >= _ALONG), None)
        if with_which is None:
            found.append(_Numeric(relation))
        else:
            with_which[0].along.append((relation.param, with_which[1]))
    return [one for one in found if one.relation.param not in named]


def _texts(columns: Sequence[ParamColumn], means: Numbers, thresholds: Thresholds) -> list[CategoryRelation]:
    """Of texts that are not tied to another param."""
    texts = {
        one.param: [one.choices[int(value)] if value == value else None for value in one.values.tolist()]  # noqa: PLR0124 - NaN
        for one in columns
        if one.choices and not one.tied_to
    }
    return [one for one in category_relations(texts, means.tolist()) if one.explained >= thresholds.explained]


def _known(column: ParamColumn) -> list[float | None]:
    """The ranks of its numbers, which no difference of overflows; None where it has none."""
    found: list[float | None] = [None] * len(column.values)
    places = np.flatnonzero(~np.isnan(column.values)).tolist()
    for place, rank in zip(places, ranks(column.there).tolist(), strict=True):
        found[place] = rank
    return found


def _rank_correlation(one: ParamColumn, other: ParamColumn) -> float:
    """Spearman's rho of two params over the configurations that have both; 0 where one does not vary there."""
    both = ~(np.isnan(one.values) | np.isnan(other.values))
    x, y = ranks(one.values[both]), ranks(other.values[both])
    return float(np.corrcoef(x, y)[0, 1]) if len(x) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0 else 0.0


def _finding(
    evidence: Evidence, task: Task, numeric: Sequence[_Numeric], texts: Sequence[CategoryRelation], n: int
) -> Finding:
    assert task.objective is not None
    key, better = task.objective.key, task.objective.greater_is_better
    clauses = [_numeric_clause(one) for one in numeric]
    clauses += [_text_clause(one, better) for one in texts]
    numbers = [Number("configurations", n)]
    for one in numeric:
        numbers.append(Number(f"rank correlation of {one.relation.param}", one.relation.rho))
        numbers += [Number(f"rank correlation of {one.relation.param} and {param}", rho) for param, rho in one.along]
    keys = [param for one in numeric for param in (one.relation.param, *(param for param, _ in one.along))]
    return Finding(
        "monotone",
        "relation",
        "note",
        f"{evidence.where(task)}{key} {joined(clauses)}; n = {n:,} configurations.",
        keys=(*keys, *(one.param for one in texts)),
        numbers=tuple(numbers),
        section="importance",
        code=f"runs.relations.importance({code.metric(evidence, key)})",
        next=_next(numeric, texts, better),
        experiment=evidence.experiment(task),
    )


def _numeric_clause(one: _Numeric) -> str:
    said = f"{'rises' if one.relation.rho > 0 else 'falls'} with {one.relation.param} (rank correlation "
    said += f"{one.relation.rho:.2f}{_along(one)})"
    return said


def _along(one: _Numeric) -> str:
    if not one.along:
        return ""
    names = listed(f"{param} ({rho:.2f})" for param, rho in one.along)
    return f", not told apart from {names}, which changes along with it"


def _text_clause(one: CategoryRelation, better: bool | None) -> str:
    low, high = (one_line(text, _WIDEST) for text in (one.lowest, one.highest))
    if better is None:
        return f"is set apart by {one.param} (highest with {high}, lowest with {low})"
    best, worst = (high, low) if better else (low, high)
    return f"is set apart by {one.param} (best with {best}, worst with {worst})"


def _next(numeric: Sequence[_Numeric], texts: Sequence[CategoryRelation], better: bool | None) -> str:
    if better is None:
        return ""
    aims = [
        f"{'larger' if (one.relation.rho > 0) is better else 'smaller'} values of {one.relation.param}"
        for one in numeric
    ]
    aims += [f"{one.param} = {one_line(one.highest if better else one.lowest, _WIDEST)}" for one in texts]
    apart = [one.relation.param for one in numeric if one.along]
    return f"Look further at {joined(aims)}" + (
        f", and vary {listed(apart)} alone to tell what does it." if apart else "."
    )


RULE = Rule(
    "monotone",
    "over eight configurations the objective rises or falls with a param, or a text of few values sets it apart",
    "Spearman 1904; Kruskal and Wallis 1952; Holm 1979",
    Thresholds(),
    find,
    unexamined,
)
