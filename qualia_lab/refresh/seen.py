"""Look at runs: what of them is compared with an earlier look, and findings that a watch shall end on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import all_rules
from qualia_lab.analysis.run_events import TROUBLES, SeenRuns, SeenTask
from qualia_lab.analysis.scores import scores
from qualia_lab.runs import Runs
from qualia_lab.runs.labels import labels_of
from qualia_lab.study.statuses import FINISHED, statuses_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.runs.traces import Traces
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.study.study import Study, Task
    from qualia_lab.tables import RunTables


def look_at(
    store: TrackingStore, tables: RunTables, study: Study, rules: Collection[str] | None = ()
) -> tuple[SeenRuns, tuple[Finding, ...]]:
    """Return what is seen of some runs.

    Args:
        store: their store, from which the metric histories are read.
        tables: their tables.
        study: how they are interpreted.
        rules: the rules whose findings are wanted; None for all.

    Returns:
        What is seen, and the findings of these rules and of those that events are made of.
    """
    wanted = None if rules is None else {*rules, *TROUBLES}
    off = {rule.name: False for rule in all_rules() if wanted is not None and rule.name not in wanted}
    findings = Runs(store, tables, study).find(off)
    statuses = statuses_of(tables)
    troubles = {
        (finding.rule, run_id): step
        for finding in findings
        if finding.rule in TROUBLES
        for run_id, step in zip(finding.run_ids, finding.steps, strict=True)
    }
    compared = {
        run_id
        for run_id, status in statuses.items()
        if status == FINISHED and run_id not in study.left_out and ("diverged", run_id) not in troubles
    }
    seen = SeenRuns(
        labels=labels_of(tables),
        statuses=statuses,
        tasks={task.experiment_id: _seen_task(task, tables, study, compared) for task in study.tasks},
        task_of={run_id: task.experiment_id for task in study.tasks for run_id in task.run_ids},
        troubles=troubles,
    )
    return seen, findings


def findings_in_traces(traces: Traces, rules: Collection[str] | None = ()) -> tuple[Finding, ...]:
    """Return the findings of these rules.

    Args:
        traces: the traces; spans are read from their store.
        rules: the rules whose findings are wanted; None for all.
    """
    if rules is not None and not rules:
        return ()
    return traces.find({rule.name: False for rule in all_rules() if rules is not None and rule.name not in rules})


def _seen_task(task: Task, tables: RunTables, study: Study, compared: Collection[str]) -> SeenTask:
    name = task.experiment if len(study.tasks) > 1 else ""
    if task.objective is None:
        return SeenTask(name)
    known = scores(tables, task.objective.key).values
    values = {run_id: known[run_id] for run_id in task.run_ids if run_id in known and run_id in compared}
    return SeenTask(name, task.objective.key, task.objective.better, values)
