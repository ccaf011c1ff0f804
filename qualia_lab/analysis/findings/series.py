"""What every metric history comes to: a few numbers per run and metric, taken batch by batch in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from qualia_lab.analysis.findings.point_facts import (
    BLOCKS,
    jump_facts,
    level_facts,
    pass_facts,
    step_facts,
    value_facts,
)
from qualia_lab.analysis.findings.points import Points, begins_of, whole_histories

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    import numpy.typing as npt

    from qualia_lab.analysis.findings.points import Held

    Numbers = npt.NDArray[np.float64]
    Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SeriesFacts:
    """One row per history, as columns. Histories stand in the order in which they were read.

    run, key: places in `run_ids` and `keys`.  points, nan, infinite: how many points, and of which kind.
    odd_step: of the first point that is NaN or infinite (where there is one).
    first, last, low, high: finite values, NaN where there is none; *_step: of the first point that has it.
    begin_step, end_step: of the first and the last point, finite or not.
    start, tail: medians of the first tenth of the points and of the last twentieth, of three points at least.
    blocks: the course in at most 16 values: means of equal parts of the points without the largest and the smallest
    one of each; NaN behind the last of fewer than 16 points.
    bad_points: how many points at the end are not finite or above the bound of divergence; bad_step: of the first.
    noise: standard deviation of a point around its neighbours, by the MAD of the differences of all points or of those
    in the later half, where a curve is flatter, whichever is less (NaN under 4 points).
    rough: the mean difference between neighbours, without its sign.
    spikes: jumps that came back, in the worse direction; spike_step, spike_value, spike_before, spike_size: of the
    largest, its size in robust standard deviations of the differences.  jumps: differences in that direction that are
    long tails of noise or spikes.
    reached: how many points it took to come within noise of the best value; reached_step: of the last of these.
    waited: the most points in a row before that without a better value.
    gap_from, gap_to: the steps around the widest gap that has two points on each side; gap: its width in usual strides
    (the mean of the others), 0 where there is none; second_gap: the second widest, in the same.  even: which part of
    the strides is as long as the shortest one.
    returns: how often a point is older than the one of a lower or the same step before it: steps that were logged
    again; again_from, again_to: the first and the last of these steps.
    """

    run: Whole
    key: Whole
    points: Whole
    nan: Whole
    infinite: Whole
    odd_step: Whole
    first: Numbers
    last: Numbers
    last_step: Whole
    low: Numbers
    low_step: Whole
    high: Numbers
    high_step: Whole
    begin_step: Whole
    end_step: Whole
    start: Numbers
    tail: Numbers
    blocks: Numbers
    bad_points: Whole
    bad_step: Whole
    noise: Numbers
    rough: Numbers
    spikes: Whole
    spike_step: Whole
    spike_value: Numbers
    spike_before: Numbers
    spike_size: Numbers
    jumps: Whole
    reached: Whole
    reached_step: Whole
    waited: Whole
    gap_from: Whole
    gap_to: Whole
    gap: Numbers
    second_gap: Numbers
    even: Numbers
    returns: Whole
    again_from: Whole
    again_to: Whole


class _Limits(NamedTuple):
    """See `summarise`."""

    growth: float
    deviations: float


def summarise(
    batches: Iterable[pa.RecordBatch],
    run_ids: tuple[str, ...],
    keys: tuple[str, ...],
    greater_is_better: Mapping[str, bool | None],
    *,
    only_odd: Collection[str] = (),
    growth: float = 10.0,
    deviations: float = 10.0,
    held: Held | None = None,
    expected: int = 0,
) -> SeriesFacts:
    """Read histories (schema.METRIC_HISTORY) once, and keep a few numbers of each.

    Only whole histories are worked on, so that memory is bounded by a batch and the longest history.

    Args:
        batches: points of one run and metric stand together, by step.
        run_ids: the runs, by whose places the facts name them.
        keys: the metrics, likewise.
        greater_is_better: of these, None where no way is known.
        only_odd: the metrics of which only histories with a value that is not finite have a row.
        growth: a point is bad from so many times the level on that the history had at its start.
        deviations: a jump is a spike from so many robust standard deviations of the differences on.
        held: holds the points of the histories that have a row.
        expected: about how many histories there are.
    """
    signs = np.array([{True: -1.0, False: 1.0, None: 0.0}[greater_is_better.get(key)] for key in keys] or [0.0])
    limits = _Limits(growth, deviations)
    rows = _Rows(expected)
    wholly = np.array([key not in only_odd for key in keys] or [True])
    for of_batch in whole_histories(batches, _places(run_ids), _places(keys)):
        points = of_batch if wholly.all() else _of_interest(of_batch, wholly)
        if len(points.values):
            if held is not None:
                held.add(points)
            rows.add(_facts(points, signs[points.key], limits))
    return rows.facts()


class _Rows:
    """The columns of SeriesFacts while they grow.

    They are allocated at once, as large as they are expected to be: thousands of small pieces between what a batch
    needs for a moment would keep twice the memory, and putting them together would take it again.
    """

    def __init__(self, expected: int) -> None:
        self._used, self._size = 0, max(1, expected)
        self._columns: dict[str, npt.NDArray[Any]] = {}
        for field in fields(SeriesFacts):
            shape = (self._size, BLOCKS) if field.name == "blocks" else (self._size,)
            self._columns[field.name] = np.empty(shape, np.int64 if "Whole" in str(field.type) else np.float64)

    def add(self, facts: Mapping[str, npt.NDArray[Any]]) -> None:
        """Append the facts of some histories."""
        end = self._used + len(facts["run"])
        if end > self._size:
            self._size = 2 * end
            for name, column in self._columns.items():
                self._columns[name] = np.empty((self._size, *column.shape[1:]), column.dtype)
                self._columns[name][: self._used] = column[: self._used]
        for name, column in self._columns.items():
            column[self._used : end] = facts[name]
        self._used = end

    def facts(self) -> SeriesFacts:
        """All of them."""
        return SeriesFacts(**{name: column[: self._used] for name, column in self._columns.items()})


def _places(names: tuple[str, ...]) -> Callable[[pa.Array], Whole]:
    """From a column of names to their places, -1 where a name is none of these."""
    import pyarrow.compute as pc

    known = pa.array(names, pa.string())
    return lambda column: pc.fill_null(pc.index_in(column, value_set=known), -1).to_numpy(False).astype(np.int64)


def _of_interest(histories: Points, wholly: npt.NDArray[np.bool_]) -> Points:
    """Those with a value that is not finite, and all of some metrics.  wholly: of every metric, whether it is one."""
    begins = begins_of(histories)
    odd = np.logical_or.reduceat(~np.isfinite(histories.values), begins)
    chosen = np.repeat(odd | wholly[histories.key[begins]], np.diff(np.r_[begins, len(histories.values)]))
    run, key, steps, times, values = histories
    return Points(run[chosen], key[chosen], steps[chosen], times[chosen], values[chosen])


@np.errstate(all="ignore")  # a store may hold values of which no computer has the double
def _facts(histories: Points, sign: Numbers, limits: _Limits) -> dict[str, npt.NDArray[Any]]:
    """The facts of whole histories, one after another.  sign: of every point, 1 where less is better, -1 where more."""
    begins = begins_of(histories)
    facts: dict[str, npt.NDArray[Any]] = {"run": histories.run[begins], "key": histories.key[begins]}
    facts |= value_facts(histories, begins)
    facts |= level_facts(histories, begins)
    best = np.where(sign[begins] > 0, facts["low"], facts["high"])
    facts |= jump_facts(histories, begins, sign, np.abs(facts["first"] - best), limits.deviations)
    facts |= pass_facts(histories, begins, sign, facts, limits.growth)
    return facts | step_facts(histories, begins)
