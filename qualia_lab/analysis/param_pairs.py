"""A metric over the values of two params at once: means in cells with their n, nothing between them guessed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.param_columns import varying_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.param_columns import ParamColumn
    from qualia_lab.study import Study
    from qualia_lab.tables import RunTables

MOST_CELLS = 6  # along one param


@dataclass(frozen=True)
class Cells:
    """names: of the columns and of the rows.  means, counts: (rows, columns), NaN where there is no run.

    left_out: runs with one of the rarer texts of a param that has many.
    """

    names: tuple[tuple[str, ...], tuple[str, ...]]
    means: Numbers
    counts: npt.NDArray[np.intp]
    left_out: int


def mean_in_cells(tables: RunTables, study: Study, values: Mapping[str, float], pair: tuple[str, str]) -> Cells | None:
    """The mean of a metric in each cell of two factors, and its n.

    A factor with up to 6 values has a cell for each; a number with more is cut into 6 equal parts of its scale
    (logarithmic where it is spread so); of a text with more the 6 most frequent are taken. Runs that lack the factor
    are a cell of their own. None: one of the two does not vary among these runs.

    Args:
        tables: the runs that the study describes.
        study: what the two factors are.
        values: finite values of the metric by the ids of the runs, or of the configurations' first runs, that count.
        pair: the names of the two.
    """
    run_ids = list(values)
    columns = {column.param: column for column in varying_columns(tables, study, run_ids)[0]}
    if set(pair) - set(columns):
        return None
    (x_names, x), (y_names, y) = (_cells(columns[param]) for param in pair)
    inside = (x >= 0) & (y >= 0)
    metric = np.array([values[run_id] for run_id in run_ids], np.float64)
    place = y[inside] * len(x_names) + x[inside]
    size = len(x_names) * len(y_names)
    counts = np.bincount(place, minlength=size)
    sums = np.bincount(place, weights=metric[inside], minlength=size)
    means = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
    shape = (len(y_names), len(x_names))
    return Cells((x_names, y_names), means.reshape(shape), counts.reshape(shape), int((~inside).sum()))


def _cells(column: ParamColumn) -> tuple[tuple[str, ...], npt.NDArray[np.intp]]:
    """The names of the cells, and for each run the place of its own; -1 where it has none."""
    names, placed = _cells_of_values(column)
    lacking = np.isnan(column.values)
    if lacking.any():
        placed[lacking] = len(names)
        names = (*names, "missing")
    return names, placed


def _cells_of_values(column: ParamColumn) -> tuple[tuple[str, ...], npt.NDArray[np.intp]]:
    there = ~np.isnan(column.values)
    different, counts = np.unique(column.there, return_counts=True)
    placed = np.full(len(column.values), -1, np.intp)
    if column.choices:
        kept = np.sort(different[np.argsort(-counts, kind="stable")[:MOST_CELLS]])
        placed[there] = [int(np.searchsorted(kept, value)) if value in kept else -1 for value in column.there]
        return tuple(column.choices[int(value)] for value in kept), placed
    if len(different) <= MOST_CELLS:
        placed[there] = np.searchsorted(different, column.there)
        return tuple(f"{value:g}" for value in different), placed
    low, high = float(different[0]), float(different[-1])
    edges = np.geomspace(low, high, MOST_CELLS + 1) if column.log else np.linspace(low, high, MOST_CELLS + 1)
    placed[there] = np.clip(np.searchsorted(edges, column.there, side="right") - 1, 0, MOST_CELLS - 1)
    return tuple(f"{start:.2g} to {end:.2g}" for start, end in pairwise(edges)), placed
