"""Groups: the configurations of a study, each with a metric over the runs that count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING

from qualia_lab.analysis.bounds import bounds_of, clip_interval
from qualia_lab.analysis.intervals import BOOTSTRAP_FROM, Interval, interquartile_mean, mean_interval, mean_of
from qualia_lab.analysis.scores import scores
from qualia_lab.inventory import is_number
from qualia_lab.names import display_width, distinct_names
from qualia_lab.study.factor_names import is_fold
from qualia_lab.study.metric_names import read_name
from qualia_lab.study.statuses import FINISHED, runs_with_value, statuses_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.analysis.bounds import Bounds
    from qualia_lab.analysis.scores import Scores
    from qualia_lab.study import Configuration, Study
    from qualia_lab.study.study import Setting
    from qualia_lab.tables import RunTables

_SHORT_ID = 12  # columns for the start of a run id behind a label


@dataclass(frozen=True)
class Group:
    """A configuration with a metric over its runs.

    The statistics of `values` are computed on access, because only a few of thousands of groups are shown.

    Attributes:
        configuration: the configuration.
        metric: the key of the metric.
        scored: the runs that count and have a finite value, without copies.
        values: the values of `scored`, in the same order; n is len(values).
        mean: the mean of the values; None where there are none.
        greater_is_better: the direction of the metric; None where it is unknown.
        left_out: why other runs are left out and how many for each reason: a status, a copy, or `without a finite
            value`.
        unfinished: how many of `scored` did not finish, by status; only where such runs were requested or no run
            finished.
        short: how many of `scored` stopped much earlier than the other runs of the task.
        bounds: the lowest and the highest value that the metric can have; None where there is none.
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
    bounds: Bounds = (None, None)

    @property
    def experiment_id(self) -> str:
        """The id of its task; configurations of different tasks are never compared."""
        return self.configuration.experiment_id

    @property
    def params(self) -> tuple[tuple[str, str | None], ...]:
        """The factors that distinguish the configuration, with their values."""
        return self.configuration.params

    @property
    def run_ids(self) -> tuple[str, ...]:
        """All its runs, including those without a value."""
        return self.configuration.run_ids

    @property
    def repeats(self) -> tuple[tuple[Setting, ...], ...]:
        """The seeds of each run in `scored`."""
        if len(self.scored) == len(self.configuration.run_ids):
            return self.configuration.repeats
        of_run = dict(zip(self.configuration.run_ids, self.configuration.repeats, strict=True))
        return tuple(of_run[run_id] for run_id in self.scored)

    @property
    def median(self) -> float | None:
        """The median of the values; None where there are none."""
        return median(self.values) if self.values else None

    @property
    def interquartile_mean(self) -> float | None:
        """The mean of the middle half of the values; None where there are none."""
        return interquartile_mean(self.values) if self.values else None

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the mean, within the bounds; None for fewer than two values, or if all are equal."""
        found = self._unclipped
        if found is None or self.bounds == (None, None):
            return found
        low, high = clip_interval(found.low, found.high, self.bounds)
        return replace(found, low=low, high=high)

    @cached_property
    def _unclipped(self) -> Interval | None:
        strata = None
        if len(self.values) >= BOOTSTRAP_FROM:  # the bootstrap resamples within folds
            strata = [tuple(setting for setting in repeat if is_fold(setting[0])) for repeat in self.repeats]
        return mean_interval(self.values, strata)

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, without regard to the bounds: what stands behind `±`."""
        return self._unclipped.half_width if self._unclipped else None

    @property
    def lowest_run(self) -> str | None:
        """The run with the lowest value."""
        return min(zip(self.values, self.scored, strict=True))[1] if self.values else None

    @property
    def highest_run(self) -> str | None:
        """The run with the highest value."""
        return max(zip(self.values, self.scored, strict=True))[1] if self.values else None

    @property
    def best_run(self) -> str | None:
        """The run with the best value; None where the direction is unknown."""
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
    scores_of: Callable[[str], Scores] | None = None,
    without: Mapping[str, str] | None = None,
) -> list[Group]:
    """The configurations of every task, each with a metric over its runs, in the order of the study.

    Args:
        tables: the tables of the runs that the study describes.
        study: which runs form a configuration, which count, and the direction of metrics.
        metric: the key of the metric; None takes the objective of each task, and a task without one gives no group.
        statistic: which value of each run is taken, as in `scores`.
        history: every logged point of the metric (schema.METRIC_HISTORY); needed by every statistic except `last`.
        scores_of: returns the last values of a metric, where they are known already.
        without: the reason for each further run that does not count.

    Returns:
        One group per configuration.
    """
    unfinished = {run_id: status.lower() for run_id, status in statuses_of(tables).items() if status != FINISHED}
    uncounted = {**study.left_out, **(without or {})}
    short = {configuration.run_id for configuration in study.short_runs}
    known: dict[str, tuple[Scores, set[str], Bounds]] = {}
    groups = []
    for task in study.tasks:
        key = metric or (task.objective.key if task.objective else None)
        if key is None:
            continue
        objective = task.objective
        better = objective.greater_is_better if objective and objective.key == key else study.greater_is_better(key)
        if key not in known:
            found = scores_of(key) if scores_of else scores(tables, key, statistic, history, better)
            counted = {*found.values}.difference(uncounted)
            bounds = bounds_of([found.values[run_id] for run_id in counted], read_name(key).bounds)
            known[key] = found, counted, bounds
        groups += [
            _take_group(configuration, *known[key], better, unfinished=unfinished, uncounted=uncounted, short=short)
            for configuration in study.in_task(task)
        ]
    return groups


