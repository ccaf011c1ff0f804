"""The numbers of a table for a paper: means with the half of their 95 % interval, and what is best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.baseline import FEWEST_RUNS, compare_to_baseline
from qualia_lab.analysis.groups import telling_params

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.groups import Group

MOST_ROWS = 30
_DIGITS_ALONE = 4  # significant ones of a mean without an interval
_PLAIN = (-4, 6)  # powers of ten that are written out


@dataclass(frozen=True)
class Measured:
    """A mean and half of its interval as texts, rounded alike; times ten to the exponent where that is not 0."""

    mean: str
    half_width: str | None
    exponent: int = 0


@dataclass(frozen=True)
class Entry:
    """A configuration's value of one metric. None and 0 runs where it has none.

    best: the best mean of its column, of three runs or more where there are such: a lucky single run is none.
    level: compared with the best one, and not told apart from it; under three runs on a side nothing is compared.
    """

    group: Group
    text: Measured | None
    best: bool
    level: bool


@dataclass(frozen=True)
class PaperRow:
    """A configuration: the values of the params that are columns, and an entry per metric."""

    params: tuple[str | None, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class PaperNumbers:
    """A table for a paper, as numbers and texts that nothing has escaped yet.

    params: keys of the columns.  unsaid: params that differ, too, and are no columns.  more: configurations that are
    left out; empty: those without a value of any metric, which are not counted there.  directions: of each metric,
    whether more is better; None where that is not known.
    """

    params: tuple[str, ...]
    metrics: tuple[str, ...]
    directions: tuple[bool | None, ...]
    statistic: str
    rows: tuple[PaperRow, ...]
    unsaid: tuple[str, ...]
    more: int
    empty: tuple[Group, ...] = ()


def paper_numbers(
    columns: Mapping[str, Sequence[Group]], *, statistic: str = "last", params: Sequence[str] | None = None
) -> PaperNumbers:
    """The table of some metrics, best mean of the first one on top; past 30 configurations the first ones.

    columns: for each metric the same configurations in the same order.
    params: the keys that are columns, by default as few as tell the configurations apart.
    """
    groups = list(columns.values())
    told = [group.configuration for group in groups[0]]
    keys = tuple(telling_params(told) if params is None else params)
    differing = dict.fromkeys(key for configuration in told for key, _ in configuration.params)
    entries = [_entries(column) for column in groups]
    order = sorted(
        (place for place in range(len(told)) if any(column[place].values for column in groups)),
        key=lambda place: _place(groups[0][place]),
    )
    placed = set(order)
    rows = tuple(
        PaperRow(
            tuple(dict(told[place].settings).get(key) for key in keys),
            tuple(column[place] for column in entries),
        )
        for place in order[:MOST_ROWS]
    )
    return PaperNumbers(
        params=keys,
        metrics=tuple(columns),
        directions=tuple(column[0].greater_is_better for column in groups),
        statistic=statistic,
        rows=rows,
        unsaid=tuple(key for key in differing if key not in keys),
        more=len(order) - len(rows),
        empty=tuple(groups[0][place] for place in range(len(told)) if place not in placed),
    )


def measured(mean: float, half_width: float | None) -> Measured:
    """A mean to the place of the second significant digit of its uncertainty; without one, four digits.

    0.91234 ± 0.00413 is 0.9123 ± 0.0041. Numbers of 10^7 or more, or under 10^-4, get a power of ten.
    """
    largest = max(abs(mean), half_width or 0.0)
    power = math.floor(math.log10(largest)) if largest else 0
    exponent = 0 if _PLAIN[0] <= power <= _PLAIN[1] else max(power, -300)
    scale = 10.0**exponent
    last = power - _DIGITS_ALONE + 1
    if half_width:
        last = math.floor(math.log10(float(f"{half_width:.1e}"))) - 1  # its second digit, when it is rounded
    last = max(last, power - 14)  # a double has no more
    decimals = exponent - last
    shown = [_rounded(mean / scale, decimals)]
    if half_width is not None:
        shown.append(_rounded(half_width / scale, decimals))
    return Measured(shown[0], shown[1] if len(shown) > 1 else None, exponent)


def _rounded(value: float, decimals: int) -> str:
    return f"{round(value, decimals) + 0.0:.{max(0, decimals)}f}"


def _entries(groups: Sequence[Group]) -> list[Entry]:
    """An entry for each configuration, with the best and what is level with it where there are two or more."""
    fewest = max(1, min(FEWEST_RUNS, max(len(group.values) for group in groups)))
    leader = _leader(groups, fewest)
    level = set()
    if leader is not None:
        found = compare_to_baseline([group for group in groups if group.values], leader)
        level = {
            one.group.run_ids[0]
            for one in found.differences
            if one.corrected_p is not None and one.verdict not in ("better", "worse")
        }
    return [
        Entry(
            group,
            measured(group.mean, group.half_width) if group.mean is not None else None,
            best=leader is not None and group.mean == leader.mean and len(group.values) >= fewest,
            level=leader is not None and group.run_ids[0] in level and group.mean != leader.mean,
        )
        for group in groups
    ]


def _leader(groups: Sequence[Group], fewest: int) -> Group | None:
    """The one with the best mean, of those with so many values; None of fewer than two, and without a direction."""
    counting = [group for group in groups if len(group.values) >= fewest]
    better = groups[0].greater_is_better
    if len(counting) < 2 or better is None:
        return None
    return (max if better else min)(counting, key=lambda group: group.mean or 0.0)


def _place(group: Group) -> tuple[bool, float]:
    mean = group.mean or 0.0
    return group.mean is None, mean if group.greater_is_better is False else -mean
