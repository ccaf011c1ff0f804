"""Groups: runs that are alike in all params but seed-like ones are one configuration."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from statistics import fmean, median
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from qualia_lab.analysis.by_run import ByRun
from qualia_lab.analysis.endings import FINISHED, WITHOUT, left_out, statuses_of
from qualia_lab.analysis.intervals import Interval, interquartile_mean, mean_interval
from qualia_lab.analysis.scores import scores
from qualia_lab.inventory import is_number
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.analysis.scores import Scores
    from qualia_lab.tables import RunTables

_SEED_LIKE = re.compile(
    r"(?i)(.*[^a-z0-9])?(random_?)?(seed|state|rng|(cv_?)?fold|split_?id|repeat|replicate)(_?(id|idx|index))?"
)
_FOLD_LIKE = re.compile(r"(?i)(.*[^a-z0-9])?((cv_?)?fold|split_?id)(_?(id|idx|index))?")

Param = tuple[str, str]


@dataclass(frozen=True)
class Configuration:
    """Runs that are alike in all params but seed-like ones, in their order.

    params: those that set configurations apart, a missing one as None.  settings: all params but seed-like ones.
    repeats: of each run its seed-like params, in the order of run_ids; () where a run has none.
    """

    params: tuple[tuple[str, str | None], ...]
    settings: tuple[Param, ...]
    run_ids: tuple[str, ...]
    repeats: tuple[tuple[Param, ...], ...]

    @property
    def label(self) -> str:
        """`lr=0.1, depth=3`; `all runs` where there is only one configuration."""
        return ", ".join(f"{key}={value}" for key, value in self.params if value is not None) or (
            "no params" if self.params else "all runs"
        )

    def without(self, run_ids: Collection[str]) -> Configuration | None:
        """The configuration of its other runs; None where there is none."""
        kept = [place for place, run_id in enumerate(self.run_ids) if run_id not in run_ids]
        if len(kept) == len(self.run_ids):
            return self
        if not kept:
            return None
        left = tuple(self.run_ids[place] for place in kept)
        return Configuration(self.params, self.settings, left, tuple(self.repeats[place] for place in kept))


@dataclass(frozen=True)
class Group:
    """A configuration and a metric over its runs.

    run_ids: all its runs.  scored: those that count and have a finite value, and `values` these, in the same order; so
    n is len(values).  left_out: how many others there are, and why: their status, or `without a finite value`.
    unfinished: how many of `scored` did not finish, by status; none unless they were asked for, or no run finished.
    interval: of the mean at 95 %; None for one value or none.
    """

    configuration: Configuration
    scored: tuple[str, ...]
    values: tuple[float, ...]
    mean: float | None
    median: float | None
    interquartile_mean: float | None
    interval: Interval | None
    greater_is_better: bool | None
    left_out: tuple[tuple[str, int], ...] = ()
    unfinished: tuple[tuple[str, int], ...] = ()

    @property
    def params(self) -> tuple[tuple[str, str | None], ...]:
        """The params that set it apart."""
        return self.configuration.params

    @property
    def run_ids(self) -> tuple[str, ...]:
        """All its runs, those without a value among them."""
        return self.configuration.run_ids

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval."""
        return self.interval.half_width if self.interval else None

    @property
    def lowest_run(self) -> str | None:
        """The run of the lowest value."""
        return min(zip(self.values, self.scored, strict=True))[1] if self.values else None

    @property
    def highest_run(self) -> str | None:
        """The run of the highest value."""
        return max(zip(self.values, self.scored, strict=True))[1] if self.values else None

    @property
    def best_run(self) -> str | None:
        """The best run; None where no direction is known."""
        if self.greater_is_better is None:
            return None
        return self.highest_run if self.greater_is_better else self.lowest_run


def is_seed_like(param: str) -> bool:
    """Whether a param only repeats a configuration: seed, random_state, fold, ..., also as `model.seed`."""
    return _SEED_LIKE.fullmatch(param) is not None


def configurations(tables: RunTables, seeds: Sequence[str] | None = None) -> list[Configuration]:
    """The configurations in the order of their first run.

    seeds: the params that only repeat a configuration, by their whole keys; by default those that `is_seed_like`
    knows. Values that are the same number (`0.1`, `1e-1`) are alike.
    """
    keys: list[str] = pc.unique(tables.params.column("key")).to_pylist()
    repeating = set(filter(_seed_like, keys) if seeds is None else seeds)
    places = {run_id: place for place, run_id in enumerate(tables.run_ids)}
    settings = ByRun(places, rows_with(tables.params, "key", [key for key in keys if key not in repeating]))
    repeats = ByRun(places, rows_with(tables.params, "key", repeating))
    members: dict[tuple[tuple[str, Decimal | str], ...], list[str]] = {}
    alike: dict[bytes, list[str]] = {}  # of equal texts the numbers are equal too: one run of them is asked
    for run_id in tables.run_ids:
        digest = settings.digest(run_id)
        if digest not in alike:
            alike[digest] = members.setdefault(tuple(map(_comparable_pair, settings[run_id].items())), [])
        alike[digest].append(run_id)
    differing = _differing(members)
    once: dict[Param, Param] = {}  # equal pairs are one object, or a hundred thousand runs would not fit
    return [
        Configuration(
            params=tuple((key, of_first.get(key)) for key in differing),
            settings=tuple(once.setdefault(pair, pair) for pair in of_first.items()),
            run_ids=tuple(run_ids),
            repeats=tuple(tuple(once.setdefault(pair, pair) for pair in repeats[run_id].items()) for run_id in run_ids),
        )
        for run_ids in members.values()
        for of_first in [settings[run_ids[0]]]
    ]


