"""Functions that compute the columns of SeriesFacts for all histories of a batch at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from qualia_lab.analysis.findings.points import Points

    Numbers = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Facts = dict[str, npt.NDArray[Any]]

MAD_TO_SD = 1.4826  # for a normal distribution, sd = 1.4826 times the median absolute deviation
MEAN_TO_SD = 1.2533  # for a normal distribution, sd = 1.2533 times the mean absolute deviation
BLOCKS = 16
_OF_TAILS = 0.4  # share of the size of a spike: jumps of this size indicate noise with long tails
_RETURNS_WITHIN = 10  # points; a jump that is not reversed by then is a new level, not a spike
_FEWEST = 3  # minimum number of points of a median
_ROUNDING = 1e-9  # of sums of scaled costs
_FAR = np.iinfo(np.int64).max


def value_facts(histories: Points, begins: Integers) -> Facts:
    """Count the points of each kind; find the first, last, lowest and highest finite value and their steps."""
    steps, values = histories.steps, histories.values
    total = len(values)
    history, points = _owners(begins, total)
    finite = np.isfinite(values)
    index = np.arange(total)
    low = np.minimum.reduceat(np.where(finite, values, np.inf), begins)
    high = np.maximum.reduceat(np.where(finite, values, -np.inf), begins)

    def first_of(mask: npt.NDArray[np.bool_]) -> Integers:
        return np.asarray(np.minimum.reduceat(np.where(mask, index, _FAR), begins))

    first = first_of(finite)
    last = np.maximum.reduceat(np.where(finite, index, -1), begins)
    return {
        "points": points,
        "nan": np.add.reduceat(np.isnan(values).astype(np.int64), begins),
        "infinite": np.add.reduceat(np.isinf(values).astype(np.int64), begins),
        "odd_step": _at(steps, first_of(~finite), -1),
        "first": _at(values, first, np.nan),
        "last": _at(values, last, np.nan),
        "last_step": _at(steps, last, -1),
        "low": np.where(np.isfinite(low), low, np.nan),
        "low_step": _at(steps, first_of(finite & (values == low[history])), -1),
        "high": np.where(np.isfinite(high), high, np.nan),
        "high_step": _at(steps, first_of(finite & (values == high[history])), -1),
        "begin_step": steps[begins],
        "end_step": steps[begins + points - 1],
    }


def level_facts(histories: Points, begins: Integers) -> Facts:
    """The levels at the start and at the end, and the block means."""
    values = histories.values
    finite = np.isfinite(values)
    owner, good = _owners(begins, len(values))[0][finite], values[finite]
    series = len(begins)
    counts = np.bincount(owner, minlength=series)
    index = np.arange(len(good)) - (np.cumsum(counts) - counts)[owner]
    of_start = np.maximum(_FEWEST, counts // 10)[owner]
    of_tail = np.maximum(_FEWEST, counts // 20)[owner]
    early, late = index < of_start, index >= counts[owner] - of_tail
    return {
        "start": medians(good[early], owner[early], series)[0],
        "tail": medians(good[late], owner[late], series)[0],
        "blocks": _blocks(good, owner, index, counts),
    }


def _blocks(good: Numbers, owner: Integers, index: Integers, counts: Integers) -> Numbers:
    """Means of equal parts of the finite points, without the extremes of parts with four or more points."""
    means = np.full((len(counts), BLOCKS), np.nan)
    if not len(good):
        return means
    blocks = np.minimum(BLOCKS, counts)[owner]
    of_point = owner * BLOCKS + index * blocks // counts[owner]
    begins = np.flatnonzero(np.r_[True, of_point[1:] != of_point[:-1]])
    size = np.diff(np.r_[begins, len(good)])
    sums = np.add.reduceat(good, begins)
    trimmed = sums - np.minimum.reduceat(good, begins) - np.maximum.reduceat(good, begins)
    means.ravel()[of_point[begins]] = np.where(size >= 4, trimmed / (size - 2), sums / size)
    return means


def jump_facts(histories: Points, begins: Integers, sign: Numbers, gain: Numbers, deviations: float) -> Facts:
    """Noise and spikes from differences of neighbouring points, by medians, not means (Iglewicz and Hoaglin 1993).

    A spike is a jump in the worse direction of at least `deviations` robust standard deviations of the differences and
    at least a quarter of the gain, half of which is reversed within ten points.
    """
    steps, values = histories.steps, histories.values
    series = len(begins)
    history = _owners(begins, len(values))[0]
    differences = values[1:] - values[:-1]
    inside = (history[1:] == history[:-1]) & np.isfinite(differences)
    at, jumps, owner = np.flatnonzero(inside) + 1, differences[inside], history[1:][inside]
    middle, spread, counts = _spread(jumps, owner, series)
    scale = MAD_TO_SD * np.where(counts >= _FEWEST, spread, np.nan)
    later = at >= (begins + np.diff(np.r_[begins, len(values)]) // 2)[owner]
    noises = (
        _noise(np.abs(jumps), owner, spread, counts),
        _noise(np.abs(jumps[later]), owner[later], *_spread(jumps[later], owner[later], series)[1:]),
    )
    size = np.abs(jumps - middle[owner]) / scale[owner]
    worse = jumps * sign[at]
    large = (worse > 0) & (size >= deviations) & np.isfinite(size) & (worse >= gain[owner] / 4)
    chosen = np.flatnonzero(large)
    after = np.minimum(at[chosen][:, None] + np.arange(1, _RETURNS_WITHIN + 1), len(values) - 1)
    half = values[at[chosen] - 1] + jumps[chosen] / 2
    is_half_back = sign[at[chosen]][:, None] * (values[after] - half[:, None]) <= 0
    is_later = (history[after] == owner[chosen][:, None]) & (after > at[chosen][:, None])
    chosen = chosen[(is_half_back & is_later).any(axis=1)]
    spikes = np.bincount(owner[chosen], minlength=series)
    index, largest = np.full(series, -1), np.full(series, np.nan)
    rising = chosen[
        np.lexsort((-at[chosen], size[chosen]))
    ]  # the last write wins: the largest of each history, the first among equal ones
    index[owner[rising]], largest[owner[rising]] = at[rising], size[rising]
    return {
        "noise": np.fmin(*noises) / np.sqrt(2),
        "rough": np.bincount(owner, np.abs(jumps), series) / counts,
        "spikes": spikes,
        "spike_step": _at(steps, index, -1),
        "spike_value": _at(values, index, np.nan),
        "spike_before": _at(values, np.where(index > 0, index - 1, -1), np.nan),
        "spike_size": largest,
        "jumps": np.bincount(owner[(worse > 0) & (size >= _OF_TAILS * deviations)], minlength=series),
    }


def _spread(jumps: Numbers, owner: Integers, series: int) -> tuple[Numbers, Numbers, Integers]:
    """The median of each history's differences, their MAD, and their number."""
    middle, counts = medians(jumps, owner, series)
    return middle, medians(np.abs(jumps - middle[owner]), owner, series)[0], counts


