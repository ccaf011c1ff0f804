"""Params with which the objective rises or falls, or whose few values it depends on, from seven configurations on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions, matters
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

_CORRELATED = 0.7  # rank correlation from which the effects of two params cannot be separated
_WIDEST = 30  # characters of a value


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        alpha: Significance level of a relation, corrected for all params of the task and for the tasks.
        rho: Minimum absolute rank correlation.
        explained: Minimum share of the variance of ranks between the values of a text param.
        configurations: Minimum number of configurations with the objective.
    """

    alpha: float = 0.01
    rho: float = 0.4
    explained: float = 0.5
    configurations: int = FEWEST


@dataclass(frozen=True)
class _Relations:
    """The relations of a task that are strong enough, whatever their p value.

    Attributes:
        columns: The numeric params, by name.
        configurations: Number of configurations with the objective.
        numeric: Relations with numeric params.
        texts: Relations with text params.
        kinds: 2 if both numbers and texts were tested: each kind is corrected by itself and gets half of alpha; 0 if no
            param could be tested.
    """

    columns: Mapping[str, ParamColumn]
    configurations: int
    numeric: Sequence[MonotoneRelation]
    texts: Sequence[CategoryRelation]
    kinds: int

    @property
    def smallest_p(self) -> float:
        """The smallest p value, corrected for all tests in the task."""
        ps = [one.corrected for one in self.numeric] + [one.corrected for one in self.texts]
        return self.kinds * min(ps, default=1.0)


@dataclass(frozen=True)
class _Numeric:
    """A relation with a numeric param, and the params correlated with it so strongly that either may be the cause."""

    relation: MonotoneRelation
    correlated: list[tuple[str, float]] = field(default_factory=list)


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: rank correlations (Spearman 1904) over configurations, corrected by Holm (1979).

    Text params with few values are tested by Kruskal and Wallis (1952) while there are too few configurations for a
    forest. Params that `matters` names are not repeated.
    """
    tested = []
    for task in evidence.study.tasks:
        columns, means = _units(evidence, task)
        if task.objective is not None and len(means) >= max(FEWEST, thresholds.configurations) and columns:
            relations = _relations(columns, means, thresholds)
            if relations.kinds:
                tested.append((task, relations))
    limit = limit_over_tasks([relations.smallest_p for _, relations in tested], thresholds.alpha)
    findings = []
    for task, relations in tested:
        numeric = _grouped(relations, limit, _named_by_matters(evidence, task)) if relations.numeric else []
        texts = [one for one in relations.texts if one.corrected * relations.kinds <= limit]
        if numeric or texts:
            findings.append(_finding(evidence, task, numeric, texts, relations.configurations))
    return findings


def unexamined(evidence: Evidence, thresholds: Thresholds) -> list[str]:
    """That there are too few configurations, for tasks with varying params."""
    fewest = max(FEWEST, int(thresholds.configurations))
    counts = [sum(one.mean is not None for one in evidence.groups[task.experiment_id]) for task in evidence.study.tasks]
    few = [configurations for configurations in counts if 2 < configurations < fewest]
    return [f"rank correlations with params: {max(few)} configurations, {fewest} are needed"] if few else []


def _units(evidence: Evidence, task: Task) -> tuple[list[ParamColumn], Numbers]:
    """The factors over the configurations of a task that have a mean, and the ranks of these means.

    Factors that say what was tried on, such as a data set, are excluded: none of their values is better than another.
    """
    means = {one.run_ids[0]: one.mean for one in evidence.groups[task.experiment_id] if one.mean is not None}
    units = drawn_units(list(means))
    columns, _ = evidence.factor_columns.varying(units) if len(units) >= FEWEST else ([], {})
    problems = problems_and_tied(evidence.groups[task.experiment_id], evidence.study)
    columns = [one for one in columns if one.param not in problems]
    return columns, ranks(np.array([means[unit] for unit in units], np.float64))


def _named_by_matters(evidence: Evidence, task: Task) -> set[str]:
    importances = evidence.importances.get(task.experiment_id)
    return {row.param for row in matters.strong_params(importances, matters.Thresholds())} if importances else set()


def _relations(columns: Sequence[ParamColumn], means: Numbers, thresholds: Thresholds) -> _Relations:
    """The relations with numeric params, and with text params while there are too few configurations for a forest."""
    numbers = {one.param: one for one in columns if not one.choices}
    numeric = monotone_relations({key: _value_ranks(one) for key, one in numbers.items()}, means)
    texts = _texts(columns, means) if len(means) < FEWEST_CONFIGURATIONS else []
    return _Relations(
        numbers,
        len(means),
        [one for one in numeric if abs(one.rho) >= thresholds.rho],
        [one for one in texts if one.explained >= thresholds.explained],
        bool(numeric) + bool(texts),
    )


def _grouped(relations: _Relations, limit: float, named: Collection[str]) -> list[_Numeric]:
    """The relations with numeric params, strongest first, each with the weaker ones of correlated params."""
    strongest: list[_Numeric] = []
    for relation in relations.numeric:
        if relation.corrected * relations.kinds > limit:
            continue
        column = relations.columns[relation.param]
        rhos = [(one, _rank_correlation(relations.columns[one.relation.param], column)) for one in strongest]
        correlated = next((pair for pair in rhos if abs(pair[1]) >= _CORRELATED), None)
        if correlated is None:
            strongest.append(_Numeric(relation))
        else:
            correlated[0].correlated.append((relation.param, correlated[1]))
    return [one for one in strongest if one.relation.param not in named]


def _texts(columns: Sequence[ParamColumn], means: Numbers) -> list[CategoryRelation]:
    """The relations with text params that are not tied to another param."""
    texts = {
        column.param: [column.choices[int(value)] if value == value else None for value in column.values.tolist()]  # noqa: PLR0124 - NaN
        for column in columns
        if column.choices and not column.tied_to
    }
    return category_relations(texts, means.tolist())


def _value_ranks(column: ParamColumn) -> Numbers:
    """The ranks of the values, so that differences cannot overflow; NaN where there is no value."""
    value_ranks = np.full(len(column.values), np.nan)
    value_ranks[~np.isnan(column.values)] = ranks(column.present)
    return value_ranks


def _rank_correlation(a: ParamColumn, b: ParamColumn) -> float:
    """Spearman's rho of two params over the configurations with both; 0 if one does not vary there."""
    present = ~(np.isnan(a.values) | np.isnan(b.values))
    x, y = ranks(a.values[present]), ranks(b.values[present])
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
        numbers += [
            Number(f"rank correlation of {one.relation.param} and {param}", rho) for param, rho in one.correlated
        ]
    keys = [param for one in numeric for param in (one.relation.param, *(param for param, _ in one.correlated))]
    return Finding(
        "monotone",
        "relation",
        "note",
        f"{evidence.prefix(task)}{key} {joined(clauses)}; n = {n:,} configurations.",
        keys=(*keys, *(one.param for one in texts)),
        numbers=tuple(numbers),
        section="importance",
        code=f"runs.relations.importance({expressions.metric(evidence, key)})",
        next=_next(numeric, texts, better),
        experiment=evidence.experiment(task),
    )


