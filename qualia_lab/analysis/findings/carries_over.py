"""Agreement between the ranking of configurations on validation data and on test data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.configuration_means import means_of
from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import Finding, Number, Rule
from qualia_lab.analysis.findings.naming import configuration_names
from qualia_lab.analysis.monotone import monotone_relations

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        configurations: Minimum number of configurations with both metrics.
        alpha: p of the rank correlation above which it is no more than chance.
    """

    configurations: int = 8
    alpha: float = 0.05


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: the validation metric does not predict the same metric on test data.

    Spearman's rank correlation (Spearman 1904) over the means of configurations. It counts as chance if the p value
    exceeds `alpha`. There is no finding if the two rankings agree, as they should.
    """
    findings = []
    for task in evidence.study.tasks:
        twin = _test_twin(evidence, task)
        if twin is None or task.objective is None:
            continue
        key = task.objective.key
        means = {of: means_of(evidence.study, evidence.values(of), task, evidence.diverged) for of in (key, twin)}
        units = [unit for unit in means[key] if unit in means[twin]]
        if len(units) < max(4, thresholds.configurations):
            continue
        both = {of: [means[of][unit] for unit in units] for of in (key, twin)}
        relations = monotone_relations({key: both[key]}, both[twin])  # empty if a metric is constant
        if relations and relations[0].p > thresholds.alpha:
            findings.append(_finding(evidence, task, twin, means, relations[0].rho))
    return findings


def _test_twin(evidence: Evidence, task: Task) -> str | None:
    """The metric on test data that corresponds to the objective, if the objective is measured on validation data."""
    study, objective = evidence.study, task.objective
    if objective is None or objective.better is None or study.metric[objective.key].split != "validation":
        return None
    own = study.metric[objective.key]
    return next(
        (
            metric.key
            for metric in study.metrics
            if metric.split == "test" and metric.family and metric.family == own.family and metric.better == own.better
        ),
        None,
    )


def _finding(evidence: Evidence, task: Task, twin: str, means: dict[str, dict[str, float]], rho: float) -> Finding:
    assert task.objective is not None
    units = [unit for unit in means[task.objective.key] if unit in means[twin]]
    with_both = set(units)
    key, sign = task.objective.key, 1 if task.objective.better == "lower" else -1
    groups = [one for one in evidence.groups[task.experiment_id] if one.run_ids[0] in with_both]
    names = configuration_names(evidence.study, groups, evidence.labels)
    first, other = (min(units, key=lambda unit: sign * means[of][unit]) for of in (key, twin))
    rank_on_test = 1 + sum(sign * means[twin][unit] < sign * means[twin][first] for unit in units)
    ranking = f"the best by {key}, {names[first]}, is number {rank_on_test} of {len(units)} by {twin}"
    ranking += f", where {names[other]} is first" if rank_on_test > 1 else ""
    return Finding(
        "carries_over",
        "provenance",
        "note",
        f"{evidence.prefix(task)}{key} says little about {twin}: their rankings of {len(units)} configurations are no "
        f"more alike than chance would have it (rank correlation {rho:.2f}); {ranking}.",
        (),
        (key, twin),
        numbers=(Number("rank correlation", rho), Number("configurations", len(units)), Number("place", rank_on_test)),
        section="metrics",
        code=f"runs.candidates([{expressions.metric(evidence, twin)}], limit=1_000_000).filter(like='mean ').dropna()"
        f".rank(ascending={sign > 0}, method='min')"
        ".pipe(lambda of: of.assign(correlation=of.corr('spearman').iloc[0, 1]))",
        next="Compare on more validation data or over several seeds before trusting the order.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "carries_over",
    "the objective on validation data and the same metric on test data rank configurations no more alike than chance",
    "Spearman 1904",
    Thresholds(),
    find,
)
