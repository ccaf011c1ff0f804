"""Runs that repeat one computation or may do so, and runs of the same seed with different results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, listed
from qualia_lab.analysis.findings.same_seed import (
    compared_metrics,
    has_different_values,
    same_seed_different_scores,
    split_by_labels,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.findings.finding import Severity

_PLAIN_DIGITS = 6  # beyond that, the differing digit is given in words


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest: Minimum number of runs of one computation or seed.
    """

    fewest: int = 2


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """Copies and possible copies as the study lists them, and runs of equal settings, seed, code and data that differ.

    Only objectives and metrics of training are compared. Runs without a seed that differ are repeats.
    """
    fewest = max(2, int(thresholds.fewest))
    sets: dict[str, list[str]] = {}
    for run_id, first in evidence.study.copies.items():
        sets.setdefault(first, [first]).append(run_id)
    copies = [one for one in sets.values() if len(one) >= fewest]
    possible_copies = [one for one in evidence.study.possible_copies if len(one) >= fewest]
    others = [one for one in same_seed_different_scores(evidence) if len(one) >= fewest]
    differing = split_by_labels(evidence, others)
    return [
        *([_copies_finding(evidence, copies)] if copies else []),
        *([_possible_copies_finding(evidence, possible_copies)] if possible_copies else []),
        *([_differing_finding(evidence, differing)] if differing else []),
    ]


def _copies_finding(evidence: Evidence, sets: Sequence[Sequence[str]]) -> Finding:
    clauses, numbers = _clauses(evidence, sets, _equal_clause)
    is_rounded = any(
        has_different_values(evidence, one, key) for one in sets for key in compared_metrics(evidence, one)
    )
    scores = "and, but for rounding, in every score" if is_rounded else "and to the last digit of every score"
    what = f"equal in every setting {scores}"
    return _finding(
        evidence,
        sets,
        f"{clauses} are one computation, {what}: it counts once."
        if len(sets) == 1
        else f"Runs that are {what} are one computation, which counts once: {clauses}.",
        numbers,
        what_next="Change the seed for an independent repeat.",
    )


def _possible_copies_finding(evidence: Evidence, sets: Sequence[Sequence[str]]) -> Finding:
    clauses, numbers = _clauses(evidence, sets, _equal_clause)
    return _finding(
        evidence,
        sets,
        f"May be copies, since no seed is recorded and their scores are equal: {clauses}. They count as separate runs.",
        numbers,
        what_next="Log the seed of every run.",
    )


def _differing_finding(evidence: Evidence, sets: Sequence[Sequence[str]]) -> Finding:
    clauses, numbers = _clauses(evidence, sets, _differing_clause)
    return _finding(
        evidence,
        sets,
        f"Same configuration, seed, code and data, different results: {clauses}.",
        numbers,
        what_next="Look for what the seed does not fix, such as the order of the data or of sums on a GPU.",
        severity="warning",
    )


def _finding(
    evidence: Evidence,
    sets: Sequence[Sequence[str]],
    sentence: str,
    numbers: list[Number],
    *,
    what_next: str,
    severity: Severity = "note",
) -> Finding:
    tasks = {evidence.study.task_of[one[0]].experiment_id: evidence.study.task_of[one[0]] for one in sets}
    shown = [run_id for one in sets[:MOST_NAMED] for run_id in one[:MOST_NAMED]]
    key = compared_metrics(evidence, sets[0])[:1]
    return Finding(
        "duplicates",
        "provenance",
        severity,
        sentence,
        tuple(run_id for one in sets for run_id in one),
        tuple(key),
        numbers=tuple(numbers),
        section="params",
        code=f"runs.overview(metrics=[{', '.join(expressions.metric(evidence, one) for one in key)}])"
        f".iloc[{expressions.positions(evidence, shown)}]",
        next=what_next,
        experiment=evidence.experiment(next(iter(tasks.values()))) if len(tasks) == 1 else "",
    )


def _clauses(
    evidence: Evidence,
    sets: Sequence[Sequence[str]],
    clause: Callable[[Evidence, Sequence[str]], tuple[str, list[Number]]],
) -> tuple[str, list[Number]]:
    """The clauses for the first sets with the number of further sets, and their numbers."""
    clauses = [clause(evidence, one) for one in sets[:MOST_NAMED]]
    more = f"; and {len(sets) - MOST_NAMED:,} more sets" if len(sets) > MOST_NAMED else ""
    numbers = [number for _, some in clauses for number in some]
    return "; ".join(text for text, _ in clauses) + more, numbers


def _equal_clause(evidence: Evidence, run_ids: Sequence[str]) -> tuple[str, list[Number]]:
    keys = compared_metrics(evidence, run_ids)
    names = listed(map(evidence.name, run_ids))
    if not keys:
        return names, []
    value = evidence.metrics[run_ids[0]][keys[0]]
    return f"{names} ({keys[0]} {value:.4g})", [Number(keys[0], value, run_ids[0])]


def _differing_clause(evidence: Evidence, run_ids: Sequence[str]) -> tuple[str, list[Number]]:
    key = next(key for key in compared_metrics(evidence, run_ids) if has_different_values(evidence, run_ids, key))
    of_values = {evidence.metrics[run_id][key]: run_id for run_id in reversed(run_ids)}  # the first run with each value
    shown = sorted(of_values.values(), key=run_ids.index)[:MOST_NAMED]
    named = [*shown, *(run_id for run_id in run_ids if run_id not in shown)]
    values = [evidence.metrics[run_id][key] for run_id in shown]
    numbers = [Number(key, value, run_id) for value, run_id in zip(values, shown, strict=True)]
    digits = _digits_apart(values)
    if digits <= _PLAIN_DIGITS:
        results = f"{key} {listed(f'{value:#.{max(4, digits)}g}' for value in values)}"
    else:
        results = f"{key} {values[0]:.{_PLAIN_DIGITS}g}, different from the {digits}th digit on"
    return f"{listed(map(evidence.name, named))} ({_seed_text(evidence, run_ids[0])}; {results})", numbers


def _digits_apart(values: Sequence[float]) -> int:
    """The number of significant digits needed to make all different values look different."""
    different = set(values)
    return next(digits for digits in range(1, 18) if len({f"{one:.{digits}g}" for one in different}) == len(different))


def _seed_text(evidence: Evidence, run_id: str) -> str:
    """`seed=3`, as logged by the run."""
    params, seeds = evidence.params[run_id], evidence.study.seeds
    return listed(f"{name}={params[name]}" for name in seeds if name in params) or "same seed"


RULE = Rule(
    "duplicates",
    "runs are or may be one computation, or have different results with equal configuration, seed, code and data",
    "",
    Thresholds(),
    find,
)