def _noise(sizes: Numbers, owner: Integers, spread: Numbers, counts: Integers) -> Numbers:
    """The standard deviation of each history's differences, by their MAD; NaN if there are fewer than three.

    If the MAD is 0 because rounding leaves most values unchanged, the mean absolute difference is used instead.
    """
    mean = np.bincount(owner, sizes, len(counts)) / counts
    return np.where(counts >= _FEWEST, np.where(spread > 0, MAD_TO_SD * spread, MEAN_TO_SD * mean), np.nan)


def pass_facts(
    histories: Points, begins: Integers, sign: Numbers, facts: Mapping[str, npt.NDArray[Any]], growth: float
) -> Facts:
    """Facts that need a second pass with known levels: when a history went bad or came near its best value."""
    steps, values = histories.steps, histories.values
    total = len(values)
    history, points = _owners(begins, total)
    finite = np.isfinite(values)
    index = np.arange(total)
    start, low, high, noise = facts["start"], facts["low"], facts["high"], np.nan_to_num(facts["noise"])
    reference = np.fmax(np.abs(start), np.abs(low))
    reference = np.where(reference > 0, reference, noise)
    bound = np.where(reference > 0, start + (growth - 1) * reference, np.inf)
    bad = ~finite | (values > bound[history])
    ends = begins + points - 1
    good = np.maximum(np.maximum.reduceat(np.where(bad, -1, index), begins), begins - 1)

    cost = np.where(finite, sign * values, np.inf)
    best = np.where(sign[begins] < 0, -high, low)
    near = cost <= (best + np.maximum(2 * noise, 0.01 * (sign[begins] * facts["first"] - best)))[history]
    near &= _stays_near(cost, best, sign[begins], facts, begins)
    reached = np.minimum.reduceat(np.where(near, index, _FAR), begins)
    # Each history is scaled to [0, 0.5] and placed below the previous one, so that one running minimum serves all.
    # Without a direction, all costs are 0 and their difference from the lowest value is clipped.
    span = np.where(high > low, high - low, 1.0)
    scaled = np.where(finite, np.clip(0.5 * (cost - best[history]) / span[history], 0.0, 0.5), 0.5) - history
    running = np.minimum.accumulate(scaled)
    improves = np.r_[True, running[1:] < running[:-1]] | (index == begins[history])
    since = np.where(improves, index, 0)
    wait = index - np.r_[0, np.maximum.accumulate(since)[:-1]]  # points since the last improvement
    counted = improves & (index <= reached[history]) & (index > begins[history])
    return {
        "bad_points": ends - good,
        "bad_step": _at(steps, np.where(good < ends, good + 1, -1), -1),
        "reached": np.where(reached < _FAR, reached - begins + 1, points),
        "reached_step": _at(steps, reached, -1),
        "waited": np.maximum.reduceat(np.where(counted, wait, 0), begins),
    }


