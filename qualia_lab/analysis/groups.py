"""Groups: runs that are alike in all params but seed-like ones are one configuration."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.tables import RunTables

_SEED_LIKE = re.compile(
    r"(?i)(.*[^a-z0-9])?(random_?)?(seed|state|rng|(cv_?)?fold|split_?id|repeat|replicate)(_?(id|idx|index))?"
)

# Beyond these, MLflow stores an infinite value as the largest double there is (SQL stores).
_INFINITE = 1.79e308


@dataclass(frozen=True)
class Group:
    """One configuration: the params that set it apart, its runs, and a metric over them.

    values: the finite latest values of the metric, run by run. mean and interval are None where n does not carry them.
    """

    params: tuple[tuple[str, str | None], ...]
    run_ids: tuple[str, ...]
    values: tuple[float, ...]
    mean: float | None
    half_width: float | None


def is_seed_like(param: str) -> bool:
    """Whether a param only repeats a configuration: seed, random_state, fold, ..., also as `model.seed`."""
    return _SEED_LIKE.fullmatch(param) is not None


def group_runs(tables: RunTables, metric: str, seeds: Sequence[str] | None = None) -> list[Group]:
    """The configurations, each with its runs and the mean of a metric, in the order of their first run.

    seeds: the params that only repeat a configuration; by default those that `is_seed_like` knows.
    The interval is Student's t at 95 % over the runs with a finite value (Student 1908), for n of two or more.
    """
    params: dict[str, dict[str, str]] = defaultdict(dict)
    for run_id, key, value in zip(
        *(tables.params.column(c).to_pylist() for c in ("run_id", "key", "value")), strict=True
    ):
        repeats = is_seed_like(key) if seeds is None else key in seeds
        if not repeats:
            params[run_id][key] = value
    members: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for run_id in tables.run_ids:
        members[tuple(sorted(params[run_id].items()))].append(run_id)
    values = finite_values(tables, metric)
    differing = _differing([dict(alike) for alike in members])
    return [
        _group(tuple((key, dict(alike).get(key)) for key in differing), run_ids, values)
        for alike, run_ids in members.items()
    ]


def _group(params: tuple[tuple[str, str | None], ...], run_ids: list[str], values: dict[str, float]) -> Group:
    found = tuple(values[run_id] for run_id in run_ids if run_id in values)
    mean = fmean(found) if found else None
    half_width = _t_95(len(found) - 1) * stdev(found) / math.sqrt(len(found)) if len(found) > 1 else None
    return Group(params, tuple(run_ids), found, mean, half_width)


def finite_values(tables: RunTables, metric: str) -> dict[str, float]:
    """The latest value of a metric per run, where it is a finite number."""
    columns = (tables.metrics.column(name).to_pylist() for name in ("run_id", "key", "value"))
    return {
        run_id: value
        for run_id, key, value in zip(*columns, strict=True)
        if key == metric and value is not None and abs(value) < _INFINITE
    }


def _differing(configurations: list[dict[str, str]]) -> list[str]:
    """The params that are not alike in all configurations, sorted."""
    keys = sorted({key for configuration in configurations for key in configuration})
    return [key for key in keys if len({configuration.get(key) for configuration in configurations}) > 1]


def _t_95(degrees: int) -> float:
    """The two-sided 95 % quantile of Student's t with so many degrees of freedom."""
    from scipy.stats import t

    return float(t.ppf(0.975, degrees))
