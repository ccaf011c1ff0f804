"""What every metric history comes to: a few numbers per run and metric, taken batch by batch in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from qualia_lab.analysis.histories import real

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]
    Whole = npt.NDArray[np.int64]

MAD_TO_SD = 1.4826  # of a normal distribution: sd = 1.4826 times the median absolute deviation
_RETURNS_WITHIN = 10  # points after which a jump that has not come back is a new level and no spike
_FAR = np.iinfo(np.int64).max


@dataclass(frozen=True)
class SeriesFacts:
    """One row per history, as columns. Histories stand in the order in which they were read.

    run, key: places in `run_ids` and `keys`.  points, nan, infinite: how many points, and of which kind.
    odd_step: of the first point that is NaN or infinite (where there is one).
    first, last, low, high: finite values, NaN where there is none; *_step: of the first point that has it.
    end_step: of the last point, finite or not.  last_time: its timestamp in ms.
    bad_points: how many points at the end are not finite or above the bound of divergence; bad_step: of the first.
    noise: standard deviation of a point around its neighbours, by the MAD of the differences (NaN under 4 points).
    neumann: von Neumann's ratio, squared differences of neighbours to squared deviations from the mean: around 2 in
    noise of any shape, near 0 in a smooth curve; NaN where nothing varies.
    early_low, early_high: the extremes without the last part of the points.
    spikes: jumps that came back, in the worse direction; spike_step, spike_value, spike_before, spike_size: of the
    largest, its size in robust standard deviations of the differences.
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
    end_step: Whole
    last_time: Whole
    bad_points: Whole
    bad_step: Whole
    noise: Numbers
    neumann: Numbers
    early_low: Numbers
    early_high: Numbers
    spikes: Whole
    spike_step: Whole
    spike_value: Numbers
    spike_before: Numbers
    spike_size: Numbers


class _Points(NamedTuple):
    """Whole histories, one after another: places of their runs and metrics, and their points."""

    run: Whole
    key: Whole
    steps: Whole
    times: Whole
    values: Numbers


@dataclass
class _Spikes:
    """Of every history: how many, where the largest is, and its size."""

    count: Whole
    place: Whole
    size: Numbers


class _Limits(NamedTuple):
    """See `summarise`."""

    growth: float
    deviations: float
    part: float


def summarise(
    batches: Iterable[pa.RecordBatch],
    run_ids: tuple[str, ...],
    keys: tuple[str, ...],
    greater_is_better: Mapping[str, bool | None],
    *,
    only_odd: Collection[str] = (),
    growth: float = 10.0,
    deviations: float = 10.0,
    part: float = 0.5,
) -> SeriesFacts:
    """Read histories (schema.METRIC_HISTORY) once; points of one run and metric stand together, by step.

    only_odd: the metrics of which only histories with a value that is not finite have a row.
    growth: a point is bad when it is above so many times the larger of the first and the lowest value.
    deviations: a jump is a spike from so many robust standard deviations of the differences on.
    part: which part of the points, at the end, `early_*` leave out.
    Only whole histories are worked on, so that memory is bounded by a batch and the longest history.
    """
    signs = np.array([{True: -1.0, False: 1.0, None: 0.0}[greater_is_better.get(key)] for key in keys] or [0.0])
    limits = _Limits(growth, deviations, part)
    columns: dict[str, list[Any]] = {field.name: [] for field in fields(SeriesFacts)}
    none = np.zeros(0, np.int64)
    empty = _facts(_Points(none, none, none, none, np.zeros(0)), np.zeros(0), limits)
    wholly = np.array([key not in only_odd for key in keys] or [True])
    for of_batch in _whole_histories(batches, _places(run_ids), _places(keys)):
        points = of_batch if wholly.all() else _of_interest(of_batch, wholly)
        facts = _facts(points, signs[points.key], limits)
        for name, arrays in columns.items():
            arrays.append(getattr(facts, name))
    # One column after the other, so that of a million histories no more is there twice.
    return SeriesFacts(**{name: np.concatenate([*columns.pop(name), getattr(empty, name)]) for name in list(columns)})


