"""How a search went: the best value so far, run after run, and how the values of all runs are distributed."""

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
    """One run in the order of their starts.

    place: 1 for the first.  start: milliseconds since 1970.  best: the best value of this run and those before it.
    improved: whether that is this run's own, better than all before.
    """

    run_id: str
    place: int
    start: int
    value: float
    best: float
    improved: bool


def best_so_far(runs: pa.Table, values: Mapping[str, float], *, greater_is_better: bool) -> list[Progress]:
    """The runs (schema.RUNS) with a start and a finite value by their start, and the best value up to each.

    Runs that start in the same millisecond stand in the order of the table.
    """
    columns = zip(runs.column("run_id").to_pylist(), runs.column("start_time").to_pylist(), strict=True)
    started = sorted(
        ((start, run_id) for run_id, start in columns if start is not None and run_id in values), key=lambda run: run[0]
    )
    found: list[Progress] = []
    for place, (start, run_id) in enumerate(started, 1):
        value = values[run_id]
        before = found[-1].best if found else None
        improved = before is None or (value > before if greater_is_better else value < before)
        best = value if improved or before is None else before
        found.append(Progress(run_id, place, start, value, best, improved))
    return found


def distribution(values: Sequence[float]) -> tuple[Numbers, Numbers]:
    """The empirical distribution function of finite values: each different one, and the share of values up to it."""
    different, counts = np.unique(np.array(values, np.float64), return_counts=True)
    return different, np.asarray(np.cumsum(counts) / max(1, len(values)), np.float64)


def grouped(params: pa.Table, values: Mapping[str, float], param: str) -> dict[str, list[float]]:
    """Finite values of a metric by the value of a param, by number where all are, else by text.

    Values that differ in spelling only are one group, named by its first spelling. Runs without the param are in none.

    Args:
        params: schema.PARAMS, or schema.TAGS for a tag.
        values: by run id.
        param: its key.
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
