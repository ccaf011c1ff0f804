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

# The tables of ModelTables (MLflow 3). Models are not rows per run, as in LOGGED_MODELS, but one row each: `run_id` is
# the run that created the model, `status` PENDING, READY, FAILED or UNSPECIFIED.
MODELS = _schema(
    model_id=STRING,
    experiment_id=STRING,
    run_id=STRING,
    name=STRING,
    model_type=STRING,
    status=STRING,
    status_message=STRING,
    artifact_location=STRING,
    creation_time=INT,
    last_updated_time=INT,
)

# The runs that list a model as an output, with the step at which it was saved.
MODEL_OUTPUTS = _schema(run_id=STRING, model_id=STRING, step=INT)

MODEL_PARAMS = _schema(model_id=STRING, key=STRING, value=STRING)

MODEL_TAGS = _schema(model_id=STRING, key=STRING, value=STRING)

# Every point; `run_id` is the run that logged it, the dataset is null where none was named.
MODEL_METRICS = _schema(
    model_id=STRING,
    run_id=STRING,
    key=STRING,
    value=FLOAT,
    step=INT,
    timestamp=INT,
    dataset_name=STRING,
    dataset_digest=STRING,
)

# Versions of registered models; `model_id` is the logged model that the version was made from, null before MLflow 3.
MODEL_VERSIONS = _schema(
    name=STRING,
    version=INT,
    run_id=STRING,
    model_id=STRING,
    source=STRING,
    stage=STRING,
    status=STRING,
    status_message=STRING,
    user_id=STRING,
    description=STRING,
    creation_time=INT,
    last_updated_time=INT,
)

MODEL_VERSION_TAGS = _schema(name=STRING, version=INT, key=STRING, value=STRING)

MODEL_ALIASES = _schema(name=STRING, alias=STRING, version=INT)

# What could not be read of models, versions, traces and evaluation datasets: `subject` names it.
UNREAD = _schema(subject=STRING, reason=STRING)

MODEL_TABLES: dict[str, pa.Schema] = {
    "models": MODELS,
    "outputs": MODEL_OUTPUTS,
    "params": MODEL_PARAMS,
    "tags": MODEL_TAGS,
    "metrics": MODEL_METRICS,
    "versions": MODEL_VERSIONS,
    "version_tags": MODEL_VERSION_TAGS,
    "aliases": MODEL_ALIASES,
    "problems": UNREAD,
}

# The tables of TraceTables. `run_id` is the run that was active when the trace was made (`mlflow.sourceRun`), `state`
# OK, ERROR, IN_PROGRESS or STATE_UNSPECIFIED, `duration` in ms, `total_cost` in USD; what was not recorded is null.
TRACES = _schema(
    trace_id=STRING,
    experiment_id=STRING,
    run_id=STRING,
    name=STRING,
    state=STRING,
    request_time=INT,
    duration=INT,
    request_preview=STRING,
    response_preview=STRING,
    client_request_id=STRING,
    session_id=STRING,
    user=STRING,
    model_id=STRING,
    input_tokens=INT,
    output_tokens=INT,
    total_tokens=INT,
    total_cost=FLOAT,
)

TRACE_TAGS = _schema(trace_id=STRING, key=STRING, value=STRING)

TRACE_METADATA = _schema(trace_id=STRING, key=STRING, value=STRING)

# The runs that a trace is linked to beside its source run, such as those of evaluations.
TRACE_LINKS = _schema(trace_id=STRING, run_id=STRING)

# `kind` is feedback, expectation or issue; `value` is JSON text, null where there is none; `error` is the message of a
# judge that failed; `source_type` HUMAN, LLM_JUDGE or CODE; `overrides` the id of the assessment that this one
# replaces, whose `valid` is then false. Times are in ms.
ASSESSMENTS = _schema(
    trace_id=STRING,
    assessment_id=STRING,
    name=STRING,
    kind=STRING,
    value=STRING,
    error=STRING,
    rationale=STRING,
    source_type=STRING,
    source_id=STRING,
    run_id=STRING,
    span_id=STRING,
    overrides=STRING,
    valid=pa.bool_(),
    metadata=STRING,
    creation_time=INT,
    last_updated_time=INT,
)

TRACE_TABLES: dict[str, pa.Schema] = {
    "traces": TRACES,
    "tags": TRACE_TAGS,
    "metadata": TRACE_METADATA,
    "links": TRACE_LINKS,
    "assessments": ASSESSMENTS,
    "problems": UNREAD,
}

# Not part of TraceTables: spans are read on demand. Times are in nanoseconds since 1970; `inputs`, `outputs`,
# `attributes` and `events` are JSON text, null where they were not asked for or not recorded.
SPANS = _schema(
    trace_id=STRING,
    span_id=STRING,
    parent_id=STRING,
    name=STRING,
    type=STRING,
    status=STRING,
    status_message=STRING,
    start_ns=INT,
    end_ns=INT,
    model=STRING,
    input_tokens=INT,
    output_tokens=INT,
    total_cost=FLOAT,
    inputs=STRING,
    outputs=STRING,
    attributes=STRING,
    events=STRING,
)

# The tables of EvaluationTables: datasets for evaluating, and their records, as JSON text.
EVALUATION_DATASETS = _schema(
    dataset_id=STRING,
    name=STRING,
    digest=STRING,
    schema=STRING,
    profile=STRING,
    creation_time=INT,
    last_updated_time=INT,
)

EVALUATION_RECORDS = _schema(
    dataset_id=STRING,
    record_id=STRING,
    inputs=STRING,
    outputs=STRING,
    expectations=STRING,
    tags=STRING,
    source=STRING,
    source_type=STRING,
    creation_time=INT,
    last_updated_time=INT,
)

# Which experiments use a dataset.
EVALUATION_DATASET_USES = _schema(dataset_id=STRING, experiment_id=STRING)

EVALUATION_TABLES: dict[str, pa.Schema] = {
    "datasets": EVALUATION_DATASETS,
    "records": EVALUATION_RECORDS,
    "uses": EVALUATION_DATASET_USES,
    "problems": UNREAD,
}

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
