"""Converts MLflow's JSON of experiments, runs and logged models into rows; invalid values are reported."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from qualia_lab.stores.rows import Fields, Rows
from qualia_lab.stores.values import MODEL_STATUSES, RUN_STATUSES, integer, number, status, text
from qualia_lab.times import is_possible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qualia_lab.stores.rows import Reports, Row

    Json = dict[str, Any]


def info_of(item: Json) -> Json:
    """The `info` of a run or logged model; empty if it is not an object."""
    info = item.get("info")
    return info if isinstance(info, dict) else {}


def run_id_of(run: Json) -> str:
    """The id of a run; servers before MLflow 1.0 called it run_uuid."""
    return str(info_of(run).get("run_id") or info_of(run).get("run_uuid") or "")


def objects(holder: Any, *path: str) -> list[Json]:
    """The objects in the list at a path of nested keys; empty if there is no list."""
    for name in path:
        holder = holder.get(name) if isinstance(holder, dict) else None
    return [item for item in holder if isinstance(item, dict)] if isinstance(holder, list) else []


def data_of(run: Json, name: str) -> list[Json]:
    """The params, metrics or tags of a run, as MLflow's list of objects."""
    return objects(run, "data", name)


def last_moment(run: Json) -> tuple[str, int | None]:
    """The experiment id of a run, and its start or end, whichever is later, in ms."""
    moments = []
    for name in ("start_time", "end_time"):
        try:
            moments.append(integer(info_of(run).get(name)))
        except ValueError:
            continue
    possible = (time for time in moments if time is not None and is_possible(time))
    return str(info_of(run).get("experiment_id")), max(possible, default=None)


def point_of(point: Json) -> Json | None:
    """Step, timestamp and value of a metric; None if one of them is not a number."""
    try:
        return {
            "step": integer(point.get("step")) or 0,  # MLflow's JSON omits zeros
            "timestamp": integer(point.get("timestamp")) or 0,
            "value": number(point.get("value", 0.0)),
        }
    except ValueError:
        return None


def pairs(items: Iterable[Json], subject: str, of: str | None, rows: Reports) -> Mapping[str, str]:
    """{key: value} for MLflow's lists of params and tags."""
    values = {}
    for item in items:
        try:
            values[text(item.get("key")) or ""] = text(item.get("value")) or ""
        except ValueError as error:
            rows.add_problem(of, subject, error)
    return values


def experiment_row(experiment: Json, rows: Rows) -> Json:
    """An experiment as a row of schema.EXPERIMENTS."""
    fields = Fields(experiment, rows)
    return {
        "experiment_id": fields.text("experiment_id"),
        "name": fields.text("name"),
        "artifact_location": fields.text("artifact_location"),
        "lifecycle_stage": fields.text("lifecycle_stage"),
        "creation_time": fields.integer("creation_time"),
        "last_update_time": fields.integer("last_update_time"),
    }


def add_experiment(experiment: Json, rows: Rows) -> None:
    """Add an experiment and its tags to the rows."""
    row = experiment_row(experiment, rows)
    rows.tables["experiments"].append(row)
    tags = pairs(objects(experiment, "tags"), "experiment tag", None, rows)
    rows.add_values("experiment_tags", {"experiment_id": row["experiment_id"]}, tags)


def add_run(run: Json, rows: Rows) -> None:
    """Add a run with its tags, params, latest metrics and datasets to the rows."""
    run_id = run_id_of(run)
    fields = Fields(info_of(run), rows, run_id)
    tags = pairs(data_of(run, "tags"), "tag", run_id, rows)
    rows.tables["runs"].append(
        {
            "run_id": run_id,
            "experiment_id": fields.text("experiment_id"),
            "run_name": fields.text("run_name") or tags.get("mlflow.runName"),
            "status": status(fields.text("status"), RUN_STATUSES),
            "start_time": fields.integer("start_time"),
            "end_time": fields.integer("end_time"),
            "user_id": fields.text("user_id"),
            "lifecycle_stage": fields.text("lifecycle_stage"),
            "artifact_uri": fields.text("artifact_uri"),
            "parent_run_id": tags.get("mlflow.parentRunId"),
        }
    )
    rows.add_values("tags", {"run_id": run_id}, tags)
    rows.add_values("params", {"run_id": run_id}, pairs(data_of(run, "params"), "param", run_id, rows))
    for metric in sorted(data_of(run, "metrics"), key=lambda metric: str(metric.get("key"))):
        key, point = text(str(metric.get("key"))), point_of(metric)
        if point is None:
            rows.add_problem(run_id, f"metric {key}", "it is not a number")
        else:
            rows.tables["metrics"].append({"run_id": run_id, "key": key, **point})
    names = ("name", "digest", "source_type", "source", "schema", "profile")
    for dataset_input in objects(run, "inputs", "dataset_inputs"):
        dataset = dataset_input.get("dataset")
        dataset_fields = Fields(dataset if isinstance(dataset, dict) else {}, rows, run_id)
        columns = {name: dataset_fields.text(name) for name in names}
        context = pairs(objects(dataset_input, "tags"), "dataset", run_id, rows).get("mlflow.data.context")
        rows.tables["datasets"].append({"run_id": run_id, **columns, "context": context})


def model_row(info: Json, rows: Reports, of: str | None) -> Row:
    """A logged model as a row of schema.MODELS; `of`: what values that cannot be read belong to, in the report."""
    fields = Fields(info, rows, of)
    return {
        "model_id": fields.text("model_id"),
        "experiment_id": fields.text("experiment_id"),
        "run_id": fields.text("source_run_id") or None,
        "name": fields.text("name"),
        "model_type": fields.text("model_type") or None,
        "status": status(fields.text("status"), MODEL_STATUSES),
        "status_message": fields.text("status_message") or None,
        "artifact_location": fields.text("artifact_uri"),
        "creation_time": fields.integer("creation_timestamp_ms"),
        "last_updated_time": fields.integer("last_updated_timestamp_ms"),
    }


def add_models(run_ids: Iterable[str], outputs: Mapping[str, set[str]], models: Mapping[str, Json], rows: Rows) -> None:
    """Add the logged models of these runs: those that a run created, and those in its outputs."""
    positions = {model_id: position for position, model_id in enumerate(models)}
    created: dict[str, set[str]] = defaultdict(set)
    for model_id, model in models.items():
        created[str(info_of(model).get("source_run_id"))].add(model_id)
    for run_id in run_ids:
        model_ids = (created.get(run_id, set()) | outputs.get(run_id, set())) & models.keys()
        for model_id in sorted(model_ids, key=positions.__getitem__):
            rows.tables["logged_models"].append(
                {**model_row(info_of(models[model_id]), rows, run_id), "run_id": run_id, "model_id": model_id}
            )
