"""Groups: the configurations of a study, each with a metric over the runs that count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import BOOTSTRAP_FROM, Interval, interquartile_mean, mean_interval, mean_of, unit_of
from qualia_lab.analysis.scores import scores
from qualia_lab.inventory import is_number
from qualia_lab.study.factor_names import is_fold
from qualia_lab.study.statuses import FINISHED, WITHOUT, kind_of, statuses_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.analysis.scores import Scores
    from qualia_lab.study import Configuration, Study
    from qualia_lab.study.study import Setting
    from qualia_lab.tables import RunTables


@dataclass(frozen=True)
class Group:
    """A configuration and a metric over its runs.

    run_ids: all its runs.  scored: those that count and have a finite value, one of each computation, and `values`
    these, in the same order; so n is len(values).  left_out: how many others there are, and why: a status, a copy, or
    `without a finite value`.  unfinished: how many of `scored` did not finish, by status; none unless they were asked
    for, or no run finished.  short: how many of `scored` stopped much earlier than the other runs of the task.
    The statistics of `values` are computed when they are asked for: of thousands of groups few are shown.
    """

    configuration: Configuration
    metric: str
    scored: tuple[str, ...]
    values: tuple[float, ...]
    mean: float | None
    greater_is_better: bool | None
    left_out: tuple[tuple[str, int], ...] = ()
    unfinished: tuple[tuple[str, int], ...] = ()
    short: int = 0

    @property
    def experiment_id(self) -> str:
        """The task it belongs to; configurations of different ones are never compared."""
        return self.configuration.experiment_id

    @property
    def params(self) -> tuple[tuple[str, str | None], ...]:
        """The factors that set it apart."""
        return self.configuration.params

    @property
    def run_ids(self) -> tuple[str, ...]:
        """All its runs, those without a value among them."""
        return self.configuration.run_ids

    @property
    def repeats(self) -> tuple[tuple[Setting, ...], ...]:
        """The seeds of the runs in `scored`."""
        of_run = dict(zip(self.configuration.run_ids, self.configuration.repeats, strict=True))
        return tuple(of_run[run_id] for run_id in self.scored)

    @property
    def median(self) -> float | None:
        """The median; None of no value."""
        return median(self.values) if self.values else None

    @property
    def interquartile_mean(self) -> float | None:
        """The mean of the middle half; None of no value."""
        return interquartile_mean(self.values) if self.values else None

    @cached_property
    def interval(self) -> Interval | None:
        """Of the mean at 95 %; None for one value or none."""
        strata = None
        if len(self.values) >= BOOTSTRAP_FROM:  # a bootstrap keeps folds as they are
            strata = [tuple(setting for setting in repeat if is_fold(setting[0])) for repeat in self.repeats]
        return mean_interval(self.values, strata)

    @cached_property
    def squares(self) -> tuple[float, float, float]:
        """A power of two about as large as the largest value; in it that value, and the sum of squared deviations."""
        values = np.asarray(self.values, np.float64)
        unit = unit_of(values)
        scaled = values / unit
        return unit, float(np.abs(scaled).max()), float(((scaled - scaled.mean()) ** 2).sum())

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


def group_runs(
    tables: RunTables,
    study: Study,
    metric: str | None = None,
    *,
    statistic: str = "last",
    history: pa.Table | None = None,
    without: Mapping[str, str] | None = None,
) -> list[Group]:
    """The configurations of every task, each with a metric over its runs, in the order of the study.

    Args:
        tables: the runs that the study describes.
        study: which runs are one configuration, which count, and which way is better.
        metric: None takes the objective of each task; a task without one gives no group.
        statistic: as in `scores`.
        history: every logged point (schema.METRIC_HISTORY) of the metric; only `last` does without.
        without: further runs that do not count, each with why.
    """
    status = statuses_of(tables)
    uncounted = {**study.left_out, **(without or {})}
    short = {one.run_id for one in study.short_runs}
    known: dict[str, Scores] = {}
    groups = []
    for task in study.tasks:
        key = metric or (task.objective.key if task.objective else None)
        if key is None:
            continue
        objective = task.objective
        better = objective.greater_is_better if objective and objective.key == key else study.greater_is_better(key)
        if key not in known:
            known[key] = scores(tables, key, statistic, history, better)
        groups += [_take_group(one, known[key], better, status, uncounted, short=short) for one in study.in_task(task)]
    return groups


def _take_group(
    configuration: Configuration,
    found: Scores,
    greater_is_better: bool | None,
    status: Mapping[str, str],
    uncounted: Mapping[str, str],
    *,
    short: set[str],
) -> Group:
    """One configuration with the scores of its runs."""
    scored = tuple(run_id for run_id in configuration.run_ids if run_id in found.values and run_id not in uncounted)
    why = Counter(
        kind_of(uncounted[run_id]) if run_id in uncounted else WITHOUT
        for run_id in configuration.run_ids
        if run_id in uncounted or run_id not in found.values
    )
    unfinished = Counter(status[run_id].lower() for run_id in scored if status[run_id] != FINISHED)
    values = tuple(found.values[run_id] for run_id in scored)
    return Group(
        configuration=configuration,
        metric=found.metric,
        scored=scored,
        values=values,
        mean=mean_of(values) if values else None,
        greater_is_better=greater_is_better,
        left_out=tuple(why.items()),
        unfinished=tuple(unfinished.items()),
        short=sum(run_id in short for run_id in scored),
    )


def telling_params(configurations: Sequence[Configuration]) -> list[str]:
    """As few factors as tell all configurations apart, and a text among them where there is one.

    Factor after factor is taken that tells most apart; of equal ones that of most configurations, then by name. Numbers
    alone say little to a reader: a factor of texts that every configuration has, such as a model, stands before them.
    """
    values = [dict(configuration.params) for configuration in configurations]
    parts: list[tuple[str | None, ...]] = [()] * len(configurations)
    keys: list[str] = []
    left = sorted({key for one in values for key in one})
    while left and len(set(parts)) < len(configurations):
        key = max(left, key=lambda key: _told_apart(parts, values, key))
        parts = [(*part, one.get(key)) for part, one in zip(parts, values, strict=True)]
        keys.append(key)
        left.remove(key)
    words = [key for key in left if all(one.get(key) is not None and not is_number(one[key]) for one in values)]
    if keys and words and all(is_number(one[key]) for key in keys for one in values if one.get(key) is not None):
        keys.insert(0, words[0])
    return keys


def short_labels(configurations: Sequence[Configuration]) -> dict[str, str]:
    """A label for each configuration, by its first run, of the factors that tell them apart."""
    keys = telling_params(configurations)
    labels = {}
    for configuration in configurations:
        one = dict(configuration.params)
        words = [f"{key}={one[key]}" for key in keys if one.get(key) is not None]
        labels[configuration.run_ids[0]] = ", ".join(words) or (f"no {', '.join(keys)}" if keys else "all runs")
    return labels


def _told_apart(
    parts: Sequence[tuple[str | None, ...]], values: Sequence[dict[str, str | None]], key: str
) -> tuple[int, int]:
    apart = {(part, one.get(key)) for part, one in zip(parts, values, strict=True)}
    return len(apart), sum(one.get(key) is not None for one in values)
