"""The mean of a metric over the values of two params, in cells with their n and without interpolation."""

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

MOST_CELLS = 6  # cells along one param


@dataclass(frozen=True)
class Cells:
    """A grid of means over two params.

    Attributes:
        names: the names of the columns and of the rows.
        means: shape (rows, columns); NaN where there is no run.
        counts: the number of runs in each cell, shape (rows, columns).
        left_out: how many runs have a rare text of a param with many.
    """

    names: tuple[tuple[str, ...], tuple[str, ...]]
    means: Numbers
    counts: npt.NDArray[np.intp]
    left_out: int


def mean_in_cells(tables: RunTables, study: Study, values: Mapping[str, float], pair: tuple[str, str]) -> Cells | None:
    """The mean of a metric in each cell of two factors.

    A factor with up to 6 values has one cell per value; a number with more is cut into 6 equal parts of its scale
    (logarithmic where its values are spread so); of a text with more, the 6 most frequent are used. Runs that lack the
    factor form a cell of their own.

    Args:
        tables: the tables of the runs that the study describes.
        study: the study of the same runs.
        values: the finite metric by the id of each run, or of each configuration's first run, that counts.
        pair: the names of the two factors, columns first.

    Returns:
        The grid; None where one of the two does not vary among these runs.
    """
    run_ids = list(values)
    columns = {column.param: column for column in varying_columns(tables, study, run_ids)[0]}
    if set(pair) - set(columns):
        return None
    (x_names, x), (y_names, y) = (_cells(columns[param]) for param in pair)
    inside = (x >= 0) & (y >= 0)
    metric = np.array([values[run_id] for run_id in run_ids], np.float64)
    cell_of = y[inside] * len(x_names) + x[inside]
    size = len(x_names) * len(y_names)
    counts = np.bincount(cell_of, minlength=size)
    sums = np.bincount(cell_of, weights=metric[inside], minlength=size)
    means = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
    shape = (len(y_names), len(x_names))
    return Cells((x_names, y_names), means.reshape(shape), counts.reshape(shape), int((~inside).sum()))


def _cells(column: ParamColumn) -> tuple[tuple[str, ...], npt.NDArray[np.intp]]:
    """The names of the cells, and the index of each run's cell; -1 where it has none."""
    names, cell_of = _cells_of_values(column)
    is_missing = np.isnan(column.values)
    if is_missing.any():
        cell_of[is_missing] = len(names)
        names = (*names, "missing")
    return names, cell_of


def _cells_of_values(column: ParamColumn) -> tuple[tuple[str, ...], npt.NDArray[np.intp]]:
    """The same for the runs that have the factor."""
    is_present = ~np.isnan(column.values)
    distinct, counts = np.unique(column.present, return_counts=True)
    cell_of = np.full(len(column.values), -1, np.intp)
    if column.choices:
        frequent = np.sort(distinct[np.argsort(-counts, kind="stable")[:MOST_CELLS]])
        cell_of[is_present] = [
            int(np.searchsorted(frequent, value)) if value in frequent else -1 for value in column.present
        ]
        return tuple(column.choices[int(value)] for value in frequent), cell_of
    if len(distinct) <= MOST_CELLS:
        cell_of[is_present] = np.searchsorted(distinct, column.present)
        return tuple(f"{value:g}" for value in distinct), cell_of
    low, high = float(distinct[0]), float(distinct[-1])
    edges = np.geomspace(low, high, MOST_CELLS + 1) if column.log else np.linspace(low, high, MOST_CELLS + 1)
    cell_of[is_present] = np.clip(np.searchsorted(edges, column.present, side="right") - 1, 0, MOST_CELLS - 1)
    return tuple(f"{start:.2g} to {end:.2g}" for start, end in pairwise(edges)), cell_of
