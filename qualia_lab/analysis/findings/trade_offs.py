"""Metrics of which one has to be given up for another, and what nothing else beats in both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.configuration_means import configuration_means
from qualia_lab.analysis.findings import code
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
    metrics as there are (Bonferroni), and for the tasks (see `limit_over_tasks`). Of a family of metrics one is asked;
    a spread, a count, a part of a loss or a metric of training is nobody's aim.
    """
    opposed = {}
    means: dict[str, Mapping[str, float]] = {}  # of all tasks, by metric
    weighed = _weighed(evidence)
    for task, others in weighed.items():
        assert task.objective is not None
        wanted = [key for key in (task.objective.key, *others) if key not in means]
        means |= configuration_means(evidence.tables, evidence.study, wanted, without=evidence.diverged)
        opposed[task] = _opposed(evidence, task, others, means, thresholds)
    ps = [min((pair.p for pair, _ in found), default=1.0) * len(weighed[task]) for task, found in opposed.items()]
    limit = limit_over_tasks(ps, thresholds.alpha)
    findings = []
    for task, found in opposed.items():
        kept = [one for one in found if one[0].p * len(weighed[task]) <= limit]
        findings += [_finding(evidence, task, *one) for one in kept[: int(thresholds.most)]]
    return findings


def unexamined(evidence: Evidence, _thresholds: Thresholds) -> list[str]:
    """That there are too few configurations, where several metrics could be weighed."""
    few = [len(evidence.groups[task.experiment_id]) for task in _weighed(evidence)]
    few = [configurations for configurations in few if 2 < configurations < FEWEST_RUNS]
    if not few:
        return []
    return [f"metrics against each other: {max(few)} configurations, {FEWEST_RUNS} are needed"]


def _weighed(evidence: Evidence) -> dict[Task, dict[str, bool]]:
    """The tasks in which something is set against the objective: of each the direction of that by key."""
    ranked = [evidence.study.metric[count.key] for count in evidence.ranked]
    aims = [one for one in ranked if one.role in ("objective", "cost") and one.better is not None]
    others: dict[str, dict[str, bool]] = {}
    found = {}
    for task in evidence.study.tasks:
        if task.objective is not None and task.objective.better is not None:
            key = task.objective.key
            if key not in others:
                others[key] = _others(aims, evidence.study.metric[key])
            if others[key]:
                found[task] = others[key]
    return found


def _others(aims: Iterable[Metric], objective: Metric) -> dict[str, bool]:
    """Direction by key of what is set against an objective: the first metric of each other family."""
    families = {objective.family or objective.key}
    found: dict[str, bool] = {}
    for one in aims:
        family = one.family or one.key
        if family not in families and len(found) < _MOST_METRICS:
            families.add(family)
            found[one.key] = one.better == "higher"
    return found


def _opposed(
    evidence: Evidence,
    task: Task,
    others: Mapping[str, bool],
    means: Mapping[str, Mapping[str, float]],
    thresholds: Thresholds,
) -> list[tuple[TradeOff, list[str]]]:
    """The pairs of a task that pull apart, with the configurations (first runs) that no other one beats in both."""
    assert task.objective is not None
    key, better = task.objective.key, task.objective.better == "higher"
    units = [group.run_ids[0] for group in evidence.groups[task.experiment_id]]
    values = {name: {unit: means[name][unit] for unit in units if unit in means[name]} for name in (key, *others)}
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
    unbeaten_ones = set(best)
    groups = [group for group in evidence.groups[task.experiment_id] if group.run_ids[0] in unbeaten_ones]
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
