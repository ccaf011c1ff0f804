"""Inventory: names and counts of what the tables contain."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.columns import filled, numbers_of, whole
from qualia_lab.tables import by_key, rows_with

if TYPE_CHECKING:
    from qualia_lab.genai_tables import ModelTables, TraceTables
    from qualia_lab.tables import RunTables

_DECIMAL = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)

# The artifact in which `mlflow.evaluate` of 2.x logs its rows, and the tag of MLflow that names logged tables.
EVALUATION_TABLE = "eval_results_table.json"
_LOGGED_TABLES = "mlflow.loggedArtifacts"
# The tag that MLflow 1 and 2 set when a model is logged.
_MODEL_HISTORY = "mlflow.log-model.history"

# The prefix of MLflow's system metrics (CPU, GPU, memory), which say nothing about the model.
SYSTEM_METRICS = "system/"


@dataclass(frozen=True)
class ParamCount:
    """One param: the number of runs that have it, of distinct values, and whether all values are numbers."""

    key: str
    runs: int
    values: int
    numeric: bool


@dataclass(frozen=True)
class MetricCount:
    """One metric: the number of runs that have it, of distinct latest values, and whether it is logged over steps."""

    key: str
    runs: int
    values: int
    last_step: int
    stepped: bool


@dataclass(frozen=True)
class GenAICount:
    """What the runs have of MLflow 3: logged models and versions of registered models, traces and their assessments.

    `scored_models` have metrics of their own, `checkpoints` were saved at a step after the first, and `evaluated_runs`
    is the number of runs with feedback on their traces.
    """

    models: int = 0
    scored_models: int = 0
    checkpoints: int = 0
    versions: int = 0
    traces: int = 0
    assessments: int = 0
    evaluated_runs: int = 0


@dataclass(frozen=True)
class Inventory:
    """Names and counts of what was read about a set of runs; the input for planning a notebook.

    It holds no rows of runs except their ids, so planning for ten thousand runs costs the same as for ten.
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
    evaluation_tables: int = 0
    genai: GenAICount = GenAICount()

    @property
    def run_count(self) -> int:
        """The number of runs that were read."""
        return len(self.run_ids)

    @property
    def constant_params(self) -> tuple[str, ...]:
        """Params that have the same value in every run."""
        return tuple(p.key for p in self.params if p.values == 1 and p.runs == self.run_count)

    @property
    def model_metrics(self) -> tuple[MetricCount, ...]:
        """The metrics of the model, without system metrics."""
        return tuple(m for m in self.metrics if not m.key.startswith(SYSTEM_METRICS))


def is_number(text: str | None) -> bool:
    """Whether the text of a param is a finite decimal number; `2024_11`, which Python accepts, is not."""
    return _DECIMAL.fullmatch(text or "") is not None and abs(float(text or "")) < float("inf")


def take_inventory(tables: RunTables) -> Inventory:
    """Count the content of the tables. Params and metrics are sorted by key."""
    statuses: Counter[str] = Counter()
    for one in pc.value_counts(tables.runs.column("status")).to_pylist():
        statuses[one["values"] or "UNKNOWN"] += one["counts"]
    return Inventory(
        run_ids=tables.run_ids,
        missing=tables.missing.num_rows,
        problems=tables.problems.num_rows,
        experiments=tuple(tables.experiments.column("name").to_pylist()),
        statuses=tuple(statuses.most_common()),
        params=_count_params(tables.params),
        metrics=metric_counts(tables),
        tags=tuple(sorted(pc.unique(tables.tags.column("key")).to_pylist())),
        datasets=tables.datasets.num_rows,
        logged_models=tables.logged_models.num_rows,
        children=tables.runs.num_rows - tables.runs.column("parent_run_id").null_count,
        evaluation_tables=len(runs_with_evaluation_table(tables.tags)),
    )


def may_have_models(tables: RunTables) -> bool:
    """Whether a run logged a model, with MLflow 3 or before: only then is asked for models and registered versions."""
    return bool(tables.logged_models.num_rows or rows_with(tables.tags, "key", [_MODEL_HISTORY]).num_rows)


def runs_with_evaluation_table(tags: pa.Table) -> list[str]:
    """The runs whose tags say that `mlflow.evaluate` logged its table of rows."""
    run_ids = []
    for row in rows_with(tags, "key", [_LOGGED_TABLES]).to_pylist():
        try:
            listed = json.loads(row["value"] or "")
        except (ValueError, RecursionError):
            continue
        paths = [one.get("path") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        if EVALUATION_TABLE in paths:
            run_ids.append(row["run_id"])
    return run_ids


def count_genai(models: ModelTables, traces: TraceTables) -> GenAICount:
    """Count the models and traces of some runs. Of the traces, the links and assessments are needed too."""
    with_feedback = rows_with(traces.assessments, "kind", ["feedback"])
    judged = with_feedback.column("trace_id")
    run_ids = [
        table.filter(pc.is_in(table.column("trace_id"), value_set=whole(judged))).column("run_id").drop_null()
        for table in (traces.traces, traces.links)
    ]
    return GenAICount(
        models=models.models.num_rows,
        scored_models=len(pc.unique(models.metrics.column("model_id"))),
        # Not pc.greater(…, 0): a number as an argument imports pandas.
        checkpoints=int((numbers_of(filled(models.outputs.column("step"), 0)) > 0).sum()),
        versions=models.versions.num_rows,
        traces=traces.traces.num_rows,
        assessments=traces.assessments.num_rows,
        evaluated_runs=len({run_id for column in run_ids for run_id in pc.unique(column).to_pylist()}),
    )


def _count_params(params: pa.Table) -> tuple[ParamCount, ...]:
    counts = []
    for key, rows in by_key(params.select(["key", "value"])):
        values = pc.unique(rows.column("value")).to_pylist()
        counts.append(ParamCount(key, rows.num_rows, len(values), all(map(is_number, values))))
    return tuple(counts)


def metric_counts(tables: RunTables) -> tuple[MetricCount, ...]:
    """The counts of each metric of some runs, sorted by key."""
    return tables.once("metric counts", lambda: count_metrics(tables.metrics))


def count_metrics(metrics: pa.Table) -> tuple[MetricCount, ...]:
    """Count each metric of the table of latest values, sorted by key."""
    counts = []
    for key, rows in by_key(metrics.select(["key", "value", "step"])):
        bits = whole(rows.column("value")).view(pa.int64())  # as integers, because NaN is not equal to NaN
        steps = pc.min_max(rows.column("step")).as_py()
        last, stepped = steps["max"] or 0, bool(steps["min"] or steps["max"])
        counts.append(MetricCount(key, rows.num_rows, len(pc.unique(bits)), last, stepped))
    return tuple(counts)
