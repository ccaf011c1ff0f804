"""Param values, thresholds and pairs of conditions that separate failed runs from finished ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.failure_conditions import failure_conditions, is_testable, single_conditions
from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, listed
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.names import aside
from qualia_lab.study.setting_columns import param_columns, tag_columns
from qualia_lab.study.statuses import FAILED, FINISHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.analysis.failure_conditions import Condition
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study import Study
    from qualia_lab.study.study import Task
    from qualia_lab.tables import RunTables

SIGNS = {"=": "=", ">=": "≥", "<=": "≤"}


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        alpha: Significance level of the corrected p value.
        fewest: Minimum number of failed runs.
    """

    alpha: float = 0.05
    fewest: int = 2


@dataclass(frozen=True)
class _EndedRuns:
    """The failed and finished runs of a task, whether each failed, and their factors as text columns."""

    task: Task
    run_ids: tuple[str, ...]
    failed: tuple[bool, ...]
    columns: Mapping[str, Sequence[str | None]]


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per condition under which runs of a task failed more often than chance explains.

    A value that all failed runs of a task have and no finished run has is also reported if the counts are too small for
    significance; the sentence then says that it may be chance.
    """
    findings = []
    candidates = [
        (ended, failure_conditions(ended.columns, ended.failed, thresholds.alpha))
        for ended in _ended_runs_by_task(evidence.tables, evidence.study, evidence.status)
        if sum(ended.failed) >= thresholds.fewest and is_testable(ended.columns, ended.failed)
    ]
    ps = [min((one.corrected for one in conditions), default=1.0) for _, conditions in candidates]
    limit = limit_over_tasks(ps, thresholds.alpha)
    for ended, at_alpha in candidates:
        # The selected conditions depend on the significance level.
        conditions = at_alpha and (
            at_alpha if limit == thresholds.alpha else failure_conditions(ended.columns, ended.failed, limit)
        )
        if not conditions:
            exact = [one for one in single_conditions(ended.columns, ended.failed, thresholds.alpha) if one.is_exact]
            conditions = [one for one in exact if one.terms[0].relation == "="][:1] or exact[:1]
        findings += [_finding(evidence, ended, one, limit) for one in conditions]
    return findings


def values_of_failed(evidence: Evidence) -> list[tuple[str, Condition]]:
    """The separating pairs, and every value and threshold more frequent among failed runs, each with its experiment.

    Args:
        evidence: The runs.

    Returns:
        Pairs of an experiment name and a condition.
    """
    return [
        (ended.task.experiment, condition)
        for ended in _ended_runs_by_task(evidence.tables, evidence.study, evidence.status)
        for condition in (
            *(condition for condition in failure_conditions(ended.columns, ended.failed) if len(condition.terms) > 1),
            *single_conditions(ended.columns, ended.failed),
        )
    ]


def condition_text(condition: Condition) -> str:
    """`batch_size ≥ 512 and model = large`."""
    return " and ".join(f"{term.param} {SIGNS[term.relation]} {one_line(term.value, 40)}" for term in condition.terms)


def _ended_runs_by_task(tables: RunTables, study: Study, status: Mapping[str, str]) -> Iterator[_EndedRuns]:
    """Yield each task with failed and finished runs, without parent runs, seeds and labels."""
    if not any(one in FAILED for one in status.values()):
        return
    excluded = {(one.kind, one.key) for one in (*study.params, *study.tags) if one.role in ("seed", "label")}
    of_all = {
        column.name: ([*column.texts, None], column.dense(len(tables.run_ids)))
        for column in (*param_columns(tables), *tag_columns(tables))
        if (column.kind, column.key) not in excluded
    }
    for task in study.tasks:
        run_ids = tuple(
            run_id for run_id in task.run_ids if status[run_id] in (*FAILED, FINISHED) and run_id not in study.parents
        )
        failed = tuple(status[run_id] in FAILED for run_id in run_ids)
        if any(failed) and not all(failed):
            rows = [tables.positions[run_id] for run_id in run_ids]
            of_task = {
                name: [texts[position] for position in codes[rows].tolist()] for name, (texts, codes) in of_all.items()
            }
            yield _EndedRuns(task, run_ids, failed, of_task)


def _finding(evidence: Evidence, ended: _EndedRuns, condition: Condition, alpha: float) -> Finding:
    failed, finished = (
        condition.failed_with + condition.failed_without,
        condition.finished_with + condition.finished_without,
    )
    subject = f"{condition.failed_with:,} of {counted(failed, 'failed run')}"
    if not condition.failed_without:
        subject = "both failed runs" if failed == 2 else f"all {failed:,} failed runs"
    run_ids = [ended.run_ids[row] for row in condition.rows if ended.failed[row]]
    if len(run_ids) <= MOST_NAMED:
        subject += aside(listed(map(evidence.name, run_ids)))
    others = f"{condition.finished_with:,} of {counted(finished, 'finished one')}"
    if not condition.finished_with:
        others = f"none of the {counted(finished, 'finished one')}"
    is_significant = condition.corrected <= alpha
    end = f"p = {condition.corrected:.2g} after correction" + ("" if is_significant else ", so it may be chance")
    values = (
        ("failed with it", condition.failed_with),
        ("failed", failed),
        ("finished with it", condition.finished_with),
        ("finished", finished),
        ("corrected p", condition.corrected),
    )
    names = tuple(dict.fromkeys(term.param for term in condition.terms))
    where = evidence.prefix(ended.task)
    return Finding(
        "failed_apart",
        "problem",
        "problem" if is_significant else "note",
        f"{where}{subject if where else subject[0].upper() + subject[1:]} and {others} have "
        f"{condition_text(condition)} ({end}).",
        tuple(run_ids),
        names,
        numbers=tuple(Number(name, value) for name, value in values),
        section="params",
        code="runs.failures.by_value()"
        + (f".loc[[{expressions.param(evidence, names[0])}]]" if len(names) == 1 else ""),
        next=f"Read how the logs of {listed(map(evidence.name, run_ids[:2]))} end, and "
        + (
            "leave such settings out or give them what they lack."
            if is_significant
            else "run one of these settings again."
        ),
        experiment=evidence.experiment(ended.task),
    )


RULE = Rule(
    "failed_apart",
    "a param value, a threshold or a pair of them is more frequent among failed runs than chance explains",
    "Fisher 1935; Tarone 1990",
    Thresholds(),
    find,
)
