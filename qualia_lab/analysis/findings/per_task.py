"""Runs by their tasks: what a rule says is said of each task by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task


def runs_by_task(evidence: Evidence, wanted: Container[str]) -> Iterator[tuple[Task, list[str]]]:
    """Each task that has some of these runs, with these in the order of the task."""
    for task in evidence.study.tasks:
        found = [run_id for run_id in task.run_ids if run_id in wanted]
        if found:
            yield task, found


def some_of(how_many: int, task: Task) -> str:
    """`3 of 12 runs`."""
    return f"{how_many:,} of {counted(len(task.run_ids), 'run')}"
