"""Grouping of runs by task, since most findings are about one task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task


def runs_by_task(evidence: Evidence, wanted: Collection[str]) -> Iterator[tuple[Task, list[str]]]:
    """Yield each task that has some of these runs, with those runs in the order of the task."""
    for task in evidence.study.tasks if wanted else ():
        run_ids = [run_id for run_id in task.run_ids if run_id in wanted]
        if run_ids:
            yield task, run_ids


def count_text(how_many: int, task: Task) -> str:
    """`3 of 12 runs`."""
    return f"{how_many:,} of {counted(len(task.run_ids), 'run')}"
