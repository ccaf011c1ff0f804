"""Whether the order of configurations on validation data is that on test data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.configuration_means import means_of
from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import Finding, Number, Rule
from qualia_lab.analysis.findings.naming import configuration_names
from qualia_lab.analysis.monotone import monotone_relations

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """configurations: with both metrics, so many are needed.  alpha: p of the correlation, over which it is chance."""

    configurations: int = 8
    alpha: float = 0.05


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: the objective on validation data says little of the same metric on test data.

    Spearman's rank correlation (Spearman 1904) over the means of configurations, which is no more than chance where
    that many would be as alike in `alpha` of cases. Nothing is said where the two orders agree, as they should.
    """
    found = []
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
        relations = monotone_relations({key: both[key]}, both[twin])  # none where a metric is the same in all
        if relations and relations[0].p > thresholds.alpha:
            found.append(_finding(evidence, task, twin, means, relations[0].rho))
    return found


def _test_twin(evidence: Evidence, task: Task) -> str | None:
    """The same metric as the objective on test data, where the objective is of validation data."""
    study, objective = evidence.study, task.objective
    if objective is None or objective.better is None or study.metric[objective.key].split != "validation":
        return None
    own = study.metric[objective.key]
    return next(
        (
            one.key
            for one in study.metrics
            if one.split == "test" and one.family and one.family == own.family and one.better == own.better
        ),
        None,
    )


def _finding(evidence: Evidence, task: Task, twin: str, means: dict[str, dict[str, float]], rho: float) -> Finding:
    assert task.objective is not None
    units = [unit for unit in means[task.objective.key] if unit in means[twin]]
    both = set(units)
    key, sign = task.objective.key, 1 if task.objective.better == "lower" else -1
    groups = [one for one in evidence.groups[task.experiment_id] if one.run_ids[0] in both]
    names = configuration_names(evidence.study, groups, evidence.labels)
    first, other = (min(units, key=lambda unit: sign * means[of][unit]) for of in (key, twin))
    place = 1 + sum(sign * means[twin][unit] < sign * means[twin][first] for unit in units)
    leads = f"the best by {key}, {names[first]}, is number {place} of {len(units)} by {twin}"
    leads += f", where {names[other]} is first" if place > 1 else ""
    return Finding(
        "carries_over",
        "provenance",
        "note",
        f"{evidence.where(task)}{key} says little of {twin}: their orders of {len(units)} configurations are no more "
        f"alike than chance would have it (rank correlation {rho:.2f}); {leads}.",
        (),
        (key, twin),
        numbers=(Number("rank correlation", rho), Number("configurations", len(units)), Number("place", place)),
        section="metrics",
        code=f"runs.candidates([{code.metric(evidence, twin)}], limit=1_000_000).filter(like='mean ').dropna()"
        f".rank(ascending={sign > 0}, method='min')"
        ".pipe(lambda of: of.assign(correlation=of.corr('spearman').iloc[0, 1]))",
        next="Compare on more validation data or over several seeds before trusting the order.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "carries_over",
    "the objective on validation data and the same metric on test data order configurations no more alike than chance",
    "Spearman 1904",
    Thresholds(),
    find,
)
