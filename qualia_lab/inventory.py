"""Inventory: what the tables hold, as names and counts only."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.columns import whole
from qualia_lab.tables import by_key

if TYPE_CHECKING:
    from qualia_lab.tables import RunTables

_DECIMAL = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)

# MLflow samples the machine's own metrics under this prefix; they say nothing about the model.
SYSTEM_METRICS = "system/"


@dataclass(frozen=True)
class ParamCount:
    """One param: in how many runs it stands, with how many different values, and whether all of them are numbers."""

    key: str
    runs: int
    values: int
    numeric: bool


@dataclass(frozen=True)
class MetricCount:
    """One metric: in how many runs it stands, and whether any of them logged it past one step."""

    key: str
    runs: int
    values: int
    last_step: int
    stepped: bool


@dataclass(frozen=True)
class Inventory:
    """Names and counts of what was read about some runs; everything a plan is made from.

    Planning ten runs or ten thousand costs the same, because no row of a run is in here but its id.
    """

    run_ids: tuple[str, ...]
    missing: int
    problems: int
    experiments: tuple[str, ...]
    statuses: tuple[tuple[str, int], ...]
    params: tuple[ParamCount, ...]
    metrics: tuple[MetricCount, ...]
    tags: tuple[str, ...]
    datasets: int
    logged_models: int
    children: int

    @property
    def run_count(self) -> int:
        """How many runs were read."""
        return len(self.run_ids)

    @property
    def constant_params(self) -> tuple[str, ...]:
        """Params with one value, the same in every run."""
        return tuple(p.key for p in self.params if p.values == 1 and p.runs == self.run_count)

    @property
    def model_metrics(self) -> tuple[MetricCount, ...]:
        """Metrics of the model, without the machine's own."""
        return tuple(m for m in self.metrics if not m.key.startswith(SYSTEM_METRICS))


def is_number(text: str | None) -> bool:
    """Whether a param's text is a finite decimal number; `2024_11`, which Python would read as one, is none."""
    return _DECIMAL.fullmatch(text or "") is not None and abs(float(text or "")) < float("inf")


def take_inventory(tables: RunTables) -> Inventory:
    """Count what the tables hold. Params and metrics are sorted by key."""
    statuses = Counter(status or "UNKNOWN" for status in tables.runs.column("status").to_pylist())
    return Inventory(
        run_ids=tables.run_ids,
        missing=tables.missing.num_rows,
        problems=tables.problems.num_rows,
        experiments=tuple(tables.experiments.column("name").to_pylist()),
        statuses=tuple(statuses.most_common()),
        params=_count_params(tables.params),
        metrics=_count_metrics(tables.metrics),
        tags=tuple(sorted(pc.unique(tables.tags.column("key")).to_pylist())),
        datasets=tables.datasets.num_rows,
        logged_models=tables.logged_models.num_rows,
        children=tables.runs.num_rows - tables.runs.column("parent_run_id").null_count,
    )


def _count_params(params: pa.Table) -> tuple[ParamCount, ...]:
    counts = []
    for key, rows in by_key(params):
        values = pc.unique(rows.column("value")).to_pylist()
        counts.append(ParamCount(key, rows.num_rows, len(values), all(map(is_number, values))))
    return tuple(counts)


def _count_metrics(metrics: pa.Table) -> tuple[MetricCount, ...]:
    counts = []
    for key, rows in by_key(metrics):
        bits = whole(rows.column("value")).view(pa.int64())  # no NaN equals another
        steps = pc.min_max(rows.column("step")).as_py()
        last, stepped = steps["max"] or 0, bool(steps["min"] or steps["max"])
        counts.append(MetricCount(key, rows.num_rows, len(pc.unique(bits)), last, stepped))
    return tuple(counts)
