"""Sentences of what a person has to know about the metrics that lead."""

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
    """Of every metric that leads: that its direction is not known, or that what was said and its name disagree."""
    notes = []
    led = dict.fromkeys((task.objective.key, task.objective.better) for task in tasks if task.objective is not None)
    for key, better in led:
        shown, by_name = one_line(key, 100), read_name(key).better
        if better is None:
            notes.append(
                f"Whether more or less {shown} is better is not known: set GREATER_IS_BETTER = True or False in the "
                f"cell of parameters, or pass --metric {shown}:max or --metric {shown}:min."
            )
        elif by_name not in (None, better):
            notes.append(
                f"{_where(key, settings)} says that {_MORE_OR_LESS[better]} {shown} is better; its name says "
                f"{_MORE_OR_LESS[by_name]}."
            )
    return notes


def _where(key: str, settings: StudySettings) -> str:
    """Who says which way a metric is better, where its name does not."""
    if key not in settings.better:
        return "A tag"
    return "[tool.qualia]" if settings.source(f"better.{key}") == "settings" else "GREATER_IS_BETTER"
