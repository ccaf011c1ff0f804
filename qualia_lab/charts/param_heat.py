"""Heat map of a metric over two params: the mean and n of each cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.axes import category_axis, direction, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.marks import Heat, Panel, Texts
from qualia_lab.counts import counted
from qualia_lab.names import distinct_names
from qualia_lab.study.statuses import counts_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.param_pairs import Cells
    from qualia_lab.charts.marks import Axis, Numbers

_MAX_NAME_WIDTH = 18


def param_heat(
    cells: Cells,
    pair: tuple[str, str],
    metric: str,
    *,
    greater_is_better: bool | None,
    left_out: Sequence[tuple[str, int]] = (),
    idle: Sequence[str] = (),
) -> Chart:
    """Draw the first param along x and the second along y.

    Args:
        cells: the means and counts of the cells.
        pair: the two params.
        metric: the name of the metric.
        greater_is_better: the direction of the metric; None if it is not known.
        left_out: (reason, number of runs) pairs of the runs that are in no cell.
        idle: the params that by themselves matter no more than chance.
    """
    n = int(cells.counts.sum())
    x_edges, y_edges = (np.arange(len(names) + 1, dtype=np.float64) - 0.5 for names in cells.names)
    notes = [f"n = {n}. Means, with the number of runs; a blank cell has none."]
    if direction(greater_is_better):
        notes.append(f"{direction(greater_is_better).capitalize()}.")
    if cells.left_out:
        notes.append(f"Not shown: {counted(cells.left_out, 'run')} with rarer values.")
    if left_out:
        notes.append(f"In no mean: {counts_text(left_out)}.")
    if idle:
        notes.append(f"By itself {' and '.join(idle)} matters no more than chance.")
    return Chart(
        title=f"{metric} by {pair[0]} and {pair[1]}",
        panels=(
            Panel(
                _axis(pair[0], cells.names[0]),
                _axis(pair[1], cells.names[1]),
                (Heat(x_edges, y_edges, cells.means, f"mean {metric}"), *_numbers(cells)),
            ),
        ),
        sentence=_sentence(cells, pair, metric, n),
        note=" ".join(notes),
        height=180 + 46 * max(3, len(cells.names[1])),
    )


def _axis(param: str, names: Sequence[str]) -> Axis:
    axis = category_axis(param, distinct_names(names, width=_MAX_NAME_WIDTH))
    return type(axis)(axis.label, (-0.5, len(names) - 0.5), ticks=axis.ticks)


def _numbers(cells: Cells) -> list[Texts]:
    """Return the mean and n of each cell as text, white on dark colours and dark on light ones."""
    rows, columns = np.nonzero(cells.counts)
    means = cells.means[rows, columns]
    middle = (means.min() + means.max()) / 2 if len(means) else 0.0
    labels = []
    for chosen, colour in (
        (means <= middle, "#FFFFFF"),
        (means > middle, "#000000"),
    ):  # cells keep their colours in the dark
        texts = tuple(
            f"{number_text(mean)} (n={count})"
            for mean, count in zip(means[chosen], cells.counts[rows, columns][chosen], strict=True)
        )
        if texts:
            x: Numbers = columns[chosen].astype(np.float64)
            labels.append(Texts(x, rows[chosen].astype(np.float64), texts, colour, "center"))
    return labels


def _sentence(cells: Cells, pair: tuple[str, str], metric: str, n: int) -> str:
    text = f"Mean {metric} by {pair[0]} and {pair[1]}, n = {n}"
    if not n:
        return f"{text}: no run has both params and the metric."
    parts = []
    for word, position in (("highest", np.nanargmax(cells.means)), ("lowest", np.nanargmin(cells.means))):
        row, column = np.unravel_index(position, cells.means.shape)
        parts.append(
            f"{word} {number_text(float(cells.means[row, column]))} at {pair[0]} {cells.names[0][int(column)]}, "
            f"{pair[1]} {cells.names[1][int(row)]} (n={cells.counts[row, column]})"
        )
    return f"{text}: {', '.join(parts)}."
