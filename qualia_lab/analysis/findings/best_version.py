"""The answer of evaluations: the version that leads over its rows, and those from which it cannot be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.evaluations import scorers_of
from qualia_lab.analysis.findings.finding import Finding, Number, Rule
from qualia_lab.analysis.findings.judged import evaluations, experiment_of, known_runs, run_names
from qualia_lab.analysis.findings.version_sentences import describe_versions
from qualia_lab.analysis.leading_version import leading_version
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.evaluations import Evaluation
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.leading_version import LeadingVersion


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest: Minimum number of rows of the leading version.
    """

    fewest: int = 6


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per experiment with two versions or more that the main scorer judged on enough rows."""
    return [
        _finding(evidence, experiment_id, leading)
        for experiment_id, leading in _leading_versions(evidence).items()
        if leading is not None and len(leading.ranked) > 1 and leading.ranked[0].n >= thresholds.fewest
    ]


def unexamined(evidence: Evidence, thresholds: Thresholds) -> list[str]:
    """The experiments with two versions or more of which none can be called better, with the reason."""
    reasons = []
    for experiment_id, leading in _leading_versions(evidence).items():
        prefix = experiment_of(evidence, experiment_id)[0]
        if leading is None:
            reason = "no scorer says which of its values are better"
        elif len(leading.ranked) == 1:
            reason = f"{one_line(leading.scorer.name, 60)} judged only one"
        elif leading.ranked[0].n < thresholds.fewest:
            reason = f"{counted(leading.ranked[0].n, 'row')}, {thresholds.fewest:,} are needed"
        else:
            continue
        reasons.append(f"{prefix}which version is better: {reason}")
    return reasons


def _leading_versions(evidence: Evidence) -> dict[str, LeadingVersion | None]:
    """The versions of each experiment with two evaluations or more by the main scorer; None if it has none."""
    if evidence.traces is None:
        return {}
    columns = (evidence.traces.traces.column(name).to_pylist() for name in ("trace_id", "experiment_id"))
    experiment_of_trace = dict(zip(*columns, strict=True))
    by_experiment: dict[str, list[Evaluation]] = {}
    for one in evaluations(evidence):
        by_experiment.setdefault(experiment_of_trace[one.rows[0].row_id] or "", []).append(one)
    better = evidence.study.settings.greater_is_better
    return evidence.cached(
        "leading versions",
        lambda: {
            experiment_id: leading_version(versions, scorers_of(versions, better))
            for experiment_id, versions in sorted(by_experiment.items())
            if len(versions) > 1
        },
    )


def _finding(evidence: Evidence, experiment_id: str, leading: LeadingVersion) -> Finding:
    prefix, experiment = experiment_of(evidence, experiment_id)
    run_ids = [one.run_id for one in leading.ranked]
    names = dict(zip(run_ids, run_names(evidence, *run_ids), strict=True))
    text = describe_versions(leading, names)
    numbers = [
        Number(what, value, one.run_id)
        for one in leading.ranked[:2]
        for what, value in (("mean", one.mean), ("rows", one.n))
    ]
    numbers.append(Number("versions", len(run_ids)))
    return Finding(
        "best_version",
        "answer",
        "note",
        prefix + text.sentence,
        known_runs(evidence, run_ids),
        (leading.scorer.name,),
        numbers=tuple(numbers),
        section="evaluations",
        code="runs.evaluations.compare()",
        next=text.next,
        experiment=experiment,
    )


RULE = Rule(
    "best_version",
    "versions were evaluated row by row: which one leads by the main scorer, and from which it can be told",
    "McNemar 1947; Fisher 1935; Holm 1979",
    Thresholds(),
    find,
    unexamined,
)
