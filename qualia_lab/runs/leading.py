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
    counted = loaded.counted(task)
    values = dict(zip(counted, real(loaded.latest(task.objective.key, counted)).tolist(), strict=True))
    scored = {run_id for run_id, value in values.items() if math.isfinite(value)}
    if _are_repeated(loaded, task, scored):
        groups = [group for group in loaded.groups_of(task, task.objective.key) if group.values]
        answer = answers(loaded).get(task.experiment_id)
        ranked = answer.groups if answer else sorted(groups, key=lambda group: _mean_key(group, sign))
        entries = [" ".join(group.run_ids) for group in ranked]
    else:
        entries = sorted((run_id for run_id in counted if run_id in scored), key=lambda run_id: sign * values[run_id])
    return [*entries, *_without(entries, task.run_ids)]


def _are_repeated(loaded: Loaded, task: Task, scored: set[str]) -> bool:
    """Whether there are several configurations of these runs, and at most two thirds as many as runs."""
    configurations = sum(
        not scored.isdisjoint(one.run_ids)
        for one in loaded.study.configurations
        if one.experiment_id == task.experiment_id
    )
    return configurations > 1 and configurations * 3 <= len(scored) * 2


def _mean_key(group: Group, sign: int) -> float:
    return sign * (group.mean if group.mean is not None else math.inf)


def _without(entries: Sequence[str], run_ids: Sequence[str]) -> list[str]:
    ordered = {run_id for entry in entries for run_id in entry.split(" ")}
    return [run_id for run_id in run_ids if run_id not in ordered]
