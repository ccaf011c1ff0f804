"""Which runs and configurations lead: they have a colour of their own, the same in every chart."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from qualia_lab.runs.answers import answers
from qualia_lab.runs.values import values_of

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
    values = values_of(loaded, task, task.objective.key)
    configurations = sum(not values.keys().isdisjoint(one.run_ids) for one in loaded.study.in_task(task))
    if are_repeated(configurations, len(values)):
        answer = answers(loaded).get(task.experiment_id)
        groups = answer.groups if answer else _by_mean(loaded, task, sign)
        entries = [" ".join(group.run_ids) for group in groups]
    else:
        entries = sorted(values, key=lambda run_id: sign * values[run_id])
    return [*entries, *_without(entries, task.run_ids)]


def are_repeated(configurations: int, runs: int) -> bool:
    """Whether there are several configurations, and at most two thirds as many as runs."""
    return configurations > 1 and configurations * 3 <= runs * 2


def _by_mean(loaded: Loaded, task: Task, sign: int) -> list[Group]:
    return sorted((one for one in loaded.groups_of(task) if one.values), key=lambda group: sign * fmean(group.values))


def _without(entries: Sequence[str], run_ids: Sequence[str]) -> list[str]:
    ordered = {run_id for entry in entries for run_id in entry.split(" ")}
    return [run_id for run_id in run_ids if run_id not in ordered]
