"""The schemas of all tables.

Times are int64 milliseconds since 1970 in UTC, as in MLflow: a store may contain any int64, and a table must be able
to represent it. They are converted to datetimes only in the public API (`qualia_lab.runs`).
"""

from __future__ import annotations

import pyarrow as pa

STRING, INT, FLOAT = pa.string(), pa.int64(), pa.float64()


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


EXPERIMENTS = _schema(
    experiment_id=STRING,
    name=STRING,
    artifact_location=STRING,
    lifecycle_stage=STRING,
    creation_time=INT,
    last_update_time=INT,
)

# The result of `read_experiments`: the experiments with their run counts and latest activity.
EXPERIMENT_LIST = pa.schema([*EXPERIMENTS, pa.field("run_count", INT), pa.field("last_activity", INT)])

EXPERIMENT_TAGS = _schema(experiment_id=STRING, key=STRING, value=STRING)

RUNS = _schema(
    run_id=STRING,
    experiment_id=STRING,
    run_name=STRING,
    status=STRING,
    start_time=INT,
    end_time=INT,
    user_id=STRING,
    lifecycle_stage=STRING,
    artifact_uri=STRING,
    parent_run_id=STRING,
)

PARAMS = _schema(run_id=STRING, key=STRING, value=STRING)

# The latest value of each metric: the point with the highest (step, timestamp, value), as in MLflow.
METRICS = _schema(run_id=STRING, key=STRING, value=FLOAT, step=INT, timestamp=INT)

TAGS = _schema(run_id=STRING, key=STRING, value=STRING)

# `schema` and `profile` are JSON text as stored by MLflow; `context` is training, validation, ...
DATASETS = _schema(
    run_id=STRING,
    name=STRING,
    digest=STRING,
    source_type=STRING,
    source=STRING,
    schema=STRING,
    profile=STRING,
    context=STRING,
)

LOGGED_MODELS = _schema(
    run_id=STRING,
    model_id=STRING,
    experiment_id=STRING,
    name=STRING,
    model_type=STRING,
    status=STRING,
    artifact_location=STRING,
    creation_time=INT,
    last_updated_time=INT,
)

# Requested runs that do not exist, with the reason.
MISSING = _schema(run_id=STRING, reason=STRING)

# Parts of a run that could not be read: `subject` is the part ("param lr", "start_time"), `reason` the cause.
PROBLEMS = _schema(run_id=STRING, subject=STRING, reason=STRING)

# Not part of RunTables: histories are read on demand, as a stream of record batches.
METRIC_HISTORY = _schema(run_id=STRING, key=STRING, step=INT, timestamp=INT, value=FLOAT)

# Files only; paths are relative to the artifact root of the run, with `/`; size in bytes, null if unknown.
ARTIFACTS = _schema(run_id=STRING, path=STRING, size=INT)

# The schemas of the tables of RunTables, in order.
TABLES: dict[str, pa.Schema] = {
    "experiments": EXPERIMENTS,
    "experiment_tags": EXPERIMENT_TAGS,
    "runs": RUNS,
    "params": PARAMS,
    "metrics": METRICS,
    "tags": TAGS,
    "datasets": DATASETS,
    "logged_models": LOGGED_MODELS,
    "missing": MISSING,
    "problems": PROBLEMS,
}
