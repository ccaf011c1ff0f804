"""Runs that stopped much earlier than the others of their task, though they finished."""

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

MUCH_EARLIER = 0.5  # of the median of the last steps
FEWEST = 3  # runs with steps
# Of a number of these: a param of such a name says how long a run is to train.
_BUDGET = {"epoch", "epochs", "step", "steps", "iter", "iters", "iteration", "iterations", "timesteps", "updates"} | {
    "round",
    "rounds",
    "episodes",
    "estimators",
}


def last_steps(tables: RunTables, metric: str) -> npt.NDArray[np.float64]:
    """Of every run the step of its latest value of a metric; 0 where it has none."""
    rows = rows_with(tables.metrics, "key", [metric])
    owners = tables.owners_of(rows)
    found = np.zeros(tables.runs.num_rows)
    found[owners] = numbers_of(filled(rows.column("step"), 0))
    return found


def find_short_runs(
    run_ids: Sequence[str],
    last: npt.NDArray[np.float64],
    places: npt.NDArray[np.int64],
    columns: Iterable[SettingColumn],
) -> list[ShortRun]:
    """Runs whose last step of a metric is under half of the median, where no param of theirs says so.

    A param that says so is a number of epochs, steps or the like, after which the last steps agree: measured by it, the
    run is no shorter than others.
    last: of all runs, by `last_steps`.  places: the finished runs of one task.  columns: the factors.
    """
    places = places[last[places] > 0]
    if len(places) < FEWEST:
        return []
    steps = last[places]
    short = _much_earlier(steps)
    for one in columns:
        if not short.any():
            break
        if one.numeric and not _BUDGET.isdisjoint(words_of(one.key)):
            short &= ~_explained(one, places, steps, len(last))
    usual = round(float(np.median(steps)))
    return [
        ShortRun(run_ids[place], int(step), usual)
        for place, step in zip(places[short].tolist(), steps[short], strict=True)
    ]


def _much_earlier(steps: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = steps < MUCH_EARLIER * np.median(steps)
    return found


def _explained(
    one: SettingColumn, places: npt.NDArray[np.int64], steps: npt.NDArray[np.float64], runs: int
) -> npt.NDArray[np.bool_]:
    """Of these runs, whether their last step, counted in this number, is not much earlier than that of the others."""
    codes = one.dense(runs)[places]
    budget = np.where(codes == MISSING, np.nan, one.numbers[codes])
    known = np.isfinite(budget) & (budget > 0)
    found = np.zeros(len(places), np.bool_)
    if known.any():
        found[known] = ~_much_earlier((steps[known] + 1) / budget[known])
    return found
