"""Finished runs that stopped much earlier than the others of their task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.columns import filled, numbers_of
from qualia_lab.study.factor_names import words_of
from qualia_lab.study.setting_columns import MISSING
from qualia_lab.study.study import ShortRun
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from qualia_lab.study.setting_columns import SettingColumn
    from qualia_lab.tables import RunTables

MUCH_EARLIER = 0.5  # as a share of the median of the last steps
FEWEST = 3  # runs with steps that are needed
# A numeric param with one of these words in its name is a training budget.
_BUDGET = {"epoch", "epochs", "step", "steps", "iter", "iters", "iteration", "iterations", "timesteps", "updates"} | {
    "round",
    "rounds",
    "episodes",
    "estimators",
}


def last_steps(tables: RunTables, metric: str) -> npt.NDArray[np.float64]:
    """The step of the latest value of a metric for each run; 0 if a run has none.

    Args:
        tables: the tables of the runs.
        metric: the key of the metric.
    """
    rows = rows_with(tables.metrics, "key", [metric])
    owners = tables.owners_of(rows)
    steps = np.zeros(tables.runs.num_rows)
    steps[owners] = numbers_of(filled(rows.column("step"), 0))
    return steps


def find_short_runs(
    run_ids: Sequence[str],
    last: npt.NDArray[np.float64],
    places: npt.NDArray[np.int64],
    columns: Iterable[SettingColumn],
) -> list[ShortRun]:
    """Find runs whose last step is less than half the median, unless a param explains it.

    A param explains it if it is a number of epochs, steps or the like, and the run is not shorter than others relative
    to this number.

    Args:
        run_ids: the ids of all runs.
        last: the last step of each run, by `last_steps`.
        places: the indices of the finished runs of one task.
        columns: the factors.
    """
    places = places[last[places] > 0]
    if len(places) < FEWEST:
        return []
    steps = last[places]
    short = _much_earlier(steps)
    for column in columns:
        if not short.any():
            break
        if column.numeric and not _BUDGET.isdisjoint(words_of(column.key)):
            short &= ~_explained(column, places, steps, len(last))
    usual = round(float(np.median(steps)))
    return [
        ShortRun(run_ids[place], int(step), usual)
        for place, step in zip(places[short].tolist(), steps[short], strict=True)
    ]


def _much_earlier(steps: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    is_short: npt.NDArray[np.bool_] = steps < MUCH_EARLIER * np.median(steps)
    return is_short


def _explained(
    column: SettingColumn, places: npt.NDArray[np.int64], steps: npt.NDArray[np.float64], runs: int
) -> npt.NDArray[np.bool_]:
    """Which of these runs are not much shorter than the others, relative to the value of this param."""
    codes = column.dense(runs)[places]
    budget = np.where(codes == MISSING, np.nan, column.numbers[codes])
    known = np.isfinite(budget) & (budget > 0)
    explained = np.zeros(len(places), np.bool_)
    if known.any():
        explained[known] = ~_much_earlier((steps[known] + 1) / budget[known])
    return explained
