"""Versions that are better in the mean of all rows and worse on a slice of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number
from qualia_lab.analysis.findings.judged import MOST_IDS, experiment_of, judged_pairs, known_runs, run_names
from qualia_lab.analysis.slices import compare_slices
from qualia_lab.analysis.version_comparison import changed_rows
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.findings.judged import JudgedPair
    from qualia_lab.analysis.slices import Slice


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        alpha: Significance level, corrected over versions, slices and scorers.
    """

    alpha: float = 0.05


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per slice and scorer by which an evaluation is worse than the one before it, on the same rows."""
    pairs = judged_pairs(evidence)
    return [
        _finding(evidence, pair, one)
        for pair in pairs
        for one in compare_slices(pair.comparison, thresholds.alpha / len(pairs))
        if one.is_hidden_regression
    ]


def _finding(evidence: Evidence, pair: JudgedPair, one: Slice) -> Finding:
    prefix, experiment = experiment_of(evidence, pair.experiment_id)
    first, second = run_names(evidence, pair.first.run_id, pair.second.run_id)
    name, compared, overall = one.compared.scorer.name, one.compared, one.overall
    values = (compared.first_mean, compared.second_mean, overall.first_mean, overall.second_mean)
    before, after, all_before, all_after = (0.0 if value is None else value for value in values)
    keys = set(compared.keys)
    worse = [row for row in changed_rows(pair.comparison, name) if row.is_better is False and row.pair.key in keys]
    return Finding(
        "slice_regression",
        "problem",
        "problem",
        f"{prefix}{second} is worse than {first} where {one_line(one.tag, 40)} = {one_line(one.value, 40)}: mean "
        f"{one_line(name, 40)} {number(after)} instead of {number(before)} on the same "
        f"{counted(compared.test.n, 'row')} ({compared.losses:,} worse, {compared.wins:,} better, "
        f"p = {compared.corrected:.2g} after correction), although it is better in the mean of all "
        f"{counted(overall.test.n, 'row')}, {number(all_after)} instead of {number(all_before)}.",
        known_runs(evidence, (pair.first.run_id, pair.second.run_id)),
        (name,),
        numbers=(
            Number("mean on the slice", before, pair.first.run_id),
            Number("mean on the slice", after, pair.second.run_id),
            Number("rows of the slice", compared.test.n),
            Number("rows worse", compared.losses),
            Number("rows better", compared.wins),
            Number("corrected p", compared.corrected or 0.0),
            Number("mean of all rows", all_before, pair.first.run_id),
            Number("mean of all rows", all_after, pair.second.run_id),
            Number("all rows", overall.test.n),
        ),
        section="evaluations",
        next="Read the rows of this slice that got worse side by side before you replace the earlier version.",
        experiment=experiment,
        trace_ids=tuple(row.row_id for changed in worse for row in changed.pair.second)[:MOST_IDS],
    )


RULE = Rule(
    "slice_regression",
    "a version is better than the one before in the mean of the same rows, and worse on those with one value of a tag",
    "McNemar 1947; Fisher 1935; Holm 1979",
    Thresholds(),
    find,
)
