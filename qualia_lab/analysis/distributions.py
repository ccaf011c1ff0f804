"""A metric against a factor: the last value of each run, and runs grouped by the value of the factor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.histories import INFINITE_FROM
from qualia_lab.inventory import is_number
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence

    import pyarrow as pa


@dataclass(frozen=True)
class Group:
    """The runs that have one value of the factor.

    Attributes:
        value: the value, in its first spelling.
        run_ids: the runs.
        metric: their finite metric values, in the same order.
    """

    value: str
    run_ids: tuple[str, ...]
    metric: tuple[float, ...]

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """The 25 %, 50 % and 75 % quantiles of the metric, with linear interpolation (Hyndman and Fan's type 7)."""
        low, middle, high = np.quantile(self.metric, (0.25, 0.5, 0.75))
        return float(low), float(middle), float(high)


@dataclass(frozen=True)
class Pairs:
    """The runs that have both a factor and a finite metric, in their order, with counts of the others.

    Attributes:
        run_ids: the runs.
        params: the value of the factor in each run, as text.
        numbers: the same as numbers; None unless every value is a finite number.
        metric: the metric value of each run.
        without_param: how many runs lack the factor.
        without_metric: how many have the factor and lack the metric.
        not_finite: how many have a metric value that is NaN or infinite.
    """

    run_ids: tuple[str, ...]
    params: tuple[str, ...]
    numbers: tuple[float, ...] | None
    metric: tuple[float, ...]
    without_param: int
    without_metric: int
    not_finite: int


def latest_values(metrics: pa.Table, run_ids: Collection[str], key: str) -> dict[str, float]:
    """The last value of a metric by run id, with MLflow's stand-in for infinity converted back.

    Args:
        metrics: a table of schema.METRICS.
        run_ids: the runs to include.
        key: the key of the metric.

    Returns:
        The values of the runs that have one.
    """
    import pyarrow.compute as pc

    rows = metrics.filter(pc.equal(metrics["key"], key))
    wanted = set(run_ids)
    return {
        run_id: _real(value)
        for run_id, value in zip(rows["run_id"].to_pylist(), rows["value"].to_pylist(), strict=True)
        if run_id in wanted
    }


def pair_up(params: pa.Table, metrics: pa.Table, run_ids: Sequence[str], param: str, metric: str) -> Pairs:
    """Join a param or tag with the last value of a metric by run id.

    Args:
        params: a table of schema.PARAMS, or of schema.TAGS for a tag.
        metrics: a table of schema.METRICS.
        run_ids: the runs, in the order of the result.
        param: the key of the param or tag.
        metric: the key of the metric.

    Returns:
        The joined values, and how many runs lack one.
    """
    import pyarrow.compute as pc

    rows = params.filter(pc.equal(params["key"], param))
    texts = dict(zip(rows["run_id"].to_pylist(), rows["value"].to_pylist(), strict=True))
    values = latest_values(metrics, run_ids, metric)
    with_param = [run_id for run_id in run_ids if texts.get(run_id) is not None]
    with_both = [run_id for run_id in with_param if run_id in values]
    with_finite = [run_id for run_id in with_both if math.isfinite(values[run_id])]
    param_values = tuple(texts[run_id] for run_id in with_finite)
    return Pairs(
        run_ids=tuple(with_finite),
        params=param_values,
        numbers=as_numbers(param_values),
        metric=tuple(values[run_id] for run_id in with_finite),
        without_param=len(run_ids) - len(with_param),
        without_metric=len(with_param) - len(with_both),
        not_finite=len(with_both) - len(with_finite),
    )


def group_by_param(pairs: Pairs) -> tuple[Group, ...]:
    """Group runs by the value of the factor, sorted by number where all values are numbers, else by text.

    Values that differ in spelling only, such as `0.1` and `1e-1`, form one group, named by its first spelling.
    """
    members: dict[Hashable, list[int]] = {}
    for index, text in enumerate(pairs.params):
        members.setdefault(canonical(text), []).append(index)
    order: Sequence[float | str] = pairs.numbers or pairs.params
    return tuple(
        Group(
            value=pairs.params[indices[0]],
            run_ids=tuple(pairs.run_ids[index] for index in indices),
            metric=tuple(pairs.metric[index] for index in indices),
        )
        for indices in sorted(members.values(), key=lambda indices: order[indices[0]])
    )


def as_numbers(texts: Sequence[str]) -> tuple[float, ...] | None:
    """The texts as finite numbers; None where one of them is not a number. `1_000` and `True` count as texts."""
    return tuple(map(float, texts)) if all(map(is_number, texts)) else None


def _real(value: float | None) -> float:
    """The value with MLflow's stand-in for infinity converted back; NaN for None."""
    if value is None:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= INFINITE_FROM else value
