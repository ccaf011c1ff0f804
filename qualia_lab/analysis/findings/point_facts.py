"""The numbers that SeriesFacts keeps of histories, all histories of a batch at once; see there for what each is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from qualia_lab.analysis.findings.points import Points

    Numbers = npt.NDArray[np.float64]
    Whole = npt.NDArray[np.int64]
    Facts = dict[str, npt.NDArray[Any]]

MAD_TO_SD = 1.4826  # of a normal distribution: sd = 1.4826 times the median absolute deviation
MEAN_TO_SD = 1.2533  # and 1.2533 times the mean absolute deviation
BLOCKS = 16
_OF_TAILS = 0.4  # of the size of a spike: jumps that noise with long tails has and other noise has not
_RETURNS_WITHIN = 10  # points after which a jump that has not come back is a new level and no spike
_FEWEST = 3  # points of which a level is the median
_FAR = np.iinfo(np.int64).max


def value_facts(histories: Points, begins: Whole) -> Facts:
    """How many points of which kind, the first, last, lowest and highest finite value, and when."""
    steps, values = histories.steps, histories.values
    total = len(values)
    which, points = _owners(begins, total)
    finite = np.isfinite(values)
    place = np.arange(total)
    low = np.minimum.reduceat(np.where(finite, values, np.inf), begins)
    high = np.maximum.reduceat(np.where(finite, values, -np.inf), begins)

    def first_of(mask: npt.NDArray[np.bool_]) -> Whole:
        return np.asarray(np.minimum.reduceat(np.where(mask, place, _FAR), begins))

    first = first_of(finite)
    last = np.maximum.reduceat(np.where(finite, place, -1), begins)
    return {
        "points": points,
        "nan": np.add.reduceat(np.isnan(values).astype(np.int64), begins),
        "infinite": np.add.reduceat(np.isinf(values).astype(np.int64), begins),
        "odd_step": _at(steps, first_of(~finite), -1),
        "first": _at(values, first, np.nan),
        "last": _at(values, last, np.nan),
        "last_step": _at(steps, last, -1),
        "low": np.where(np.isfinite(low), low, np.nan),
        "low_step": _at(steps, first_of(finite & (values == low[which])), -1),
        "high": np.where(np.isfinite(high), high, np.nan),
        "high_step": _at(steps, first_of(finite & (values == high[which])), -1),
        "begin_step": steps[begins],
        "end_step": steps[begins + points - 1],
    }


def level_facts(histories: Points, begins: Whole) -> Facts:
    """The levels at the start and at the end, and the course in blocks."""
    values = histories.values
    finite = np.isfinite(values)
    owner, good = _owners(begins, len(values))[0][finite], values[finite]
    series = len(begins)
    counts = np.bincount(owner, minlength=series)
    place = np.arange(len(good)) - (np.cumsum(counts) - counts)[owner]
    of_start = np.maximum(_FEWEST, counts // 10)[owner]
    of_tail = np.maximum(_FEWEST, counts // 20)[owner]
    early, late = place < of_start, place >= counts[owner] - of_tail
    return {
        "start": medians(good[early], owner[early], series)[0],
        "tail": medians(good[late], owner[late], series)[0],
        "blocks": _blocks(good, owner, place, counts),
    }


def _blocks(good: Numbers, owner: Whole, place: Whole, counts: Whole) -> Numbers:
    """Means of equal parts of the finite points, without the extremes of those that have four or more."""
    found = np.full((len(counts), BLOCKS), np.nan)
    if not len(good):
        return found
    blocks = np.minimum(BLOCKS, counts)[owner]
    of_point = owner * BLOCKS + place * blocks // counts[owner]
    begins = np.flatnonzero(np.r_[True, of_point[1:] != of_point[:-1]])
    size = np.diff(np.r_[begins, len(good)])
    sums = np.add.reduceat(good, begins)
    trimmed = sums - np.minimum.reduceat(good, begins) - np.maximum.reduceat(good, begins)
    found.ravel()[of_point[begins]] = np.where(size >= 4, trimmed / (size - 2), sums / size)
    return found


def jump_facts(histories: Points, begins: Whole, sign: Numbers, gain: Numbers, deviations: float) -> Facts:
    """Noise and spikes by differences of neighbours, with medians in the place of means (Iglewicz and Hoaglin 1993).

    A spike is a jump in the worse direction of at least `deviations` robust standard deviations of the differences
    and a quarter of the history's gain, of which half is gone within ten points.
    """
    steps, values = histories.steps, histories.values
    series = len(begins)
    which = _owners(begins, len(values))[0]
    differences = values[1:] - values[:-1]
    inside = (which[1:] == which[:-1]) & np.isfinite(differences)
    at, jumps, owner = np.flatnonzero(inside) + 1, differences[inside], which[1:][inside]
    middle, counts = medians(jumps, owner, series)
    spread, _ = medians(np.abs(jumps - middle[owner]), owner, series)
    scale = MAD_TO_SD * np.where(counts >= _FEWEST, spread, np.nan)
    later = at >= (begins + np.diff(np.r_[begins, len(values)]) // 2)[owner]
    noises = _noise(jumps, owner, series), _noise(jumps[later], owner[later], series)
    size = np.abs(jumps - middle[owner]) / scale[owner]
    worse = jumps * sign[at]
    large = (worse > 0) & (size >= deviations) & np.isfinite(size) & (worse >= gain[owner] / 4)
    chosen = np.flatnonzero(large)
    after = np.minimum(at[chosen][:, None] + np.arange(1, _RETURNS_WITHIN + 1), len(values) - 1)
    half = values[at[chosen] - 1] + jumps[chosen] / 2
    is_half_back = sign[at[chosen]][:, None] * (values[after] - half[:, None]) <= 0
    is_later = (which[after] == owner[chosen][:, None]) & (after > at[chosen][:, None])
    chosen = chosen[(is_half_back & is_later).any(axis=1)]
    spikes = np.bincount(owner[chosen], minlength=series)
    place, largest = np.full(series, -1), np.full(series, np.nan)
    rising = chosen[np.lexsort((-at[chosen], size[chosen]))]  # the largest of each history, the first of equal ones
    place[owner[rising]], largest[owner[rising]] = at[rising], size[rising]
    return {
        "noise": np.fmin(*noises) / np.sqrt(2),
        "rough": np.bincount(owner, np.abs(jumps), series) / counts,
        "spikes": spikes,
        "spike_step": _at(steps, place, -1),
        "spike_value": _at(values, place, np.nan),
        "spike_before": _at(values, np.where(place > 0, place - 1, -1), np.nan),
        "spike_size": largest,
        "jumps": np.bincount(owner[(worse > 0) & (size >= _OF_TAILS * deviations)], minlength=series),
    }


def _noise(jumps: Numbers, owner: Whole, series: int) -> Numbers:
    """The standard deviation of each owner's differences by their MAD; NaN of fewer than three.

    Where that is 0, since rounding leaves most values as they were, by their mean size.
    """
    middle, counts = medians(jumps, owner, series)
    spread, _ = medians(np.abs(jumps - middle[owner]), owner, series)
    mean = np.bincount(owner, np.abs(jumps), series) / counts
    return np.where(counts >= _FEWEST, np.where(spread > 0, MAD_TO_SD * spread, MEAN_TO_SD * mean), np.nan)


def pass_facts(
    histories: Points, begins: Whole, sign: Numbers, facts: Mapping[str, npt.NDArray[Any]], growth: float
) -> Facts:
    """What takes a second pass, with the levels known: since when it is bad, and when it came near its best value."""
    steps, values = histories.steps, histories.values
    total = len(values)
    which, points = _owners(begins, total)
    finite = np.isfinite(values)
    place = np.arange(total)
    start, low, high, noise = facts["start"], facts["low"], facts["high"], np.nan_to_num(facts["noise"])
    reference = np.fmax(np.abs(start), np.abs(low))
    reference = np.where(reference > 0, reference, noise)
    bound = np.where(reference > 0, start + (growth - 1) * reference, np.inf)
    bad = ~finite | (values > bound[which])
    ends = begins + points - 1
    good = np.maximum(np.maximum.reduceat(np.where(bad, -1, place), begins), begins - 1)

    cost = np.where(finite, sign * values, np.inf)
    best = np.where(sign[begins] < 0, -high, low)
    near = cost <= (best + np.maximum(2 * noise, 0.01 * (sign[begins] * facts["first"] - best)))[which]
    reached = np.minimum.reduceat(np.where(near, place, _FAR), begins)
    # Within each history scaled to [0, 0.5], and each history below the one before: one running minimum for all.
    # Where no way is known, costs are all alike and as far from the lowest value as that is from 0: clipped.
    span = np.where(high > low, high - low, 1.0)
    scaled = np.where(finite, np.clip(0.5 * (cost - best[which]) / span[which], 0.0, 0.5), 0.5) - which
    running = np.minimum.accumulate(scaled)
    improves = np.r_[True, running[1:] < running[:-1]] | (place == begins[which])
    since = np.where(improves, place, 0)
    wait = place - np.r_[0, np.maximum.accumulate(since)[:-1]]  # points since the last better value
    counted = improves & (place <= reached[which]) & (place > begins[which])
    return {
        "bad_points": ends - good,
        "bad_step": _at(steps, np.where(good < ends, good + 1, -1), -1),
        "reached": np.where(reached < _FAR, reached - begins + 1, points),
        "reached_step": _at(steps, reached, -1),
        "waited": np.maximum.reduceat(np.where(counted, wait, 0), begins),
    }


def step_facts(histories: Points, begins: Whole) -> Facts:
    """Gaps between steps, and steps that were logged again later."""
    steps, times = histories.steps, histories.times
    which, points = _owners(begins, len(steps))
    inside = which[1:] == which[:-1]
    strides = np.r_[0.0, np.where(inside, steps[1:].astype(np.float64) - steps[:-1], 0.0)]
    widest = np.maximum.reduceat(strides, begins)
    place = np.arange(len(steps))
    at = np.minimum.reduceat(np.where(strides == widest[which], place, _FAR), begins)
    ends = begins + points - 1
    least = np.minimum.reduceat(np.where(strides > 0, strides, np.inf), begins)
    forward = np.add.reduceat((strides > 0).astype(np.int64), begins)
    even = np.add.reduceat((strides == least[which]).astype(np.int64), begins) / np.maximum(forward, 1)
    strides[at] = 0.0
    second = np.maximum.reduceat(strides, begins)
    usual = np.add.reduceat(strides, begins) / np.maximum(forward - 1, 1)
    is_between = (at - begins >= 2) & (ends - at >= 1) & (usual > 0)  # two points before it and two after it
    older = np.r_[False, inside & (times[1:] < times[:-1])]
    first_again = np.minimum.reduceat(np.where(older, place, _FAR), begins)
    last_again = np.maximum.reduceat(np.where(older, place, -1), begins)
    return {
        "gap_from": np.where(is_between, steps[np.maximum(at - 1, 0)], -1),
        "gap_to": np.where(is_between, steps[at], -1),
        "gap": np.where(is_between, widest / usual, 0.0),
        "second_gap": np.where(is_between, second / usual, 0.0),
        "even": even,
        "returns": np.add.reduceat(older.astype(np.int64), begins),
        "again_from": _at(steps, np.where(first_again < _FAR, first_again - 1, -1), -1),
        "again_to": _at(steps, last_again, -1),
    }


def medians(values: Numbers, owner: Whole, series: int) -> tuple[Numbers, Whole]:
    """The median of every owner's values (NaN of none), and how many there are; owners stand in order."""
    counts = np.bincount(owner, minlength=series)
    begins = np.cumsum(counts) - counts
    found = np.full(series, np.nan)
    # Owners of equally many values stand in one matrix: runs of a sweep mostly log the same number of points.
    for size in np.unique(counts[counts > 0]).tolist():
        alike = np.flatnonzero(counts == size)
        rows = values[begins[alike][:, None] + np.arange(size)]
        rows.partition((size - 1) // 2 if size % 2 else (size // 2 - 1, size // 2), axis=1)
        low, high = rows[:, (size - 1) // 2], rows[:, size // 2]
        # One value in the middle is taken as it is: twice the largest doubles would be infinite.
        found[alike] = low if size % 2 else (low + high) / 2
    return found, counts


def _owners(begins: Whole, total: int) -> tuple[Whole, Whole]:
    """The history of every point, and how many points each has."""
    points = np.diff(np.r_[begins, total])
    return np.repeat(np.arange(len(begins)), points), points


def _at(column: npt.NDArray[Any], where: Whole, missing: float) -> npt.NDArray[Any]:
    """The column at these places, and `missing` where a place is none."""
    inside = (where >= 0) & (where < len(column))
    found = np.where(inside, column[np.where(inside, where, 0)], missing)
    return found.astype(column.dtype)
