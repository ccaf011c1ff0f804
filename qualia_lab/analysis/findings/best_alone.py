"""A best run with a commit or data set of its own, while all other runs share theirs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from qualia_lab.analysis.differs import short_commit
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number
from qualia_lab.analysis.sides import COMMIT
from qualia_lab.columns import texts_of
from qualia_lab.escaping import one_line
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task

_DATA_COLUMNS = ["run_id", "name", "source_type", "context", "digest"]


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest: Number of other runs whose commit or data is known and shared by several of them.
    """

    fewest: int = 3


class _Scored(NamedTuple):
    """A run, its value of the objective, and whether its configuration has other runs."""

    run_id: str
    value: float
    repeated: bool


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task, about the best run.

    What all runs of a configuration share is compared by the rule `confounded`. A commit is compared if the other runs
    share theirs; data are compared if data sets of the same name and source type have different digests.
    """
    findings = []
    for task in evidence.study.tasks:
        answer = evidence.answers.get(task.experiment_id)
        if answer is None or len(answer.groups) < 2:
            continue
        best, *others = _best_first(answer)
        if best.value == others[0].value:
            continue
        clauses = [
            clause
            for known in (_commits(evidence), *_digests(evidence, best.run_id))
            if (clause := _unique_value_clause(known, best.run_id, [one.run_id for one in others], thresholds.fewest))
        ]
        if clauses:
            findings.append(_finding(evidence, task, answer.leader.metric, best, clauses))
    return findings


def _best_first(answer: Answer) -> list[_Scored]:
    """All runs of the configurations, the best value first."""
    runs = [
        _Scored(run_id, value, len(group.values) > 1)
        for group in answer.groups
        for run_id, value in zip(group.scored, group.values, strict=True)
    ]
    return sorted(runs, key=lambda one: one.value, reverse=bool(answer.leader.greater_is_better))


def _commits(evidence: Evidence) -> tuple[str, dict[str, str]]:
    return evidence.cached("commits", lambda: _read_commits(evidence))


def _read_commits(evidence: Evidence) -> tuple[str, dict[str, str]]:
    rows = rows_with(evidence.tables.tags, "key", [COMMIT])
    return "commit", {
        run_id: short_commit(value)
        for run_id, value in zip(*(texts_of(rows.column(name)) for name in ("run_id", "value")), strict=True)
        if value
    }


def _digests(evidence: Evidence, best: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the digest per run, for each data set of the best run."""
    rows = evidence.cached("data sets", lambda: evidence.tables.datasets.select(_DATA_COLUMNS).to_pylist())
    of_best = {(row["name"], row["source_type"], row["context"]) for row in rows if row["run_id"] == best}
    for name, source, context in sorted(of_best, key=str):
        yield (
            f"data set {one_line(name or '', 40)}",
            {
                row["run_id"]: row["digest"]
                for row in rows
                if (row["name"], row["source_type"], row["context"]) == (name, source, context) and row["digest"]
            },
        )


def _unique_value_clause(known: tuple[str, dict[str, str]], best: str, others: Sequence[str], fewest: int) -> str:
    """`commit abc alone, all others that recorded it on def`; "" if the value of the best run is not unique."""
    kind, value_of = known
    values = Counter(value_of[run_id] for run_id in others if run_id in value_of)
    if best not in value_of or value_of[best] in values or values.total() < fewest:
        return ""
    if len(values) > 1 and min(values.values()) == 1:
        return ""  # another run also has a value of its own
    other_values = ", ".join(f"{one_line(value, 12)}" for value, _ in values.most_common(3))
    return f"{kind} {one_line(value_of[best], 12)} alone, all others that recorded it on {other_values}"


def _finding(evidence: Evidence, task: Task, metric: str, best: _Scored, clauses: Sequence[str]) -> Finding:
    return Finding(
        "best_alone",
        "provenance",
        "warning",
        f"{evidence.prefix(task)}{evidence.name(best.run_id)}, the best run ({metric} {number(best.value)}), is "
        f"on {'; and on '.join(clauses)}.",
        (best.run_id,),
        (metric,),
        numbers=(Number(metric, best.value, best.run_id),),
        section="origins",
        code="runs.scores()",
        next="Run its repeats on the same code and data, too, before you average it with them."
        if best.repeated
        else "Run the next best on the same code and data before you attribute the lead to its params.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "best_alone",
    "the best run has a commit or data set of its own, while all other runs share theirs",
    "",
    Thresholds(),
    find,
)
