"""Notes about the direction of the metrics that are objectives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.escaping import one_line
from qualia_lab.study.metric_names import read_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qualia_lab.study.settings import StudySettings
    from qualia_lab.study.study import Task

_MORE_OR_LESS = {"higher": "more", "lower": "less"}


def direction_notes(tasks: Iterable[Task], settings: StudySettings) -> list[str]:
    """A note for every objective whose given direction contradicts its name.

    Args:
        tasks: the tasks with their objectives.
        settings: the settings, for the source of the direction.
    """
    notes = []
    objectives = dict.fromkeys(
        (task.objective.key, task.objective.better) for task in tasks if task.objective is not None
    )
    for key, better in objectives:
        by_name = read_name(key).better
        if better is not None and by_name not in (None, better):
            notes.append(
                f"{_source(key, settings)} says that {_MORE_OR_LESS[better]} {one_line(key, 100)} is better; its name "
                f"says {_MORE_OR_LESS[by_name]}."
            )
    return notes


def _source(key: str, settings: StudySettings) -> str:
    """The source of a direction that contradicts the metric's name."""
    if key not in settings.better:
        return "A tag"
    return "[tool.qualia]" if settings.source(f"better.{key}") == "settings" else "GREATER_IS_BETTER"
