"""The numbers of a table for a paper: means with half of their 95 % interval, and which of them are best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.baseline import FEWEST_RUNS, compare_to_baseline
from qualia_lab.analysis.groups import distinguishing_params

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.groups import Group

MOST_ROWS = 30
_DIGITS_ALONE = 4  # significant digits of a mean without an interval
_PLAIN = (-4, 6)  # range of powers of ten that are written out


@dataclass(frozen=True)
class Measured:
    """A mean and half of its interval as text, rounded to the same digit.

    Attributes:
        mean: the mean.
        half_width: half of the 95 % interval; None where there is none.
        exponent: both are to be multiplied by ten to this power.
    """

    mean: str
    half_width: str | None
    exponent: int = 0


@dataclass(frozen=True)
class Entry:
    """The value of one metric for a configuration.

    Attributes:
        group: the configuration with the metric.
        text: the mean as text; None where the configuration has no value.
        best: whether it is the best mean of its column, among those of three runs or more where there are such, so that
            a lucky single run is not marked.
        level: whether it was compared to the best and cannot be told apart from it; with fewer than three runs on a
            side nothing is compared.
    """

    group: Group
    text: Measured | None
    best: bool
    level: bool


@dataclass(frozen=True)
class PaperRow:
    """One configuration of the table.

    Attributes:
        params: the values of the params that are columns.
        entries: one entry per metric.
    """

    params: tuple[str | None, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class PaperNumbers:
    """A table for a paper, as numbers and texts that are not escaped yet.

    Attributes:
        params: the keys of the param columns.
        metrics: the keys of the metric columns.
        directions: for each metric whether greater is better; None where that is unknown.
        statistic: which value of each run was taken, as in `scores`.
        rows: the configurations that are shown.
        hidden_params: params that differ too and are no columns.
        more: how many configurations with a value are not shown.
        empty: the configurations without a value of any metric, which `more` does not count.
    """

    params: tuple[str, ...]
    metrics: tuple[str, ...]
    directions: tuple[bool | None, ...]
    statistic: str
    rows: tuple[PaperRow, ...]
    hidden_params: tuple[str, ...]
    more: int
    empty: tuple[Group, ...] = ()


def paper_numbers(
    columns: Mapping[str, Sequence[Group]], *, statistic: str = "last", params: Sequence[str] | None = None
) -> PaperNumbers:
    """Build the table of some metrics, best mean of the first metric on top.

    Args:
        columns: for each metric the same configurations in the same order.
        statistic: which value of each run was taken, as in `scores`.
        params: the keys that become columns; by default as few as distinguish the configurations.

    Returns:
        The table, with at most 30 configurations.
    """
    groups = list(columns.values())
    configurations = [group.configuration for group in groups[0]]
    keys = tuple(distinguishing_params(configurations) if params is None else params)
    differing = dict.fromkeys(key for configuration in configurations for key, _ in configuration.params)
    entries = [_entries(column) for column in groups]
    order = sorted(
        (place for place in range(len(configurations)) if any(column[place].values for column in groups)),
        key=lambda place: _sort_key(groups[0][place]),
    )
    placed = set(order)
    rows = tuple(
        PaperRow(
            tuple(dict(configurations[place].settings).get(key) for key in keys),
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
        hidden_params=tuple(key for key in differing if key not in keys),
        more=len(order) - len(rows),
        empty=tuple(groups[0][place] for place in range(len(configurations)) if place not in placed),
    )


def measured(mean: float, half_width: float | None) -> Measured:
    """Round a mean to the second significant digit of its uncertainty; without one, to four significant digits.

    0.91234 ± 0.00413 becomes 0.9123 ± 0.0041. Numbers of 10^7 or more, or below 10^-4, get a power of ten.

    Args:
        mean: the mean.
        half_width: half of its 95 % interval; None where there is none.

    Returns:
        The rounded texts.
    """
    largest = max(abs(mean), half_width or 0.0)
    power = math.floor(math.log10(largest)) if largest else 0
    exponent = 0 if _PLAIN[0] <= power <= _PLAIN[1] else max(power, -300)
    scale = 10.0**exponent
    last = power - _DIGITS_ALONE + 1
    if half_width:
        last = math.floor(math.log10(float(f"{half_width:.1e}"))) - 1  # the place of its second digit after rounding
    last = max(last, power - 14)  # doubles have no more digits
    decimals = exponent - last
    shown = [_rounded(mean / scale, decimals)]
    if half_width is not None:
        shown.append(_rounded(half_width / scale, decimals))
    return Measured(shown[0], shown[1] if len(shown) > 1 else None, exponent)


def _rounded(value: float, decimals: int) -> str:
    """A number with this many decimals; where `decimals` is negative, digits before the point are rounded too."""
    return f"{round(value, decimals) + 0.0:.{max(0, decimals)}f}"


def _entries(groups: Sequence[Group]) -> list[Entry]:
    """An entry for each configuration, with the best and those level with it where two or more can be compared."""
    fewest = max(1, min(FEWEST_RUNS, max(len(group.values) for group in groups)))
    leader = _leader(groups, fewest)
    level = set()
    if leader is not None:
        comparison = compare_to_baseline([group for group in groups if group.values], leader)
        level = {
            difference.group.run_ids[0]
            for difference in comparison.differences
            if difference.corrected_p is not None and difference.verdict not in ("better", "worse")
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
    """The configuration with the best mean among those with enough values; None without two of them or a direction."""
    candidates = [group for group in groups if len(group.values) >= fewest]
    better = groups[0].greater_is_better
    if len(candidates) < 2 or better is None:
        return None
    return (max if better else min)(candidates, key=lambda group: group.mean or 0.0)


def _sort_key(group: Group) -> tuple[bool, float]:
    """A sort key that puts the best mean first and missing means last."""
    mean = group.mean or 0.0
    return group.mean is None, mean if group.greater_is_better is False else -mean