def group_runs(
    tables: RunTables,
    metric: str,
    seeds: Sequence[str] | None = None,
    *,
    statistic: str = "last",
    history: pa.Table | None = None,
    greater_is_better: bool | None = None,
    statuses: Sequence[str] | None = None,
) -> list[Group]:
    """The configurations, each with a metric over its runs, in the order of their first run.

    seeds: as in `configurations`.  statistic, history: as in `scores`.  statuses: as in `counted_statuses`.
    """
    found = scores(tables, metric, statistic, history, greater_is_better)
    status = statuses_of(tables)
    uncounted = left_out(status, statuses)
    return [_take_group(one, found, greater_is_better, status, uncounted) for one in configurations(tables, seeds)]


def _take_group(
    configuration: Configuration,
    found: Scores,
    greater_is_better: bool | None,
    status: Mapping[str, str],
    uncounted: Mapping[str, str],
) -> Group:
    """One configuration with the scores of its runs: n, mean, median, interquartile mean and 95 % interval."""
    scored = tuple(run_id for run_id in configuration.run_ids if run_id in found.values and run_id not in uncounted)
    why = Counter(
        uncounted[run_id].lower() if run_id in uncounted else WITHOUT
        for run_id in configuration.run_ids
        if run_id in uncounted or run_id not in found.values
    )
    unfinished = Counter(status[run_id].lower() for run_id in scored if status[run_id] != FINISHED)
    values = tuple(found.values[run_id] for run_id in scored)
    return Group(
        configuration=configuration,
        scored=scored,
        values=values,
        mean=fmean(values) if values else None,
        median=median(values) if values else None,
        interquartile_mean=interquartile_mean(values) if values else None,
        interval=mean_interval(values, _folds(configuration, set(scored))),
        greater_is_better=greater_is_better,
        left_out=tuple(why.items()),
        unfinished=tuple(unfinished.items()),
    )


def telling_params(told: Sequence[Configuration]) -> list[str]:
    """As few params as tell all configurations apart, and a word among them where there is one.

    Param after param is taken that tells most apart; of equal ones that of most configurations, then by name. Numbers
    alone say little to a reader: a param of texts that every configuration has, such as a model, stands before them.
    """
    values = [dict(configuration.params) for configuration in told]
    parts: list[tuple[str | None, ...]] = [()] * len(told)
    keys: list[str] = []
    left = sorted({key for one in values for key in one})
    while left and len(set(parts)) < len(told):
        key = max(left, key=lambda key: _told_apart(parts, values, key))
        parts = [(*part, one.get(key)) for part, one in zip(parts, values, strict=True)]
        keys.append(key)
        left.remove(key)
    words = [key for key in left if all(one.get(key) is not None and not is_number(one[key]) for one in values)]
    if keys and words and all(is_number(one[key]) for key in keys for one in values if one.get(key) is not None):
        keys.insert(0, words[0])
    return keys


def short_labels(told: Sequence[Configuration]) -> dict[str, str]:
    """A label for each configuration, by its first run, of the params that tell them apart."""
    keys = telling_params(told)
    labels = {}
    for configuration in told:
        one = dict(configuration.params)
        words = [f"{key}={one[key]}" for key in keys if one.get(key) is not None]
        labels[configuration.run_ids[0]] = ", ".join(words) or (f"no {', '.join(keys)}" if keys else "all runs")
    return labels


def _told_apart(
    parts: Sequence[tuple[str | None, ...]], values: Sequence[dict[str, str | None]], key: str
) -> tuple[int, int]:
    apart = {(part, one.get(key)) for part, one in zip(parts, values, strict=True)}
    return len(apart), sum(one.get(key) is not None for one in values)


def finite_values(tables: RunTables, metric: str) -> dict[str, float]:
    """The latest value of a metric per run, where it is a finite number."""
    return dict(scores(tables, metric).values)


def _folds(configuration: Configuration, scored: set[str]) -> list[tuple[Param, ...]]:
    """The fold of each run that is scored: what a bootstrap keeps as it is."""
    return [
        tuple(param for param in repeat if _FOLD_LIKE.fullmatch(param[0]))
        for run_id, repeat in zip(configuration.run_ids, configuration.repeats, strict=True)
        if run_id in scored
    ]


def _differing(alike: Collection[tuple[tuple[str, Decimal | str], ...]]) -> list[str]:
    """The params that are not alike in all configurations, sorted; a missing one is a difference."""
    values: dict[str, set[Decimal | str]] = {}
    counts: Counter[str] = Counter()
    for configuration in alike:
        for key, value in configuration:
            values.setdefault(key, set()).add(value)
            counts[key] += 1
    return [key for key in sorted(values) if len(values[key]) > 1 or counts[key] < len(alike)]


@lru_cache(maxsize=65_536)
def _comparable_pair(param: Param) -> tuple[str, Decimal | str]:
    return param[0], comparable(param[1])


@lru_cache(maxsize=4096)
def _seed_like(param: str) -> bool:
    return is_seed_like(param)


@lru_cache(maxsize=4096)
def comparable(value: str) -> Decimal | str:
    """The value as the number that it is, exactly, or as its text."""
    try:
        return Decimal(value.strip()) if is_number(value) else value
    except ArithmeticError:  # an exponent beyond those that Decimal has
        return value
