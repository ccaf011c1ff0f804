"""Metrics of which one has to be given up for another, and what nothing else beats in both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.configuration_means import configuration_means
from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, listed
from qualia_lab.analysis.findings.naming import configuration_names
from qualia_lab.analysis.relations import FEWEST_RUNS
from qualia_lab.analysis.trade_offs import pareto_set, trade_offs
from qualia_lab.study.ranking import rank_metrics

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.trade_offs import TradeOff
    from qualia_lab.study.study import Task

_MOST_METRICS = 8  # set against the objective


@dataclass(frozen=True)
class Thresholds:
    """alpha: of the corrected p of a rank correlation.  most: findings of a task."""

    alpha: float = 0.005
    most: int = 2


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """The objective of each task against other objectives and costs, the widest apart first.

    Spearman's rank correlation (Spearman 1904) of the means of configurations, each turned so that more is better;
    normal with a standard deviation of 1 / sqrt(n - 1) where there is none (Kendall 1948), one-sided, for as many
    metrics as there are (Bonferroni). Of a family of metrics one is asked; a spread, a count, a part of a loss or a
    metric of training is nobody's aim.
    """
    findings = []
    for task in evidence.study.tasks:
        found = _opposed(evidence, task, thresholds) if _others(evidence, task) else []
        findings += [_finding(evidence, task, *one) for one in found[: int(thresholds.most)]]
    return findings


def unexamined(evidence: Evidence, _thresholds: Thresholds) -> list[str]:
    """That there are too few configurations, where several metrics could be weighed."""
    few = [len(evidence.groups[task.experiment_id]) for task in evidence.study.tasks if _others(evidence, task)]
    few = [configurations for configurations in few if 2 < configurations < FEWEST_RUNS]
    if not few:
        return []
    return [f"metrics against each other: {max(few)} configurations, {FEWEST_RUNS} are needed"]


def _others(evidence: Evidence, task: Task) -> dict[str, bool]:
    """Direction by key of what is set against a task's objective: one metric of each other family."""
    if task.objective is None or task.objective.better is None:
        return {}
    metrics = evidence.study.metric
    families = {_family(evidence, task.objective.key)}
    found: dict[str, bool] = {}
    for count in rank_metrics(evidence.study, evidence.inventory):
        metric = metrics[count.key]
        family = _family(evidence, count.key)
        if metric.role in ("objective", "cost") and metric.better is not None and family not in families:
            families.add(family)
            found[count.key] = metric.better == "higher"
    return dict(list(found.items())[:_MOST_METRICS])


def _family(evidence: Evidence, key: str) -> str:
    metric = evidence.study.metric.get(key)
    return metric.family if metric is not None and metric.family else key


def _opposed(evidence: Evidence, task: Task, thresholds: Thresholds) -> list[tuple[TradeOff, list[str]]]:
    """The pairs of a task that pull apart, with the configurations (first runs) that no other one beats in both."""
    assert task.objective is not None
    key, better, others = task.objective.key, task.objective.better == "higher", _others(evidence, task)
    values = configuration_means(evidence.tables, evidence.study, [key, *others], task, evidence.diverged)
    found = []
    for other, direction in others.items():
        both, ways = {key: values[key], other: values[other]}, {key: better, other: direction}
        found += [
            (pair, pareto_set(both, ways))
            for pair in trade_offs(both, ways)
            if pair.opposed and pair.p * len(others) <= thresholds.alpha
        ]
    return sorted(found, key=lambda row: row[0].rho or 0.0)


def _finding(evidence: Evidence, task: Task, pair: TradeOff, best: list[str]) -> Finding:
    assert pair.rho is not None
    groups = [group for group in evidence.groups[task.experiment_id] if group.run_ids[0] in set(best)]
    repeated = any(len(group.scored) > 1 for group in groups)
    labels = configuration_names(evidence.study, groups)
    names = [labels[group.run_ids[0]] if repeated else evidence.name(group.scored[0]) for group in groups]
    noun = "configuration" if repeated else "run"
    unbeaten = f"no {noun} beats these {len(best):,}" if len(best) > 1 else f"no {noun} beats this one"
    return Finding(
        "trade_offs",
        "relation",
        "note",
        f"{evidence.where(task)}What is better in {pair.first} tends to be worse in {pair.second} (rank correlation "
        f"{pair.rho:.2f} over {pair.n:,} configurations); {unbeaten} in both: {listed(names)}.",
        tuple(run_id for group in groups for run_id in group.scored),
        (pair.first, pair.second),
        numbers=(Number("rank correlation", pair.rho), Number("configurations", pair.n)),
        section="trade_offs",
        code=f"runs.relations.trade_offs([{code.metric(evidence, pair.first)}, {code.metric(evidence, pair.second)}])",
        next=f"Choose among these by how much {pair.second} may cost in {pair.first}.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "trade_offs",
    "the objective and another one, or a cost, pull apart over configurations, beyond chance for as many as there are",
    "Spearman 1904; Pareto 1906",
    Thresholds(),
    find,
    unexamined,
)