def _places(names: tuple[str, ...]) -> Callable[[pa.Array], Whole]:
    """From a column of names to their places, -1 where a name is none of these."""
    import pyarrow.compute as pc

    known = pa.array(names, pa.string())
    return lambda column: pc.fill_null(pc.index_in(column, value_set=known), -1).to_numpy(False).astype(np.int64)


def _whole_histories(
    batches: Iterable[pa.RecordBatch], run_places: Callable[[pa.Array], Whole], key_places: Callable[[pa.Array], Whole]
) -> Iterator[_Points]:
    """The points of batch after batch, cut between histories; the open one waits."""
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


def _of_interest(histories: _Points, wholly: npt.NDArray[np.bool_]) -> _Points:
    """Those with a value that is not finite, and all of some metrics.  wholly: of every metric, whether it is one."""
    run, key, steps, times, values = histories
    begins = np.flatnonzero(np.r_[True, (run[1:] != run[:-1]) | (key[1:] != key[:-1])])
    odd = np.logical_or.reduceat(~np.isfinite(values), begins)
    chosen = np.repeat(odd | wholly[key[begins]], np.diff(np.r_[begins, len(values)]))
    return _Points(run[chosen], key[chosen], steps[chosen], times[chosen], values[chosen])


def _joined(pieces: list[tuple[npt.NDArray[Any], ...]]) -> _Points:
    return _Points(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


@np.errstate(all="ignore")  # a store may hold values of which no computer has the double
def _facts(histories: _Points, sign: Numbers, limits: _Limits) -> SeriesFacts:
    """The facts of whole histories, one after another.  sign: of every point, 1 where less is better, -1 where more."""
    run, key, steps, times, values = histories
    total = len(values)
    begins = np.flatnonzero(np.r_[True, (run[1:] != run[:-1]) | (key[1:] != key[:-1])]) if total else np.zeros(0, int)
    points = np.diff(np.r_[begins, total])
    place = np.arange(total)
    which = np.repeat(np.arange(len(begins)), points)  # the history of every point
    finite = np.isfinite(values)

    def lowest(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.minimum.reduceat(column, begins) if total else column[:0]

    def highest(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.maximum.reduceat(column, begins) if total else column[:0]

    def summed(mask: npt.NDArray[np.bool_]) -> Whole:
        return np.add.reduceat(mask.astype(np.int64), begins) if total else np.zeros(0, np.int64)

    def at(column: npt.NDArray[Any], where: Whole, missing: float) -> npt.NDArray[Any]:
        inside = (where >= 0) & (where < total)
        return np.where(inside, column[np.where(inside, where, 0)] if total else missing, missing)

    def first_of(mask: npt.NDArray[np.bool_]) -> Whole:
        return lowest(np.where(mask, place, _FAR)).astype(np.int64)

    def last_of(mask: npt.NDArray[np.bool_]) -> Whole:
        return highest(np.where(mask, place, -1)).astype(np.int64)

    low = lowest(np.where(finite, values, np.inf))
    high = highest(np.where(finite, values, -np.inf))
    first, last = first_of(finite), last_of(finite)
    low_at = first_of(finite & (values == low[which]))
    high_at = first_of(finite & (values == high[which]))
    first_value = at(values, first, np.nan)

    reference = np.maximum(np.abs(first_value), np.abs(low))
    bound = np.where(reference > 0, first_value + (limits.growth - 1) * reference, np.inf)
    bad = ~finite | (values > bound[which])
    good = np.maximum(last_of(~bad), begins - 1)  # the last good point, or the place before the history
    ends = begins + points - 1

    early = place < (begins + np.ceil(points * (1 - limits.part)).astype(np.int64))[which]
    best = np.where(sign[begins] > 0, low, high)
    noise, spikes = _differences(values, which, sign, np.abs(first_value - best), limits.deviations)
    spike_at = spikes.place
    return SeriesFacts(
        run=run[begins],
        key=key[begins],
        points=points,
        nan=summed(np.isnan(values)),
        infinite=summed(np.isinf(values)),
        odd_step=at(steps, first_of(~finite), -1).astype(np.int64),
        first=first_value,
        last=at(values, last, np.nan),
        last_step=at(steps, last, -1).astype(np.int64),
        low=np.where(np.isfinite(low), low, np.nan),
        low_step=at(steps, low_at, -1).astype(np.int64),
        high=np.where(np.isfinite(high), high, np.nan),
        high_step=at(steps, high_at, -1).astype(np.int64),
        end_step=steps[ends],
        last_time=highest(times).astype(np.int64),
        bad_points=ends - good,
        bad_step=at(steps, np.where(good < ends, good + 1, -1), -1).astype(np.int64),
        noise=noise,
        neumann=_neumann(values, which, finite, len(begins)),
        early_low=_or_nan(lowest(np.where(finite & early, values, np.inf))),
        early_high=_or_nan(highest(np.where(finite & early, values, -np.inf))),
        spikes=spikes.count,
        spike_step=at(steps, spike_at, -1).astype(np.int64),
        spike_value=at(values, spike_at, np.nan),
        spike_before=at(values, np.where(spike_at > 0, spike_at - 1, -1), np.nan),
        spike_size=spikes.size,
    )


def _or_nan(values: npt.NDArray[Any]) -> Numbers:
    numbers = values.astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _neumann(values: Numbers, which: Whole, finite: npt.NDArray[np.bool_], series: int) -> Numbers:
    """Von Neumann's ratio of every history (von Neumann 1941), over its finite points."""
    owner, good = which[finite], values[finite]
    counts = np.bincount(owner, minlength=series)
    middle = np.bincount(owner, good, series) / counts
    around = good - middle[owner]
    inside = owner[1:] == owner[:-1]
    steps = np.bincount(owner[1:][inside], np.diff(around)[inside] ** 2, series)
    return steps / np.bincount(owner, around**2, series)


def _differences(
    values: Numbers, which: Whole, sign: Numbers, gain: Numbers, deviations: float
) -> tuple[Numbers, _Spikes]:
    """Noise and spikes by differences of neighbours, with medians in the place of means (Iglewicz and Hoaglin 1993).

    A spike is a jump in the worse direction of at least `deviations` robust standard deviations of the differences
    and a quarter of the history's gain, of which half is gone within ten points.
    """
    series = len(gain)
    spikes = _Spikes(np.zeros(series, np.int64), np.full(series, -1, np.int64), np.full(series, np.nan))
    if len(values) < 2:
        return np.full(series, np.nan), spikes
    jumps = values[1:] - values[:-1]
    inside = (which[1:] == which[:-1]) & np.isfinite(jumps)
    at, jumps, owner = np.flatnonzero(inside) + 1, jumps[inside], which[1:][inside]
    middle, counts = _medians(jumps, owner, series)
    spread, _ = _medians(np.abs(jumps - middle[owner]), owner, series)
    scale = MAD_TO_SD * np.where(counts >= 3, spread, np.nan)
    worse = jumps * sign[at]
    size = np.abs(jumps - middle[owner]) / scale[owner]
    large = (worse > 0) & (size >= deviations) & np.isfinite(size) & (worse >= gain[owner] / 4)
    for index in np.flatnonzero(large):
        one, point = owner[index], at[index]
        after = values[point + 1 : point + 1 + _RETURNS_WITHIN][which[point + 1 : point + 1 + _RETURNS_WITHIN] == one]
        half = values[point - 1] + jumps[index] / 2
        if (sign[point] * (after - half) <= 0).any():
            spikes.count[one] += 1
            if not size[index] <= spikes.size[one]:
                spikes.size[one], spikes.place[one] = size[index], point
    return scale / np.sqrt(2), spikes


def _medians(values: Numbers, owner: Whole, series: int) -> tuple[Numbers, Whole]:
    """The median of every owner's values (NaN of none), and how many there are; owners stand in order."""
    counts = np.bincount(owner, minlength=series)
    ordered = values[np.lexsort((values, owner))]
    begins = np.r_[0, np.cumsum(counts)[:-1]]
    if not len(values):
        return np.full(series, np.nan), counts
    lower = np.minimum(begins + np.maximum(counts - 1, 0) // 2, len(values) - 1)
    upper = np.minimum(begins + counts // 2, len(values) - 1)
    # One value in the middle is taken as it is: twice the largest doubles would be infinite.
    middle = np.where(lower == upper, ordered[lower], (ordered[lower] + ordered[upper]) / 2)
    return np.where(counts > 0, middle, np.nan), counts
