"""Runs that are the same computation logged twice, once rounded, as by a library and by its autologging."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.columns import numbers_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt
    import pyarrow as pa

    from qualia_lab.study.setting_columns import Marks

_FEWEST_DECIMALS = 3  # with fewer, rounding makes many different values equal
_FEWEST_METRICS = 2
_MOST_ALIKE = 50  # runs with the same seed and configuration; if there are more, rounding is not considered


def rounded_copies(
    rows: pa.Table, alike: Marks, order: npt.NDArray[np.int64], among: npt.NDArray[np.bool_]
) -> Iterable[tuple[int, int]]:
    """Find pairs of a run and an earlier one that is equal except for rounding, by index.

    In all metrics that both have, at least two, one value has to be the other one rounded to its three or more
    decimals, and in one metric they have to differ.

    Args:
        rows: run, metric and bits of the compared values, as numbers.
        alike: marks that are equal for runs with the same settings, seeds, code and data.
        order: the indices of the runs, the earliest first.
        among: whether each run records a seed and is not a copy yet.
    """
    considered = order[among[order]]
    _, kinds, counts = np.unique(alike[considered], return_inverse=True, return_counts=True)
    several = (counts[kinds] > 1) & (counts[kinds] <= _MOST_ALIKE)
    if not several.any():
        return
    sets: dict[int, list[int]] = defaultdict(list)
    for kind, run in zip(kinds[several].tolist(), considered[several].tolist(), strict=True):
        sets[kind].append(run)
    values = _values(rows, {run for runs in sets.values() for run in runs})
    for runs in sets.values():
        originals: list[int] = []
        for run in runs:
            first = next((one for one in originals if _is_rounded_copy(values[run], values[one])), None)
            if first is None:
                originals.append(run)
            else:
                yield run, first


def _values(rows: pa.Table, wanted: set[int]) -> dict[int, dict[int, float]]:
    run, metric, bits = (numbers_of(rows.column(name)) for name in ("run", "metric", "bits"))
    values_of: dict[int, dict[int, float]] = {one: {} for one in wanted}
    for row in np.flatnonzero(np.isin(run, list(wanted))).tolist():
        values_of[int(run[row])][int(metric[row])] = float(bits[row : row + 1].view(np.float64)[0])
    return values_of


def _is_rounded_copy(one: Mapping[int, float], other: Mapping[int, float]) -> bool:
    shared = [(one[key], other[key]) for key in one.keys() & other.keys()]
    return len(shared) >= _FEWEST_METRICS and all(a == b or _is_rounded(a, b) or _is_rounded(b, a) for a, b in shared)


def _is_rounded(value: float, rounded: float) -> bool:
    text = repr(rounded)
    decimals = len(text.partition(".")[2])
    is_plain = decimals >= _FEWEST_DECIMALS and "e" not in text and math.isfinite(value)
    return is_plain and round(value, decimals) == rounded
