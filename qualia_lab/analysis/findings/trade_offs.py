"""Metrics that can only be improved at the expense of another, and the configurations that are best in both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.configuration_means import configuration_means
from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, listed
from qualia_lab.analysis.findings.naming import configuration_names
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.analysis.relations import FEWEST_RUNS
from qualia_lab.analysis.trade_offs import pareto_set, trade_offs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.trade_offs import TradeOff
    from qualia_lab.study.study import Metric, Task

_MOST_METRICS = 8  # metrics compared with the objective


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        alpha: Significance level of the corrected p value of a rank correlation.
        most: Maximum number of findings per task.
    """

    alpha: float = 0.005
    most: int = 2


@dataclass(frozen=True)
class _TestedPair:
    """The objective and another metric over the configurations of a task.

    Attributes:
        pair: Their relation.
        values: The means of both by configuration, by metric.
        greater_is_better: The direction of both, by metric.
    """

    pair: TradeOff
    values: Mapping[str, Mapping[str, float]]
    greater_is_better: Mapping[str, bool]


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """The objective of each task compared with other objectives and costs, most opposed first.

    Spearman's rank correlation (Spearman 1904) of the means of configurations, with signs set so that more is better;
    under independence normal with a standard deviation of 1 / sqrt(n - 1) (Kendall 1948), one-sided, corrected for the
    number of tested metrics (Bonferroni) and of tasks (see `limit_over_tasks`). One metric per family is tested; a
    spread, a count, a component of a loss or a training metric is not an aim.
    """
    tested = {}
    means: dict[str, Mapping[str, float]] = {}  # means over all tasks, by metric
    compared = _compared_metrics(evidence)
    for task, others in compared.items():
        assert task.objective is not None
        wanted = [key for key in (task.objective.key, *others) if key not in means]
        means |= configuration_means(evidence.tables, evidence.study, wanted, without=evidence.diverged)
        pairs = _tested_pairs(evidence, task, others, means)
        if pairs:
            tested[task] = pairs
    ps = [min((one.pair.p * len(pairs) for one in pairs if one.pair.opposed), default=1.0) for pairs in tested.values()]
    limit = limit_over_tasks(ps, thresholds.alpha)
    findings = []
    for task, pairs in tested.items():
        significant = [one for one in pairs if one.pair.opposed and one.pair.p * len(pairs) <= limit]
        findings += [_finding(evidence, task, one) for one in significant[: int(thresholds.most)]]
    return findings


def unexamined(evidence: Evidence, _thresholds: Thresholds) -> list[str]:
    """That there are too few configurations, for tasks in which several metrics could be compared."""
    few = [len(evidence.groups[task.experiment_id]) for task in _compared_metrics(evidence)]
    few = [configurations for configurations in few if 2 < configurations < FEWEST_RUNS]
    if not few:
        return []
    return [f"metrics against each other: {max(few)} configurations, {FEWEST_RUNS} are needed"]


def _compared_metrics(evidence: Evidence) -> dict[Task, dict[str, bool]]:
    """For each task with metrics to compare with its objective, the directions of these by key."""
    ranked = [evidence.study.metric[count.key] for count in evidence.ranked]
    aims = [one for one in ranked if one.role in ("objective", "cost") and one.better is not None]
    others: dict[str, dict[str, bool]] = {}
    compared = {}
    for task in evidence.study.tasks:
        if task.objective is not None and task.objective.better is not None:
            key = task.objective.key
            if key not in others:
                others[key] = _other_metrics(aims, evidence.study.metric[key])
            if others[key]:
                compared[task] = others[key]
    return compared


def _other_metrics(aims: Iterable[Metric], objective: Metric) -> dict[str, bool]:
    """The directions of the metrics to compare with an objective, by key: the first metric of each other family."""
    families = {objective.family or objective.key}
    directions: dict[str, bool] = {}
    for metric in aims:
        family = metric.family or metric.key
        if family not in families and len(directions) < _MOST_METRICS:
            families.add(family)
            directions[metric.key] = metric.better == "higher"
    return directions


def _tested_pairs(
    evidence: Evidence, task: Task, others: Mapping[str, bool], means: Mapping[str, Mapping[str, float]]
) -> list[_TestedPair]:
    """The objective of a task with each other metric that enough of its configurations have, most opposed first."""
    assert task.objective is not None
    key, better = task.objective.key, task.objective.better == "higher"
    units = [group.run_ids[0] for group in evidence.groups[task.experiment_id]]
    values = {name: {unit: means[name][unit] for unit in units if unit in means[name]} for name in (key, *others)}
    tested = []
    for other, direction in others.items():
        pair_values, pair_directions = {key: values[key], other: values[other]}, {key: better, other: direction}
        tested += [
            _TestedPair(pair, pair_values, pair_directions)
            for pair in trade_offs(pair_values, pair_directions)
            if pair.rho is not None
        ]
    return sorted(tested, key=lambda one: one.pair.rho or 0.0)


def _finding(evidence: Evidence, task: Task, tested: _TestedPair) -> Finding:
    pair, best = tested.pair, pareto_set(tested.values, tested.greater_is_better)
    assert pair.rho is not None
    pareto_optimal = set(best)
    groups = [group for group in evidence.groups[task.experiment_id] if group.run_ids[0] in pareto_optimal]
    repeated = any(len(group.scored) > 1 for group in groups)
    labels = configuration_names(evidence.study, groups)
    names = [labels[group.run_ids[0]] if repeated else evidence.name(group.scored[0]) for group in groups]
    noun = "configuration" if repeated else "run"
    unbeaten = f"no {noun} beats these {len(best):,}" if len(best) > 1 else f"no {noun} beats this one"
    return Finding(
        "trade_offs",
        "relation",
        "note",
        f"{evidence.prefix(task)}What is better in {pair.first} tends to be worse in {pair.second} (rank correlation "
        f"{pair.rho:.2f} over {pair.n:,} configurations); {unbeaten} in both: {listed(names)}.",
        tuple(run_id for group in groups for run_id in group.scored),
        (pair.first, pair.second),
        numbers=(Number("rank correlation", pair.rho), Number("configurations", pair.n)),
        section="trade_offs",
        code=f"runs.relations.trade_offs([{expressions.metric(evidence, pair.first)}, "
        f"{expressions.metric(evidence, pair.second)}])",
        next=f"Choose among these by how much {pair.second} may cost in {pair.first}.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "trade_offs",
    "the objective and another objective or a cost are opposed over configurations, more than chance explains",
    "Spearman 1904; Pareto 1906",
    Thresholds(),
    find,
    unexamined,
)