def _stays_near(
    cost: Numbers, best: Numbers, sign: Numbers, facts: Mapping[str, npt.NDArray[Any]], begins: Integers
) -> npt.NDArray[np.bool_]:
    """Which points begin a stretch of the length of a block whose mean is within noise of the best block mean.

    A single lucky point may lie near the best one long before the level does. Costs are scaled by the range of their
    history, so that their sums keep their digits.
    """
    history, points = _owners(begins, len(cost))
    size = np.maximum(1, points // BLOCKS)
    span = np.where(facts["high"] > facts["low"], facts["high"] - facts["low"], 1.0)
    # From 0 to 1: one sum serves all histories, and a metric without a direction would take its digits.
    scaled = np.where(np.isfinite(cost), np.fmin(np.fmax((cost - best[history]) / span[history], 0.0), 1.0), 1.0)
    sums = np.r_[0.0, np.cumsum(scaled)]
    index = np.arange(len(cost))
    until = np.minimum(index + size[history], (begins + points)[history])
    levels = sign[:, None] * facts["blocks"]
    best_level = np.min(np.where(np.isnan(levels), np.inf, levels), axis=1)
    noise = np.nan_to_num(facts["noise"]) / np.sqrt(size)
    bound = best_level + np.fmax(3 * noise, 0.01 * (sign * facts["start"] - best_level)) - best
    return np.asarray((sums[until] - sums[index]) / (until - index) <= (bound / span)[history] + _ROUNDING)


def step_facts(histories: Points, begins: Integers) -> Facts:
    """Gaps between steps, and steps that were logged again later."""
    steps, times = histories.steps, histories.times
    history, points = _owners(begins, len(steps))
    inside = history[1:] == history[:-1]
    strides = np.r_[0.0, np.where(inside, steps[1:].astype(np.float64) - steps[:-1], 0.0)]
    widest = np.maximum.reduceat(strides, begins)
    index = np.arange(len(steps))
    at = np.minimum.reduceat(np.where(strides == widest[history], index, _FAR), begins)
    ends = begins + points - 1
    least = np.minimum.reduceat(np.where(strides > 0, strides, np.inf), begins)
    forward = np.add.reduceat((strides > 0).astype(np.int64), begins)
    even = np.add.reduceat((strides == least[history]).astype(np.int64), begins) / np.maximum(forward, 1)
    strides[at] = 0.0
    second = np.maximum.reduceat(strides, begins)
    usual = np.add.reduceat(strides, begins) / np.maximum(forward - 1, 1)
    is_between = (at - begins >= 2) & (ends - at >= 1) & (usual > 0)  # at least two points on each side
    older = np.r_[False, inside & (times[1:] < times[:-1])]
    first_again = np.minimum.reduceat(np.where(older, index, _FAR), begins)
    last_again = np.maximum.reduceat(np.where(older, index, -1), begins)
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


def medians(values: Numbers, owner: Integers, series: int) -> tuple[Numbers, Integers]:
    """The median and number of the values of each history; the median of none is NaN.

    Args:
        values: All values, grouped by history.
        owner: The history of each value, ascending.
        series: Number of histories.

    Returns:
        The medians and the counts, both of length `series`.
    """
    counts = np.bincount(owner, minlength=series)
    begins = np.cumsum(counts) - counts
    medians_of = np.full(series, np.nan)
    # Histories of equal length share a matrix: runs of a sweep mostly log the same number of points.
    for size in np.unique(counts[counts > 0]).tolist():
        alike = np.flatnonzero(counts == size)
        if len(alike) * size == len(values):
            rows = values.reshape(-1, size).copy()
        else:
            rows = values[begins[alike][:, None] + np.arange(size)]
        if size == _FEWEST:  # by far the most common size of levels; this takes a tenth of the time
            a, b, c = rows.T
            medians_of[alike] = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
            continue
        middle = size // 2
        rows.partition(middle, axis=1)
        # A single middle value is not averaged with itself: the sum of two of the largest doubles would be infinite.
        # Partitioning at both middle places would take three times as long as looking for the largest value below.
        medians_of[alike] = rows[:, middle] if size % 2 else (rows[:, :middle].max(axis=1) + rows[:, middle]) / 2
    return medians_of, counts


def _owners(begins: Integers, total: int) -> tuple[Integers, Integers]:
    """The history of each point, and the number of points of each history."""
    points = np.diff(np.r_[begins, total])
    return np.repeat(np.arange(len(begins)), points), points


def _at(column: npt.NDArray[Any], indices: Integers, missing: float) -> npt.NDArray[Any]:
    """The column at these positions; `missing` where a position is out of range."""
    inside = (indices >= 0) & (indices < len(column))
    values = np.where(inside, column[np.where(inside, indices, 0)], missing)
    return values.astype(column.dtype)