def _numeric_clause(numeric: _Numeric) -> str:
    clause = f"{'rises' if numeric.relation.rho > 0 else 'falls'} with {numeric.relation.param} (rank correlation "
    clause += f"{numeric.relation.rho:.2f}{_correlated_clause(numeric)})"
    return clause


def _correlated_clause(numeric: _Numeric) -> str:
    if not numeric.correlated:
        return ""
    names = listed(f"{param} ({rho:.2f})" for param, rho in numeric.correlated)
    return f", not distinguishable from {names}, which varies with it"


def _text_clause(relation: CategoryRelation, better: bool | None) -> str:
    low, high = (one_line(text, _WIDEST) for text in (relation.lowest, relation.highest))
    if better is None:
        return f"differs between values of {relation.param} (highest with {high}, lowest with {low})"
    best, worst = (high, low) if better else (low, high)
    return f"differs between values of {relation.param} (best with {best}, worst with {worst})"


def _next(numeric: Sequence[_Numeric], texts: Sequence[CategoryRelation], better: bool | None) -> str:
    if better is None:
        return ""
    aims = [
        f"{'larger' if (one.relation.rho > 0) is better else 'smaller'} values of {one.relation.param}"
        for one in numeric
    ]
    aims += [f"{one.param} = {one_line(one.highest if better else one.lowest, _WIDEST)}" for one in texts]
    inseparable = [one.relation.param for one in numeric if one.correlated]
    return f"Look further at {joined(aims)}" + (
        f", and vary {listed(inseparable)} alone to find out which is responsible." if inseparable else "."
    )


RULE = Rule(
    "monotone",
    "over seven configurations or more the objective rises or falls with a param, or differs between few text values",
    "Spearman 1904; Kruskal and Wallis 1952; Holm 1979",
    Thresholds(),
    find,
    unexamined,
)
