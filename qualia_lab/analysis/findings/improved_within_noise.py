"""Versions whose better mean is within noise on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, joined_clauses, number
from qualia_lab.analysis.findings.judged import MOST_IDS, experiment_of, judged_pairs, known_runs, run_names
from qualia_lab.analysis.version_comparison import changed_rows
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.findings.judged import JudgedPair
    from qualia_lab.analysis.version_comparison import ScorerComparison


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest: Minimum number of rows that both versions have.
    """

    fewest: int = 6


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per evaluation that is better than the one before by some scorers, and cannot be told from it by any.

    It adds to a comparison of runs, which sees one mean per run, that the same rows do not show the difference.
    """
    findings = []
    for pair in judged_pairs(evidence):
        tested = [one for one in pair.comparison.scorers if one.scorer.greater_is_better is not None]
        if any(one.verdict in ("better", "worse") for one in tested):
            continue
        improved = [
            one
            for one in tested
            if one.test.n >= thresholds.fewest and one.test.difference and one.scorer.better(one.test.difference)
        ]
        if improved:
            findings.append(_finding(evidence, pair, improved))
    return findings


def _finding(evidence: Evidence, pair: JudgedPair, improved: list[ScorerComparison]) -> Finding:
    prefix, experiment = experiment_of(evidence, pair.experiment_id)
    first, second = run_names(evidence, pair.first.run_id, pair.second.run_id)
    numbers: list[Number] = []
    for one in improved[:MOST_NAMED]:
        numbers += [
            Number("mean", one.first_mean or 0.0, pair.first.run_id),
            Number("mean", one.second_mean or 0.0, pair.second.run_id),
            Number("rows", one.test.n),
            Number("rows better", one.wins),
            Number("rows worse", one.losses),
            Number("corrected p", 1.0 if one.corrected is None else one.corrected),
        ]
    changed = [row for one in improved for row in changed_rows(pair.comparison, one.scorer.name)]
    return Finding(
        "improved_within_noise",
        "answer",
        "note",
        f"{prefix}{second} has a better mean than {first}, within noise on the same rows: "
        f"{joined_clauses([_clause(one) for one in improved])}.",
        known_runs(evidence, (pair.first.run_id, pair.second.run_id)),
        tuple(one.scorer.name for one in improved),
        numbers=tuple(numbers),
        section="evaluations",
        next="Judge more rows with both versions, or choose by cost and latency: these rows do not tell them apart.",
        experiment=experiment,
        trace_ids=tuple(dict.fromkeys(row.row_id for one in changed for row in one.pair.second))[:MOST_IDS],
    )


def _clause(one: ScorerComparison) -> str:
    return (
        f"{one_line(one.scorer.name, 40)} {number(one.second_mean or 0.0)} against {number(one.first_mean or 0.0)} on "
        f"{counted(one.test.n, 'row')}, {one.wins:,} better and {one.losses:,} worse (p = {one.corrected:.2g} after "
        "correction)"
    )


RULE = Rule(
    "improved_within_noise",
    "the mean of a version is better than that of the one before, and the rows of both do not show a difference",
    "McNemar 1947; Fisher 1935; Holm 1979",
    Thresholds(),
    find,
)
