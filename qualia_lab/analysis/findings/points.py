"""Metric histories as arrays of points, assembled from batches that may split them anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qualia_lab.analysis.histories import real

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt
    import pyarrow as pa

    Numbers = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]


class Points(NamedTuple):
    """Complete histories, one after another, one row per point.

    Attributes:
        run: Position of the run.
        key: Position of the metric.
        steps: Step.
        times: Timestamp in ms.
        values: Value.
    """

    run: Integers
    key: Integers
    steps: Integers
    times: Integers
    values: Numbers


class PointCache:
    """A cache of the points of all summarised histories, in order, which empties itself if they are too many.

    Args:
        most: Maximum number of points, 16 bytes each; with more, none are cached.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._parts: list[tuple[Integers, Numbers]] = []

    def add(self, histories: Points) -> None:
        """Add these histories, unless the limit was reached."""
        self._left -= len(histories.values)
        if self._left >= 0:
            self._parts.append((histories.steps, histories.values))
        else:
            self._parts.clear()

    def slices(self, counts: Integers, rows: Iterable[int]) -> Iterator[tuple[int, Integers, Numbers]]:
        """Yield the cached points of some histories.

        Args:
            counts: Number of points of each summarised history.
            rows: Positions of the wanted histories.

        Yields:
            The row, its steps and its values.
        """
        if not self._parts:
            return
        wanted = np.fromiter(rows, np.int64)
        part_ends = np.cumsum([len(values) for _, values in self._parts])
        begins = (np.cumsum(counts) - counts)[wanted]
        parts = np.searchsorted(part_ends, begins, side="right")
        begins -= np.r_[0, part_ends][parts]
        places = (column.tolist() for column in (wanted, parts, begins, begins + counts[wanted]))
        for row, part, begin, end in zip(*places, strict=True):
            steps, values = self._parts[part]
            yield row, steps[begin:end], values[begin:end]


def begins_of(points: Points) -> Integers:
    """The index of the first point of each history."""
    if not len(points.run):
        return np.zeros(0, np.int64)
    run, key = points.run, points.key
    return np.flatnonzero(np.r_[True, (run[1:] != run[:-1]) | (key[1:] != key[:-1])])


def whole_histories(
    batches: Iterable[pa.RecordBatch],
    run_positions: Callable[[pa.Array], Integers],
    key_positions: Callable[[pa.Array], Integers],
) -> Iterator[Points]:
    """Yield the points of complete histories, batch by batch; the last, incomplete history is carried over.

    Args:
        batches: schema.METRIC_HISTORY; points of one run and metric are together.
        run_positions: Returns the positions for a column of run ids; -1 for runs whose points are skipped.
        key_positions: The same for a column of metrics.

    Yields:
        One or more complete histories.
    """
    waiting: list[tuple[npt.NDArray[Any], ...]] = []
    for batch in batches:
        run, key = run_positions(batch.column("run_id")), key_positions(batch.column("key"))
        steps, times = (
            batch.column(name).fill_null(0).to_numpy(zero_copy_only=False) for name in ("step", "timestamp")
        )
        values = real(batch.column("value").fill_null(np.nan).to_numpy(zero_copy_only=False))
        known = (run >= 0) & (key >= 0)
        columns = tuple(column[known] for column in (run, key, steps, times, values))
        if not len(columns[0]):
            continue
        changes = np.flatnonzero((columns[0][1:] != columns[0][:-1]) | (columns[1][1:] != columns[1][:-1]))
        begins = waiting and (waiting[-1][0][-1] != columns[0][0] or waiting[-1][1][-1] != columns[1][0])
        cut = int(changes[-1]) + 1 if len(changes) else 0
        if cut or begins:
            yield _joined([*waiting, tuple(column[:cut] for column in columns)])
            waiting = []
        waiting.append(tuple(column[cut:] for column in columns))
    if waiting:
        yield _joined(waiting)


def _joined(pieces: list[tuple[npt.NDArray[Any], ...]]) -> Points:
    return _without_ties(Points(*(np.concatenate(column) for column in zip(*pieces, strict=True))))


def _without_ties(points: Points) -> Points:
    """The points without those of the same step and time as the next one, of which nothing says which came first.

    MLflow sorts them by value, so that a loss that was logged without steps in the same millisecond seems to rise. The
    last of them remains, as in MLflow's latest metrics.
    """
    run, key, steps, times, values = points
    kept = last_of_equal(run, key, steps, times)
    return points if kept.all() else Points(run[kept], key[kept], steps[kept], times[kept], values[kept])


def last_of_equal(*columns: Integers) -> npt.NDArray[np.bool_]:
    """Whether each row differs from the next one in any of these columns, which are not empty."""
    differs = np.zeros(len(columns[0]), np.bool_)
    differs[-1] = True
    for column in columns:
        differs[:-1] |= column[1:] != column[:-1]
    return differs
