"""Values, thresholds and pairs of them that set failed runs apart from those that finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, listed
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.analysis.thresholds_apart import conditions_apart, single_conditions
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.names import aside
from qualia_lab.study.setting_columns import param_columns, tag_columns
from qualia_lab.study.statuses import FAILED, FINISHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.thresholds_apart import Condition
    from qualia_lab.study import Study
    from qualia_lab.study.study import Task
    from qualia_lab.tables import RunTables

SIGNS = {"=": "=", ">=": "≥", "<=": "≤"}


@dataclass(frozen=True)
class Thresholds:
    """alpha: of the corrected p.  fewest: failed runs, under which a shared value means nothing."""

    alpha: float = 0.05
    fewest: int = 2


@dataclass(frozen=True)
class _Ended:
    """The failed and the finished runs of a task: of each whether it failed, and its factors as texts."""

    task: Task
    run_ids: tuple[str, ...]
    failed: tuple[bool, ...]
    columns: Mapping[str, Sequence[str | None]]


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per condition under which runs of a task failed more often than chance explains.

    A value that all failed runs of a task have and no finished one is told where the counts are too small to be sure,
    and is said to be possible chance.
    """
    found = []
    asked = [
        (ended, conditions_apart(ended.columns, ended.failed, thresholds.alpha))
        for ended in _by_task(evidence.tables, evidence.study, evidence.status)
        if sum(ended.failed) >= thresholds.fewest
    ]
    ps = [min((one.corrected for one in conditions), default=1.0) for _, conditions in asked]
    limit = limit_over_tasks(ps, thresholds.alpha)
    for ended, at_alpha in asked:
        # Which condition is taken depends on how sure it has to be.
        conditions = at_alpha and (
            at_alpha if limit == thresholds.alpha else conditions_apart(ended.columns, ended.failed, limit)
        )
        if not conditions:
            exact = [one for one in single_conditions(ended.columns, ended.failed, thresholds.alpha) if one.is_exact]
            conditions = [one for one in exact if one.terms[0].relation == "="][:1] or exact[:1]
        found += [_finding(evidence, ended, one, limit) for one in conditions]
    return found


def values_of_failed(evidence: Evidence) -> list[tuple[str, Condition]]:
    """Telling pairs, and every value and threshold that two failed runs have more often than others, by experiment."""
    return [
        (ended.task.experiment, one)
        for ended in _by_task(evidence.tables, evidence.study, evidence.status)
        for one in (
            *(one for one in conditions_apart(ended.columns, ended.failed) if len(one.terms) > 1),
            *single_conditions(ended.columns, ended.failed),
        )
    ]


def condition_text(condition: Condition) -> str:
    """`batch_size ≥ 512 and model = large`."""
    return " and ".join(f"{term.param} {SIGNS[term.relation]} {one_line(term.value, 40)}" for term in condition.terms)


def _by_task(tables: RunTables, study: Study, status: Mapping[str, str]) -> Iterator[_Ended]:
    """Each task with a failed run and a finished one; parents of other runs aside, and seeds and labels."""
    if not any(one in FAILED for one in status.values()):
        return
    aside = {(one.kind, one.key) for one in (*study.params, *study.tags) if one.role in ("seed", "label")}
    params = param_columns(tables)
    of_all = {
        one.name: ([*one.texts, None], one.dense(len(tables.run_ids)))
        for one in (*params, *tag_columns(tables, [one.key for one in params]))
        if (one.kind, one.key) not in aside
    }
    places = {run_id: place for place, run_id in enumerate(tables.run_ids)}
    for task in study.tasks:
        run_ids = tuple(
            run_id for run_id in task.run_ids if status[run_id] in (*FAILED, FINISHED) and run_id not in study.parents
        )
        failed = tuple(status[run_id] in FAILED for run_id in run_ids)
        if any(failed) and not all(failed):
            rows = [places[run_id] for run_id in run_ids]
            of_task = {
                name: [texts[place] for place in codes[rows].tolist()] for name, (texts, codes) in of_all.items()
            }
            yield _Ended(task, run_ids, failed, of_task)


def _finding(evidence: Evidence, ended: _Ended, found: Condition, alpha: float) -> Finding:
    failed, finished = found.failed_with + found.failed_without, found.finished_with + found.finished_without
    who = f"{found.failed_with:,} of {counted(failed, 'failed run')}"
    if not found.failed_without:
        who = "both failed runs" if failed == 2 else f"all {failed:,} failed runs"
    run_ids = [ended.run_ids[row] for row in found.rows if ended.failed[row]]
    if len(run_ids) <= NAMED:
        who += aside(listed(map(evidence.name, run_ids)))
    others = f"{found.finished_with:,} of {counted(finished, 'finished one')}"
    if not found.finished_with:
        others = f"none of the {counted(finished, 'finished one')}"
    sure = found.corrected <= alpha
    end = f"p = {found.corrected:.2g} after correction" + ("" if sure else ", so it may be chance")
    what = (
        ("failed with it", found.failed_with),
        ("failed", failed),
        ("finished with it", found.finished_with),
        ("finished", finished),
        ("corrected p", found.corrected),
    )
    names = tuple(dict.fromkeys(term.param for term in found.terms))
    where = evidence.where(ended.task)
    return Finding(
        "failed_apart",
        "problem",
        "problem" if sure else "note",
        f"{where}{who if where else who[0].upper() + who[1:]} and {others} have {condition_text(found)} ({end}).",
        tuple(run_ids),
        names,
        numbers=tuple(Number(name, value) for name, value in what),
        section="params",
        code="runs.failures.by_value()" + (f".loc[[{code.param(evidence, names[0])}]]" if len(names) == 1 else ""),
        next=f"Read how the logs of {listed(map(evidence.name, run_ids[:2]))} end, and "
        + ("leave such settings out or give them what they lack." if sure else "run one of these settings again."),
        experiment=evidence.experiment(ended.task),
    )


RULE = Rule(
    "failed_apart",
    "a value, a threshold or a pair of them is more frequent among failed runs than chance explains",
    "Fisher 1935; Tarone 1990",
    Thresholds(),
    find,
)
