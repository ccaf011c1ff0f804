"""The answer of evaluations: the version that leads over its rows, and those from which it cannot be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.evaluations import scorers_of
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, listed, number
from qualia_lab.analysis.findings.judged import evaluations, experiment_of, known_runs, run_names
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
    """One finding per experiment with two evaluated versions or more whose main scorer tells any apart in its mean."""
    return [
        _finding(evidence, experiment_id, leading)
        for experiment_id, leading in leading_versions(evidence).items()
        if len(leading.ranked) > 1
        and leading.ranked[0].n >= thresholds.fewest
        and leading.ranked[0].mean != leading.ranked[-1].mean
    ]


def leading_versions(evidence: Evidence) -> dict[str, LeadingVersion]:
    """The versions of each experiment with evaluations, by the main scorer."""
    return evidence.cached("leading versions", lambda: _leading_versions(evidence))


def _leading_versions(evidence: Evidence) -> dict[str, LeadingVersion]:
    if evidence.traces is None:
        return {}
    columns = (evidence.traces.traces.column(name).to_pylist() for name in ("trace_id", "experiment_id"))
    experiment_of_trace = dict(zip(*columns, strict=True))
    by_experiment: dict[str, list[Evaluation]] = {}
    for one in evaluations(evidence):
        by_experiment.setdefault(experiment_of_trace[one.rows[0].row_id] or "", []).append(one)
    better = evidence.study.settings.greater_is_better
    found = {}
    for experiment_id, versions in sorted(by_experiment.items()):
        leading = leading_version(versions, scorers_of(versions, better))
        if leading is not None:
            found[experiment_id] = leading
    return found


def _finding(evidence: Evidence, experiment_id: str, leading: LeadingVersion) -> Finding:
    prefix, experiment = experiment_of(evidence, experiment_id)
    run_ids = [one.run_id for one in leading.ranked]
    names = dict(zip(run_ids, run_names(evidence, *run_ids), strict=True))
    first, second = leading.ranked[:2]
    scorer = one_line(leading.scorer.name, 60)
    worse = [names[run_id] for run_id in leading.told_apart]
    others = [names[run_id] for run_id in run_ids[1:] if run_id not in leading.told_apart]
    sentence = (
        f"{prefix}{names[first.run_id]} leads by {scorer} with {number(first.mean)} on {counted(first.n, 'row')}, "
        f"before {names[second.run_id]} with {number(second.mean)} on {second.n:,}."
    )
    told = [f"it is better than {listed(worse)}"] if worse else []
    told += [f"it cannot be told from {listed(others)}"] if others else []
    sentence += f" Over the same rows, {' and '.join(told)}; p is corrected for all pairs of {len(run_ids)} versions."
    numbers = [
        Number(what, value, one.run_id)
        for one in (first, second)
        for what, value in (("mean", one.mean), ("rows", one.n))
    ]
    numbers.append(Number("versions", len(run_ids)))
    return Finding(
        "best_version",
        "answer",
        "note",
        sentence,
        known_runs(evidence, run_ids),
        (leading.scorer.name,),
        numbers=tuple(numbers),
        section="evaluations",
        code="runs.evaluations.compare()",
        next="Judge more rows with the versions that cannot be told apart, or choose among them by cost."
        if others
        else "Look at the rows on which it is worse before it replaces the others.",
        experiment=experiment,
    )


RULE = Rule(
    "best_version",
    "versions were evaluated row by row: which one leads by the main scorer, and from which it can be told",
    "McNemar 1947; Fisher 1935; Holm 1979",
    Thresholds(),
    find,
)
