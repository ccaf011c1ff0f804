"""A metric next to a factor: latest values per run, sorted, or in groups of equal values of the factor."""

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
    """The runs whose factor has one value: run ids, and their finite metric values in the same order."""

    value: str
    run_ids: tuple[str, ...]
    metric: tuple[float, ...]

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """25 %, 50 % and 75 % of the metric, linearly between neighbours (Hyndman and Fan's type 7)."""
        low, middle, high = np.quantile(self.metric, (0.25, 0.5, 0.75))
        return float(low), float(middle), float(high)


@dataclass(frozen=True)
class Pairs:
    """Runs that have both a factor and a finite metric, in their order, and how many have not.

    numbers: the param as numbers where every value is a finite one, else None.
    """

    run_ids: tuple[str, ...]
    params: tuple[str, ...]
    numbers: tuple[float, ...] | None
    metric: tuple[float, ...]
    without_param: int
    without_metric: int
    not_finite: int


def latest_values(metrics: pa.Table, run_ids: Collection[str], key: str) -> dict[str, float]:
    """A metric's latest value (schema.METRICS) by run id, infinity made infinite again; only runs that have one."""
    import pyarrow.compute as pc

    rows = metrics.filter(pc.equal(metrics["key"], key))
    wanted = set(run_ids)
    return {
        run_id: _real(value)
        for run_id, value in zip(rows["run_id"].to_pylist(), rows["value"].to_pylist(), strict=True)
        if run_id in wanted
    }


def pair_up(params: pa.Table, metrics: pa.Table, run_ids: Sequence[str], param: str, metric: str) -> Pairs:
    """Join a param (schema.PARAMS, or a tag of schema.TAGS) and a metric's latest value (schema.METRICS) by run id."""
    import pyarrow.compute as pc

    rows = params.filter(pc.equal(params["key"], param))
    texts = dict(zip(rows["run_id"].to_pylist(), rows["value"].to_pylist(), strict=True))
    values = latest_values(metrics, run_ids, metric)
    with_param = [run_id for run_id in run_ids if texts.get(run_id) is not None]
    with_both = [run_id for run_id in with_param if run_id in values]
    kept = [run_id for run_id in with_both if math.isfinite(values[run_id])]
    strings = tuple(texts[run_id] for run_id in kept)
    return Pairs(
        run_ids=tuple(kept),
        params=strings,
        numbers=as_numbers(strings),
        metric=tuple(values[run_id] for run_id in kept),
        without_param=len(run_ids) - len(with_param),
        without_metric=len(with_param) - len(with_both),
        not_finite=len(with_both) - len(kept),
    )


def group_by_param(pairs: Pairs) -> tuple[Group, ...]:
    """Runs with the same value of the factor together: by number where the values are numbers, else by text.

    Values that differ in spelling only, `0.1` and `1e-1`, are one group, named by its first spelling.
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
    """The texts as finite numbers, or None when one of them is not a number; `1_000` and `True` are texts."""
    return tuple(map(float, texts)) if all(map(is_number, texts)) else None


def _real(value: float | None) -> float:
    if value is None:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= INFINITE_FROM else value
