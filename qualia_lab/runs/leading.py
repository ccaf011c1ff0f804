"""Which runs and configurations lead: they have a colour of their own, the same in every chart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qualia_lab.analysis.histories import real
from qualia_lab.runs.answers import answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.groups import Group
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Task


def leading_first(loaded: Loaded, task: Task) -> list[str]:
    """Order the runs of a task by its objective, best first; those that take part in no comparison are last.

    Returns:
        Run ids; if at most two thirds as many configurations as runs are compared, the ids of each configuration in
        one entry, separated by spaces.
    """
    if task.objective is None:
        return list(task.run_ids)
    sign = 1 if loaded.better(task.objective.key) is False else -1
    groups = [group for group in loaded.groups_of(task, task.objective.key) if group.values]
    scored = sum(len(group.scored) for group in groups)
    if len(groups) > 1 and len(groups) * 3 <= scored * 2:
        answer = answers(loaded).get(task.experiment_id)
        ranked = answer.groups if answer else sorted(groups, key=lambda group: _mean_key(group, sign))
        entries = [" ".join(group.run_ids) for group in ranked]
    else:
        counted = loaded.counted(task)
        values = dict(zip(counted, real(loaded.latest(task.objective.key, counted)).tolist(), strict=True))
        entries = sorted(
            (run_id for run_id in counted if math.isfinite(values[run_id])), key=lambda run_id: sign * values[run_id]
        )
    return [*entries, *_without(entries, task.run_ids)]


def _mean_key(group: Group, sign: int) -> float:
    return sign * (group.mean if group.mean is not None else math.inf)


def _without(entries: Sequence[str], run_ids: Sequence[str]) -> list[str]:
    ordered = {run_id for entry in entries for run_id in entry.split(" ")}
    return [run_id for run_id in run_ids if run_id not in ordered]
