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