def _take_group(
    configuration: Configuration,
    found: Scores,
    counted: set[str],
    bounds: Bounds,
    greater_is_better: bool | None,
    *,
    unfinished: Mapping[str, str],
    uncounted: Mapping[str, str],
    short: set[str],
) -> Group:
    """One configuration with the scores of its runs."""
    run_ids = configuration.run_ids
    all_count = counted.issuperset(run_ids)
    scored, left_out = (run_ids, ()) if all_count else runs_with_value(run_ids, found.values, uncounted)
    others = [unfinished[run_id] for run_id in scored if run_id in unfinished] if unfinished else []
    values = tuple(map(found.values.__getitem__, scored))
    return Group(
        configuration=configuration,
        metric=found.metric,
        scored=scored,
        values=values,
        mean=mean_of(values) if values else None,
        greater_is_better=greater_is_better,
        left_out=left_out,
        unfinished=tuple(Counter(others).items()) if others else (),
        short=len(short.intersection(scored)) if short else 0,
        bounds=bounds,
    )


def distinguishing_params(configurations: Sequence[Configuration]) -> list[str]:
    """The smallest set of factors that distinguishes all configurations, chosen greedily.

    At each step the factor is added that separates most configurations; ties go to the factor that more configurations
    have, then by name. Numbers alone mean little to a reader, so where all chosen factors are numeric, a text factor
    that every configuration has, such as a model name, is put first.

    Args:
        configurations: the configurations to distinguish.

    Returns:
        The keys of the factors.
    """
    values = [dict(configuration.params) for configuration in configurations]
    parts: list[tuple[str | None, ...]] = [()] * len(configurations)
    keys: list[str] = []
    remaining = sorted({key for params in values for key in params})
    while remaining and len(set(parts)) < len(configurations):
        key = max(remaining, key=lambda key: _separation(parts, values, key))
        parts = [(*part, params.get(key)) for part, params in zip(parts, values, strict=True)]
        keys.append(key)
        remaining.remove(key)
    text_keys = [
        key for key in remaining if all(params.get(key) is not None and not is_number(params[key]) for params in values)
    ]
    if (
        keys
        and text_keys
        and all(is_number(params[key]) for key in keys for params in values if params.get(key) is not None)
    ):
        keys.insert(0, text_keys[0])
    return keys


def short_labels(configurations: Sequence[Configuration]) -> dict[str, str]:
    """A label for each configuration, made of the factors that distinguish them.

    Args:
        configurations: the configurations to label.

    Returns:
        The label by the first run of each configuration; no two are equal.
    """
    keys = distinguishing_params(configurations)
    labels: dict[str, str] = {}
    for configuration in configurations:
        params = dict(configuration.params)
        settings = [f"{key}={params[key]}" for key in keys if params.get(key) is not None]
        labels[configuration.run_ids[0]] = ", ".join(settings) or (f"no {', '.join(keys)}" if keys else "all runs")
    if len(set(labels.values())) == len(labels):
        return labels
    # A value may contain `, key=value` itself, as in `a="1, b=2"`.
    width = max(map(display_width, labels.values())) + _SHORT_ID
    return dict(zip(labels, distinct_names(list(labels.values()), list(labels), width), strict=True))


def _separation(
    parts: Sequence[tuple[str | None, ...]], values: Sequence[dict[str, str | None]], key: str
) -> tuple[int, int]:
    """How many configurations are distinct once this factor is added, and how many have it."""
    distinct = {(part, params.get(key)) for part, params in zip(parts, values, strict=True)}
    return len(distinct), sum(params.get(key) is not None for params in values)
