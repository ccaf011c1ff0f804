"""Metric histories as arrays of points, whole ones one after another, out of batches that cut them anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qualia_lab.analysis.histories import real

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt
    import pyarrow as pa

    Numbers = npt.NDArray[np.float64]
    Whole = npt.NDArray[np.int64]


class Points(NamedTuple):
    """Whole histories, one after another: places of their runs and metrics, and their points."""

    run: Whole
    key: Whole
    steps: Whole
    times: Whole
    values: Numbers


class Held:
    """The points of histories that were summarised, in that order, unless they are too many to be held.

    Args:
        most: points, 16 bytes each; of more none are held.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._parts: list[tuple[Whole, Numbers]] = []

    def add(self, histories: Points) -> None:
        """Hold these, too, as long as all are held."""
        self._left -= len(histories.values)
        if self._left >= 0:
            self._parts.append((histories.steps, histories.values))
        else:
            self._parts.clear()

    def slices(self, counts: Whole, rows: Iterable[int]) -> Iterator[tuple[int, Whole, Numbers]]:
        """Of these histories, those that are held: the row, the steps and the values.

        Args:
            counts: how many points each history has that was summarised.
            rows: the places of those wanted.
        """
        ends = np.cumsum(counts)
        sizes = np.cumsum([len(values) for _, values in self._parts])
        for row in rows if self._parts else ():
            begin, end = int(ends[row] - counts[row]), int(ends[row])
            part = int(np.searchsorted(sizes, begin, side="right"))
            before = int(sizes[part - 1]) if part else 0
            steps, values = self._parts[part]
            yield row, steps[begin - before : end - before], values[begin - before : end - before]


def begins_of(histories: Points) -> Whole:
    """Where each history begins."""
    if not len(histories.run):
        return np.zeros(0, np.int64)
    run, key = histories.run, histories.key
    return np.flatnonzero(np.r_[True, (run[1:] != run[:-1]) | (key[1:] != key[:-1])])


def whole_histories(
    batches: Iterable[pa.RecordBatch], run_places: Callable[[pa.Array], Whole], key_places: Callable[[pa.Array], Whole]
) -> Iterator[Points]:
    """The points of batch after batch, cut between histories; the open one waits.

    Args:
        batches: schema.METRIC_HISTORY, points of one run and metric together.
        run_places: from a column of run ids to places, -1 of a run whose points are left out.
        key_places: the same of metrics.
    """
    waiting: list[tuple[npt.NDArray[Any], ...]] = []
    for batch in batches:
        run, key = run_places(batch.column("run_id")), key_places(batch.column("key"))
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
    return Points(*(np.concatenate(column) for column in zip(*pieces, strict=True)))
