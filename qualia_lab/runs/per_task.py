"""What is computed within one task: of several experiments a block of rows, or a row of panels, each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from qualia_lab.counts import counted
from qualia_lab.errors import QualiaLabError, UnknownKey
from qualia_lab.runs.said import Said, or_said

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import pandas as pd

    from qualia_lab.charts.chart import Chart
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Task

T = TypeVar("T")

MOST_TASKS = 6  # in one chart; a person names another


def chart_per_task(loaded: Loaded, experiment: str | None, draw: Callable[[Task], Chart | Said]) -> Chart | Said:
    """The chart of the one task, or those of several as panels under one another.

    Args:
        loaded: the runs.
        experiment: one by its name or id; None for all.
        draw: draws one task; a sentence where it cannot be drawn.

    Raises:
        UnknownKey: there is no such experiment.
    """
    from qualia_lab.charts.by_experiment import by_experiment

    tasks = loaded.tasks(experiment)
    if not tasks:
        return Said("No run was read.")
    if len(tasks) == 1:
        return or_said(lambda: draw(tasks[0]))
    drawn = [(loaded.called(task), _or_why_not(draw, task)) for task in tasks[:MOST_TASKS]]
    notes = [f"{name}: {made!r}" for name, made in drawn if isinstance(made, Said)]
    if len(tasks) > MOST_TASKS:
        notes.append(f"Showing {MOST_TASKS} of {counted(len(tasks), 'experiment')}; experiment=NAME shows another.")
    charts = [(name, made) for name, made in drawn if not isinstance(made, Said)]
    return by_experiment(charts, notes) if charts else Said(" ".join(notes))


def frame_per_task(
    loaded: Loaded, experiment: str | None, make: Callable[[Task], pd.DataFrame | Said]
) -> pd.DataFrame | Said:
    """The table of the one task, or those of several under one another, with their experiment in the first column.

    `attrs` of several tasks stand by experiment. Arguments as in `chart_per_task`.
    """
    import pandas as pd

    tasks = loaded.tasks(experiment)
    if not tasks:
        return Said("No run was read.")
    if len(tasks) == 1:
        return or_said(lambda: make(tasks[0]))
    made = {task: _or_why_not(make, task) for task in tasks}
    frames = {task: one for task, one in made.items() if isinstance(one, pd.DataFrame)}
    if not frames:
        return Said(" ".join(f"{loaded.called(task)}: {one!r}" for task, one in made.items()))
    attrs: dict[Hashable, Any] = {task.experiment: dict(one.attrs) for task, one in frames.items()}
    attrs |= {task.experiment: {"not shown": repr(one)} for task, one in made.items() if isinstance(one, Said)}
    for task, one in frames.items():
        one.attrs = {}
        one.insert(0, free_name("experiment", one), loaded.called(task))
    frame = pd.concat(frames.values())
    frame.attrs = dict(attrs)
    return frame


def _or_why_not(make: Callable[[Task], T], task: Task) -> T | Said:
    """What is made of one of several tasks; where nothing can be, that is said and the others go on."""
    try:
        return make(task)
    except UnknownKey:
        raise
    except QualiaLabError as error:
        return Said(str(error))


def free_name(name: str, frame: pd.DataFrame) -> str:
    """A column's name, made another where a param or metric has it."""
    return name if name not in frame.columns else f"{name} "
