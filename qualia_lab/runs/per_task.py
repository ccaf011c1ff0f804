"""Compute a table or chart for each task: with several experiments, a block of rows or a row of panels each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from qualia_lab.counts import counted
from qualia_lab.errors import QualiaLabError, UnknownKey
from qualia_lab.runs.message import Message, or_message

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import pandas as pd

    from qualia_lab.charts.chart import Chart
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Task

T = TypeVar("T")

MOST_TASKS = 6  # experiments in one chart; others are chosen by name


def chart_per_task(
    loaded: Loaded, experiment: str | None, draw: Callable[[Task], Chart | Message], *, largest: int | None = None
) -> Chart | Message:
    """The chart of the only task, or the charts of several tasks as panels.

    Args:
        loaded: the runs.
        experiment: the name or id of one experiment; None for all.
        draw: draws one task, or returns a message if it cannot be drawn.
        largest: draw only this many tasks, those with most runs; None for the first 6.

    Raises:
        UnknownKey: there is no such experiment.
    """
    from qualia_lab.charts.by_experiment import by_experiment

    tasks = loaded.tasks(experiment)
    if not tasks:
        return Message("No run was read.")
    if len(tasks) == 1:
        return or_message(lambda: _unless_empty(draw(tasks[0])))
    most = MOST_TASKS if largest is None else largest
    chosen = tasks[:most] if largest is None else sorted(tasks, key=lambda task: -len(task.run_ids))[:most]
    results = [(loaded.called(task), _unless_empty(_result_or_message(draw, task))) for task in chosen]
    notes = [f"{name}: {result!r}" for name, result in results if isinstance(result, Message)]
    if len(tasks) > most:
        notes.append(f"Showing {most} of {counted(len(tasks), 'experiment')}; experiment=NAME shows another.")
    charts = [(name, result) for name, result in results if not isinstance(result, Message)]
    return by_experiment(charts, notes) if charts else Message(" ".join(notes))


def _unless_empty(chart: Chart | Message) -> Chart | Message:
    """The chart, or its sentence as a message if nothing is drawn in it."""
    if isinstance(chart, Message) or any(panel.marks for panel in chart.panels):
        return chart
    return Message(repr(chart))


def frame_per_task(
    loaded: Loaded, experiment: str | None, make: Callable[[Task], pd.DataFrame | Message]
) -> pd.DataFrame | Message:
    """The table of the only task, or those of several tasks one below the other, with a first column `experiment`.

    For several tasks, `attrs` is a mapping by experiment. The arguments are those of `chart_per_task`.
    """
    import pandas as pd

    tasks = loaded.tasks(experiment)
    if not tasks:
        return Message("No run was read.")
    if len(tasks) == 1:
        return or_message(lambda: make(tasks[0]))
    results = {task: _result_or_message(make, task) for task in tasks}
    frames = {task: result for task, result in results.items() if isinstance(result, pd.DataFrame)}
    if not frames:
        return Message(" ".join(f"{loaded.called(task)}: {result!r}" for task, result in results.items()))
    attrs: dict[Hashable, Any] = {task.experiment: dict(result.attrs) for task, result in frames.items()}
    attrs |= {
        task.experiment: {"not shown": repr(result)} for task, result in results.items() if isinstance(result, Message)
    }
    for task, result in frames.items():
        result.attrs = {}
        result.insert(0, free_name("experiment", result), loaded.called(task))
    frame = pd.concat(frames.values())
    frame.attrs = dict(attrs)
    return frame


def _result_or_message(make: Callable[[Task], T], task: Task) -> T | Message:
    """What `make` returns for a task, or a message if it raises, so that the other tasks are still shown."""
    try:
        return make(task)
    except UnknownKey:
        raise
    except QualiaLabError as error:
        return Message(str(error))


def free_name(name: str, frame: pd.DataFrame) -> str:
    """The name, with a space appended if a param or metric already has it as column."""
    return name if name not in frame.columns else f"{name} "
