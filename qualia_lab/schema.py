"""The columns of every table, declared once.

Times are int64 milliseconds since 1970 in UTC, as MLflow keeps them: a store may hold any int64, and a table must be
able to say so. People meet datetimes only at the surface (`qualia_lab.runs`).
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

# What `read_experiments` gives: the experiments, and how much is in each.
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

# The latest value of each metric: the one of the highest (step, timestamp, value), as MLflow defines it.
METRICS = _schema(run_id=STRING, key=STRING, value=FLOAT, step=INT, timestamp=INT)

TAGS = _schema(run_id=STRING, key=STRING, value=STRING)

# `schema` and `profile` are the JSON text that MLflow stored; `context` is training, validation, ...
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

# Runs that were asked for and are not there, each with why.
MISSING = _schema(run_id=STRING, reason=STRING)

# What a run holds and could not be read: `subject` names it ("param lr", "start_time"), `reason` says why.
PROBLEMS = _schema(run_id=STRING, subject=STRING, reason=STRING)

# Not in RunTables: read on demand, as a stream of record batches.
METRIC_HISTORY = _schema(run_id=STRING, key=STRING, step=INT, timestamp=INT, value=FLOAT)

# Files only, paths relative to the run's artifact root with `/`; size in bytes, null where the store does not say.
ARTIFACTS = _schema(run_id=STRING, path=STRING, size=INT)

# The tables of RunTables, in order.
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
