"""Statistics of metric histories (min, max, mean, first, at), computed from a stream of batches.

`min`, `max` and `mean` ignore NaN; they are NaN when every point is NaN. `first` is the earliest point by step, then
time, and `at` the latest point of a step; both are returned as recorded, also when NaN. Infinity counts as the largest
float, as MLflow's databases store it. `stores.sql.query` implements the same definitions in SQL.
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
# Numbers from HUGE on are summed separately and scaled, because their sum could overflow; a power of two is exact.
HUGE, SCALE = 1e290, 2.0**-64


def take_statistics(batches: Iterable[pa.RecordBatch], fields: Sequence[Field]) -> dict[Field, dict[str, float]]:
    """Compute several statistics in one pass over the histories.

    Args:
        batches: points (schema.METRIC_HISTORY) as `read_metric_history` returns them: consecutive and in order for
            each run and key.
        fields: the metrics with the statistic to compute for each.

    Returns:
        {field: {run id: value}}; a run is absent where it has no point, for `at` no point of that step.
    """
    by_key: dict[str, list[Field]] = defaultdict(list)
    for requested in fields:
        by_key[requested.key].append(requested)
    steps = {
        key: {requested.step for requested in key_fields if requested.step is not None}
        for key, key_fields in by_key.items()
    }
    series: dict[tuple[str, str], _RunningStatistics] = defaultdict(_RunningStatistics)
    for batch in batches:
        for run_id, key, columns in _series_of(batch):
            if key in by_key:
                series[run_id, key].add(*columns, steps[key])
    statistics: dict[Field, dict[str, float]] = {requested: {} for requested in fields}
    for (run_id, key), points in series.items():
        for requested in by_key[key]:
            value = points.statistic(requested)
            if value is not None:
                statistics[requested][run_id] = value
    return statistics


@dataclass
class _RunningStatistics:
    """Running statistics of one metric of one run; constant memory, however long the history is."""

    first: float | None = None
    at: dict[int, float] = field(default_factory=dict)
    minimum: float = math.nan
    maximum: float = math.nan
    numbers: int = 0
    total: float = 0.0
    huge: float = 0.0

    def add(self, steps: Any, values: Any, wanted_steps: set[int]) -> None:
        """Add the next points, as arrays; wanted_steps: the steps whose value is needed."""
        import numpy as np

        if self.first is None:
            self.first = float(values[0])
        for step in wanted_steps:
            indices = np.flatnonzero(steps == step)
            if len(indices):
                self.at[step] = float(values[indices[-1]])
        numbers = values[~np.isnan(values)]
        if not len(numbers):
            return
        self.minimum = float(np.fmin(self.minimum, numbers.min()))
        self.maximum = float(np.fmax(self.maximum, numbers.max()))
        huge = np.abs(numbers) >= HUGE
        self.numbers += len(numbers)
        self.total += float(numbers[~huge].sum())
        self.huge += float((numbers[huge] * SCALE).sum())

    def statistic(self, requested: Field) -> float | None:
        """The value of the statistic of a field; None if there is no point of the requested step."""
        if requested.statistic == "at":
            return None if requested.step is None else self.at.get(requested.step)
        if requested.statistic == "mean":
            return self.mean()
        return {"min": self.minimum, "max": self.maximum, "first": self.first}[requested.statistic]

    def mean(self) -> float:
        if not self.numbers:
            return math.nan
        limit = _LARGEST * SCALE
        return self.total / self.numbers + min(max(self.huge / self.numbers, -limit), limit) / SCALE


def _series_of(batch: pa.RecordBatch) -> Iterator[tuple[str, str, tuple[Any, Any]]]:
    """Split a batch into (run id, key, (steps, values)), one for each sequence of points of one run and metric."""
    import numpy as np

    if not batch.num_rows:
        return
    runs, keys = (batch.column(name).dictionary_encode() for name in ("run_id", "key"))
    run_codes, key_codes = (column.indices.to_numpy(zero_copy_only=False) for column in (runs, keys))
    boundaries = np.flatnonzero((np.diff(run_codes) != 0) | (np.diff(key_codes) != 0)) + 1
    steps = batch.column("step").to_numpy(zero_copy_only=False)
    values = np.clip(batch.column("value").to_numpy(zero_copy_only=False), -_LARGEST, _LARGEST)
    run_ids, names = runs.dictionary.to_pylist(), keys.dictionary.to_pylist()
    for start, end in zip([0, *boundaries.tolist()], [*boundaries.tolist(), batch.num_rows], strict=True):
        yield run_ids[run_codes[start]], names[key_codes[start]], (steps[start:end], values[start:end])
