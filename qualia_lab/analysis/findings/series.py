"""Facts about every metric history: a few numbers per run and metric, computed batch by batch in bounded memory."""

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

    from qualia_lab.analysis.findings.points import PointCache

    Numbers = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SeriesFacts:
    """Columns with one row per history, in the order in which the histories were read.

    Attributes:
        run: Position in `run_ids`.
        key: Position in `keys`.
        points: Number of points.
        nan: Number of NaN points.
        infinite: Number of infinite points.
        odd_step: Step of the first non-finite point; -1 if there is none.
        first: First finite value; NaN if there is none, as for the next three.
        last: Last finite value.
        last_step: Step of the last finite value.
        low: Lowest finite value.
        low_step: Step of the first point with the lowest value.
        high: Highest finite value.
        high_step: Step of the first point with the highest value.
        begin_step: Step of the first point, finite or not.
        end_step: Step of the last point, finite or not.
        start: Median of the first tenth of the points, at least three.
        tail: Median of the last twentieth of the points, at least three.
        blocks: Up to 16 means of equal parts of the points, each without its largest and smallest point; with fewer
            than
        16 points, padded with NaN.
        bad_points: Number of points at the end that are non-finite or above the bound of divergence.
        bad_step: Step of the first of these.
        noise: Standard deviation of a point around its neighbours, by the MAD of the differences of all points or of
            the
        later half, where a curve is flatter, whichever is smaller; NaN under 4 points.
        rough: Mean absolute difference between neighbouring points.
        spikes: Number of jumps in the worse direction that were reversed.
        spike_step: Step of the largest spike.
        spike_value: Its value.
        spike_before: The value before it.
        spike_size: Its size in robust standard deviations of the differences.
        jumps: Number of differences in the worse direction that are spikes or long tails of noise.
        reached: Number of points until the history came within noise of its best value, and its mean over the next
            points within noise of the best block mean.
        reached_step: Step of the last of these.
        waited: Longest sequence of points before that without an improvement.
        gap_from: Step before the widest gap with at least two points on each side.
        gap_to: Step after that gap.
        gap: Its width in usual strides (the mean of the others); 0 if there is none.
        second_gap: Width of the second widest gap, in the same unit.
        even: Share of the strides that are as long as the shortest one.
        returns: Number of points that are older than the previous point, whose step is lower or equal: steps that were
        logged again.
        again_from: First of these steps.
        again_to: Last of these steps.
    """

    run: Integers
    key: Integers
    points: Integers
    nan: Integers
    infinite: Integers
    odd_step: Integers
    first: Numbers
    last: Numbers
    last_step: Integers
    low: Numbers
    low_step: Integers
    high: Numbers
    high_step: Integers
    begin_step: Integers
    end_step: Integers
    start: Numbers
    tail: Numbers
    blocks: Numbers
    bad_points: Integers
    bad_step: Integers
    noise: Numbers
    rough: Numbers
    spikes: Integers
    spike_step: Integers
    spike_value: Numbers
    spike_before: Numbers
    spike_size: Numbers
    jumps: Integers
    reached: Integers
    reached_step: Integers
    waited: Integers
    gap_from: Integers
    gap_to: Integers
    gap: Numbers
    second_gap: Numbers
    even: Numbers
    returns: Integers
    again_from: Integers
    again_to: Integers


class _Limits(NamedTuple):
    """Limits for bad points and spikes; see `summarise`."""

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
    point_cache: PointCache | None = None,
    expected: int = 0,
) -> SeriesFacts:
    """Read histories (schema.METRIC_HISTORY) once and keep a few numbers of each.

    Only complete histories are processed, so that memory is bounded by a batch and the longest history.

    Args:
        batches: Points of one run and metric are together, sorted by step.
        run_ids: The runs; facts refer to them by position.
        keys: The metrics; facts refer to them by position.
        greater_is_better: The direction of each metric; None if it is unknown.
        only_odd: The metrics for which only histories with a non-finite value get a row.
        growth: A point is bad if it exceeds the level at the start of its history by this factor.
        deviations: A jump is a spike from this many robust standard deviations of the differences on.
        point_cache: Caches the points of the histories that get a row.
        expected: Approximate number of histories.

    Returns:
        One row per history.
    """
    signs = np.array([{True: -1.0, False: 1.0, None: 0.0}[greater_is_better.get(key)] for key in keys] or [0.0])
    limits = _Limits(growth, deviations)
    rows = _Rows(expected)
    kept_whole = np.array([key not in only_odd for key in keys] or [True])
    for histories in whole_histories(batches, _positions(run_ids), _positions(keys)):
        points = histories if kept_whole.all() else _of_interest(histories, kept_whole)
        if len(points.values):
            if point_cache is not None:
                point_cache.add(points)
            rows.add(_facts(points, signs[points.key], limits))
    return rows.facts()


class _Rows:
    """The growing columns of SeriesFacts.

    They are allocated at once at their expected size: thousands of small pieces among the temporary memory of the
    batches would take twice the memory, and concatenating them would take it again.
    """

    def __init__(self, expected: int) -> None:
        self._used, self._size = 0, max(1, expected)
        self._columns: dict[str, npt.NDArray[Any]] = {}
        for field in fields(SeriesFacts):
            shape = (self._size, BLOCKS) if field.name == "blocks" else (self._size,)
            self._columns[field.name] = np.empty(shape, np.int64 if "Integers" in str(field.type) else np.float64)

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
        """The rows added so far."""
        return SeriesFacts(**{name: column[: self._used] for name, column in self._columns.items()})


def _positions(names: tuple[str, ...]) -> Callable[[pa.Array], Integers]:
    """A function from a column of names to their positions in `names`, -1 for unknown names."""
    import pyarrow.compute as pc

    known = pa.array(names, pa.string())
    return lambda column: pc.fill_null(pc.index_in(column, value_set=known), -1).to_numpy(False).astype(np.int64)


def _of_interest(histories: Points, kept_whole: npt.NDArray[np.bool_]) -> Points:
    """The histories with a non-finite value, and all histories of the metrics marked in `kept_whole`."""
    begins = begins_of(histories)
    odd = np.logical_or.reduceat(~np.isfinite(histories.values), begins)
    chosen = np.repeat(odd | kept_whole[histories.key[begins]], np.diff(np.r_[begins, len(histories.values)]))
    run, key, steps, times, values = histories
    return Points(run[chosen], key[chosen], steps[chosen], times[chosen], values[chosen])


@np.errstate(all="ignore")  # arithmetic on values of a store may overflow
def _facts(histories: Points, sign: Numbers, limits: _Limits) -> dict[str, npt.NDArray[Any]]:
    """The facts of complete histories; `sign` is 1 for each point if less is better, and -1 if more is better."""
    begins = begins_of(histories)
    facts: dict[str, npt.NDArray[Any]] = {"run": histories.run[begins], "key": histories.key[begins]}
    facts |= value_facts(histories, begins)
    facts |= level_facts(histories, begins)
    best = np.where(sign[begins] > 0, facts["low"], facts["high"])
    facts |= jump_facts(histories, begins, sign, np.abs(facts["first"] - best), limits.deviations)
    facts |= pass_facts(histories, begins, sign, facts, limits.growth)
    return facts | step_facts(histories, begins)
