"""The progress of a search: the best value so far, and the distribution of the values of all runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.inventory import is_number
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.analysis.histories import Numbers


@dataclass(frozen=True)
class Progress:
    """One run of a search, in the order of the starts.

    Attributes:
        run_id: the run.
        place: its rank by start, from 1.
        start: milliseconds since 1970.
        value: its value of the metric.
        best: the best value among this run and those before it.
        improved: whether its value is better than all before.
    """

    run_id: str
    place: int
    start: int
    value: float
    best: float
    improved: bool


def best_so_far(runs: pa.Table, values: Mapping[str, float], *, greater_is_better: bool) -> list[Progress]:
    """The runs with a start and a finite value in the order of their starts, with the best value up to each.

    Args:
        runs: a table of schema.RUNS; runs that start in the same millisecond keep its order.
        values: the finite value of each run, by run id.
        greater_is_better: the direction of the metric.

    Returns:
        One entry per run.
    """
    columns = zip(runs.column("run_id").to_pylist(), runs.column("start_time").to_pylist(), strict=True)
    started = sorted(
        ((start, run_id) for run_id, start in columns if start is not None and run_id in values), key=lambda run: run[0]
    )
    progress: list[Progress] = []
    for place, (start, run_id) in enumerate(started, 1):
        value = values[run_id]
        before = progress[-1].best if progress else None
        improved = before is None or (value > before if greater_is_better else value < before)
        best = value if improved or before is None else before
        progress.append(Progress(run_id, place, start, value, best, improved))
    return progress


def distribution(values: Sequence[float]) -> tuple[Numbers, Numbers]:
    """The empirical distribution function.

    Args:
        values: finite values.

    Returns:
        The distinct values, ascending, and the share of values up to each, both of the same shape.
    """
    distinct, counts = np.unique(np.array(values, np.float64), return_counts=True)
    return distinct, np.asarray(np.cumsum(counts) / max(1, len(values)), np.float64)


def grouped(params: pa.Table, values: Mapping[str, float], param: str) -> dict[str, list[float]]:
    """Group the values of a metric by the value of a param, sorted by number where all are numbers, else by text.

    Values that differ in spelling only form one group, named by its first spelling. Runs without the param are in none.

    Args:
        params: a table of schema.PARAMS, or of schema.TAGS for a tag.
        values: the finite metric value of each run, by run id.
        param: the key of the param or tag.

    Returns:
        The metric values by the value of the param.
    """
    import pyarrow.compute as pc

    rows = params.filter(pc.equal(params["key"], param))
    texts = dict(zip(rows["run_id"].to_pylist(), rows["value"].to_pylist(), strict=True))
    texts = {run_id: text for run_id in values if (text := texts.get(run_id)) is not None}
    numbers = all(map(is_number, texts.values()))
    groups: dict[Hashable, tuple[str, list[float]]] = {}
    for run_id, text in texts.items():
        groups.setdefault(canonical(text), (text, []))[1].append(values[run_id])
    return dict(sorted(groups.values(), key=lambda group: float(group[0]) if numbers else group[0]))
