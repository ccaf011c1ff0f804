"""Statistics of metric histories: what a filter compares of one, taken batch by batch while it is read.

Of points that are NaN min, max and mean take no notice; of a history of nothing else they are NaN. `first` and `at` are
what was recorded, NaN or not: the earliest by step, then time, and the latest of that step. Infinity counts as the
largest number, as MLflow's databases store it. `stores.sql.query` says the same in SQL.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.query.conditions import Field

_LARGEST = sys.float_info.max
# The sum of numbers beyond HUGE might overflow: they are summed apart, and scaled, which a power of two does exactly.
HUGE, SCALE = 1e290, 2.0**-64


def take_statistics(batches: Iterable[pa.RecordBatch], fields: Sequence[Field]) -> dict[Field, dict[str, float]]:
    """{field: {run id: value}} of these statistics, for the runs that have a point to take it from.

    batches: as `read_metric_history` gives them (schema.METRIC_HISTORY), the points of a run and key in order.
    """
    by_key: dict[str, list[Field]] = defaultdict(list)
    for one in fields:
        by_key[one.key].append(one)
    steps = {key: {one.step for one in of if one.step is not None} for key, of in by_key.items()}
    found: dict[tuple[str, str], _Points] = defaultdict(_Points)
    for batch in batches:
        for run_id, key, columns in _stretches(batch):
            if key in by_key:
                found[run_id, key].add(*columns, steps[key])
    taken: dict[Field, dict[str, float]] = {one: {} for one in fields}
    for (run_id, key), points in found.items():
        for one in by_key[key]:
            value = points.statistic(one)
            if value is not None:
                taken[one][run_id] = value
    return taken


@dataclass
class _Points:
    """What is remembered of the history of one metric of one run, however long it is."""

    first: float | None = None
    at: dict[int, float] = field(default_factory=dict)
    least: float = math.nan
    most: float = math.nan
    numbers: int = 0
    total: float = 0.0
    huge: float = 0.0

    def add(self, steps: Any, values: Any, wanted: set[int]) -> None:
        """The points that come next, as arrays."""
        import numpy as np

        if self.first is None:
            self.first = float(values[0])
        for step in wanted:
            places = np.flatnonzero(steps == step)
            if len(places):
                self.at[step] = float(values[places[-1]])
        numbers = values[~np.isnan(values)]
        if not len(numbers):
            return
        self.least = float(np.fmin(self.least, numbers.min()))
        self.most = float(np.fmax(self.most, numbers.max()))
        huge = np.abs(numbers) >= HUGE
        self.numbers += len(numbers)
        self.total += float(numbers[~huge].sum())
        self.huge += float((numbers[huge] * SCALE).sum())

    def statistic(self, of: Field) -> float | None:
        """The value of a statistic; None where there is no point of that step."""
        if of.statistic == "at":
            return None if of.step is None else self.at.get(of.step)
        if of.statistic == "mean":
            return self.mean()
        return {"min": self.least, "max": self.most, "first": self.first}[of.statistic]

    def mean(self) -> float:
        if not self.numbers:
            return math.nan
        most = _LARGEST * SCALE
        return self.total / self.numbers + min(max(self.huge / self.numbers, -most), most) / SCALE


def _stretches(batch: pa.RecordBatch) -> Iterator[tuple[str, str, tuple[Any, Any]]]:
    """Run id, key, and the steps and values of each stretch of points that belong together."""
    import numpy as np

    if not batch.num_rows:
        return
    runs, keys = (batch.column(name).dictionary_encode() for name in ("run_id", "key"))
    of_run, of_key = (column.indices.to_numpy(zero_copy_only=False) for column in (runs, keys))
    begins = np.flatnonzero((np.diff(of_run) != 0) | (np.diff(of_key) != 0)) + 1
    steps = batch.column("step").to_numpy(zero_copy_only=False)
    values = np.clip(batch.column("value").to_numpy(zero_copy_only=False), -_LARGEST, _LARGEST)
    run_ids, names = runs.dictionary.to_pylist(), keys.dictionary.to_pylist()
    for begin, end in zip([0, *begins.tolist()], [*begins.tolist(), batch.num_rows], strict=True):
        yield run_ids[of_run[begin]], names[of_key[begin]], (steps[begin:end], values[begin:end])
