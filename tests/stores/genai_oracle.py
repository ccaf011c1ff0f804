"""GenAIOracle: models, registry, traces and evaluation datasets as read by MLflow's own client, as our tables."""

from __future__ import annotations

import json
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities import ViewType

from qualia_lab import schema
from qualia_lab.genai_tables import EvaluationTables, ModelTables, TraceTables, evaluation_tables, model_tables
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

USAGE, COST = "mlflow.trace.tokenUsage", "mlflow.trace.cost"


class GenAIOracle:
    """Reads any store that MLflow's client can open. MLflow may migrate it, so use a copy or a current schema."""

    def __init__(self, tracking_uri: str) -> None:
        self.client = mlflow.MlflowClient(tracking_uri)

    @cached_property
    def experiment_ids(self) -> list[str]:
        return [one.experiment_id for one in self.client.search_experiments(view_type=ViewType.ALL)]

    @cached_property
    def runs(self) -> list[Any]:
        return list(self.client.search_runs(self.experiment_ids, run_view_type=ViewType.ALL, max_results=1000))

    # Models

    def models(self, experiment_ids: Sequence[str] = (), run_ids: Sequence[str] = ()) -> ModelTables:
        """ModelTables in arbitrary order, of these experiments and runs; of everything without both."""
        everything = not experiment_ids and not run_ids
        outputs = [
            {"run_id": run.info.run_id, "model_id": output.model_id, "step": output.step}
            for run in self.runs
            for output in (run.outputs.model_outputs if run.outputs else [])
        ]
        listed = {output["model_id"] for output in outputs if output["run_id"] in run_ids}
        found = [
            self.client.get_logged_model(model.model_id)
            for model in _pages(self.client.search_logged_models, self.experiment_ids, max_results=50)
            if everything
            or model.experiment_id in experiment_ids
            or model.source_run_id in run_ids
            or model.model_id in listed
        ]
        ids = {model.model_id for model in found}
        of_runs = {*run_ids, *(run.info.run_id for run in self.runs if run.info.experiment_id in experiment_ids)}
        versions = [
            version
            for version in self.client.search_model_versions(max_results=1000)
            if everything or version.run_id in of_runs or self._model_of(version) in ids
        ]
        names = {version.name for version in versions}
        return model_tables(
            models=table_of(schema.MODELS, [self._model(model) for model in found]),
            outputs=table_of(schema.MODEL_OUTPUTS, [output for output in outputs if output["model_id"] in ids]),
            params=table_of(schema.MODEL_PARAMS, [row for model in found for row in _keyed(model, model.params)]),
            tags=table_of(schema.MODEL_TAGS, [row for model in found for row in _keyed(model, model.tags)]),
            metrics=table_of(
                schema.MODEL_METRICS, [self._point(point) for model in found for point in model.metrics or ()]
            ),
            versions=table_of(schema.MODEL_VERSIONS, [self._version(version) for version in versions]),
            version_tags=table_of(
                schema.MODEL_VERSION_TAGS,
                [
                    {"name": version.name, "version": int(version.version), "key": key, "value": value}
                    for version in versions
                    for key, value in version.tags.items()
                ],
            ),
            aliases=table_of(
                schema.MODEL_ALIASES,
                [
                    {"name": name, "alias": alias, "version": int(version)}
                    for name in names
                    for alias, version in self.client.get_registered_model(name).aliases.items()
                ],
            ),
        )

    def _model(self, model: Any) -> dict[str, Any]:
        row = {"run_id": model.source_run_id, "status": str(model.status), "creation_time": model.creation_timestamp}
        row |= {"last_updated_time": model.last_updated_timestamp, "status_message": model.status_message or None}
        row |= {"run_id": model.source_run_id or None, "model_type": model.model_type or None}
        return row | {name: getattr(model, name) for name in schema.MODELS.names if name not in row}

    def _point(self, point: Any) -> dict[str, Any]:
        """A point; a database stores NaN as 0 for a model, and only the history of the run tells."""
        value = point.value
        if value == 0 and any(
            math.isnan(other.value) and (other.step, other.timestamp) == (point.step, point.timestamp)
            for other in self.client.get_metric_history(point.run_id, point.key)
        ):
            value = math.nan
        row = {"value": value, "dataset_name": point.dataset_name or None}
        row["dataset_digest"] = point.dataset_digest or None
        return row | {name: getattr(point, name) for name in schema.MODEL_METRICS.names if name not in row}

    @cached_property
    def _sources(self) -> dict[str, str]:
        """The ids of models by what may be the source of a version, deleted models included."""
        models = _pages(self.client.search_logged_models, self.experiment_ids, max_results=50)
        return {source: one.model_id for one in models for source in (one.artifact_location, f"models:/{one.model_id}")}

    def _model_of(self, version: Any) -> str | None:
        return self._sources.get(version.source)

    def _version(self, version: Any) -> dict[str, Any]:
        row = {"version": int(version.version), "model_id": self._model_of(version), "stage": version.current_stage}
        row |= {"creation_time": version.creation_timestamp, "last_updated_time": version.last_updated_timestamp}
        row |= {name: getattr(version, name) or None for name in ("run_id", "status_message", "user_id", "description")}
        return row | {name: getattr(version, name) for name in schema.MODEL_VERSIONS.names if name not in row}

    # Traces

    @cached_property
    def infos(self) -> list[Any]:
        """The traces of all active experiments, the latest first."""
        return [trace.info for trace in self._search(self._active)]

    @cached_property
    def _active(self) -> list[str]:
        return [one.experiment_id for one in self.client.search_experiments()]

    def matching(self, condition: str) -> list[str]:
        """The ids of the traces that match a filter of MLflow, the latest first."""
        return [trace.info.trace_id for trace in self._search(self._active, filter_string=condition)]

    def _search(self, experiment_ids: Sequence[str], **more: Any) -> list[Any]:
        return _pages(
            self.client.search_traces, locations=list(experiment_ids), max_results=100, include_spans=False, **more
        )

    def traces(self, infos: Sequence[Any] | None = None) -> TraceTables:
        """TraceTables of these traces, in their order."""
        infos = self.infos if infos is None else infos
        links = [
            {"trace_id": trace.info.trace_id, "run_id": run.info.run_id}
            for run in self.runs
            for trace in self._search(self.experiment_ids, run_id=run.info.run_id)
            if trace.info.trace_metadata.get("mlflow.sourceRun") != run.info.run_id
        ]
        given = {info.trace_id for info in infos}
        return TraceTables(
            traces=table_of(schema.TRACES, map(_trace, infos)),
            tags=table_of(schema.TRACE_TAGS, [row for info in infos for row in _of_trace(info, info.tags)]),
            metadata=table_of(
                schema.TRACE_METADATA, [row for info in infos for row in _of_trace(info, info.trace_metadata)]
            ),
            links=table_of(schema.TRACE_LINKS, [link for link in links if link["trace_id"] in given]),
            assessments=table_of(
                schema.ASSESSMENTS, [_assessment(one) for info in infos for one in info.assessments or ()]
            ),
            problems=table_of(schema.UNREAD, []),
        )

    def spans(self, trace_ids: Sequence[str]) -> pa.Table:
        """schema.SPANS in arbitrary order, JSON as MLflow's client decodes it."""
        return table_of(schema.SPANS, [_span(one, span) for one in trace_ids for span in self._spans_of(one)])

    def _spans_of(self, trace_id: str) -> list[Any]:
        try:
            return self.client.get_trace(trace_id).data.spans
        except mlflow.MlflowException as error:
            assert "missing span data" in error.message  # a trace in progress
            return []

    # Evaluation datasets

    def evaluation(self, experiment_ids: Sequence[str] = ()) -> EvaluationTables:
        """EvaluationTables in arbitrary order."""
        found = _pages(self.client.search_datasets, list(experiment_ids) or None, max_results=50)
        if not found:
            return evaluation_tables()
        mlflow.set_tracking_uri(self.client.tracking_uri)  # from which a dataset reads its records
        datasets = [self.client.get_dataset(dataset.dataset_id) for dataset in found]
        return evaluation_tables(
            datasets=table_of(
                schema.EVALUATION_DATASETS,
                [
                    {name: getattr(dataset, name) for name in ("dataset_id", "name", "digest", "schema", "profile")}
                    | {"creation_time": dataset.created_time, "last_updated_time": dataset.last_update_time}
                    for dataset in datasets
                ],
            ),
            records=table_of(
                schema.EVALUATION_RECORDS, [_record(record) for dataset in datasets for record in dataset.records]
            ),
            uses=table_of(
                schema.EVALUATION_DATASET_USES,
                [
                    {"dataset_id": dataset.dataset_id, "experiment_id": experiment_id}
                    for dataset in datasets
                    for experiment_id in dataset.experiment_ids
                ],
            ),
        )


def _pages(search: Any, *args: Any, **more: Any) -> list[Any]:
    found, token = [], None
    while True:
        page = search(*args, page_token=token, **more)
        found += page
        token = page.token
        if not token:
            return found


def _keyed(model: Any, values: dict[str, str] | None) -> list[dict[str, Any]]:
    return [{"model_id": model.model_id, "key": key, "value": value} for key, value in (values or {}).items()]


def _of_trace(info: Any, values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"trace_id": info.trace_id, "key": key, "value": value} for key, value in values.items()]


def _trace(info: Any) -> dict[str, Any]:
    said = info.trace_metadata
    usage, cost = json.loads(said.get(USAGE, "{}")), json.loads(said.get(COST, "{}"))
    return {
        "trace_id": info.trace_id,
        "experiment_id": info.experiment_id,
        "run_id": said.get("mlflow.sourceRun"),
        "name": info.tags.get("mlflow.traceName"),
        "state": str(info.state.value),
        "request_time": info.request_time,
        "duration": info.execution_duration,
        "request_preview": info.request_preview or said.get("mlflow.traceInputs"),
        "response_preview": info.response_preview or said.get("mlflow.traceOutputs"),
        "client_request_id": info.client_request_id or None,
        "session_id": said.get("mlflow.trace.session"),
        "user": said.get("mlflow.trace.user"),
        "model_id": said.get("mlflow.modelId"),
        **{name: usage.get(name) for name in ("input_tokens", "output_tokens", "total_tokens")},
        "total_cost": cost.get("total_cost"),
    }


def _assessment(one: Any) -> dict[str, Any]:
    held = one.feedback or one.expectation
    value = one.issue.to_dictionary() if one.issue else held.value
    error = one.feedback.error if one.feedback else None
    return {
        "trace_id": one.trace_id,
        "assessment_id": one.assessment_id,
        "name": one.name,
        "kind": "feedback" if one.feedback else "expectation" if one.expectation else "issue",
        "value": None if value is None else in_one_spelling(json.dumps(value)),
        "error": None if error is None else error.error_message or error.error_code,
        "rationale": one.rationale,
        "source_type": one.source.source_type,
        "source_id": one.source.source_id,
        "run_id": one.run_id or (one.metadata or {}).get("mlflow.assessment.sourceRunId"),
        "span_id": one.span_id or None,
        "overrides": one.overrides or None,
        "valid": True if one.valid is None else one.valid,
        "metadata": in_one_spelling(json.dumps(one.metadata)) if one.metadata else None,
        "creation_time": one.create_time_ms,
        "last_updated_time": one.last_update_time_ms,
    }


def _span(trace_id: str, span: Any) -> dict[str, Any]:
    attributes = dict(span.attributes)
    usage, cost = (attributes.get(key) or {} for key in ("mlflow.chat.tokenUsage", "mlflow.llm.cost"))
    told = {key: value for key, value in attributes.items() if key not in ("mlflow.spanInputs", "mlflow.spanOutputs")}
    events = [{"name": one.name, "timestamp": one.timestamp, "attributes": one.attributes} for one in span.events]
    return {
        "trace_id": trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "name": span.name,
        "type": span.span_type,
        "status": span.status.status_code.value,
        "status_message": span.status.description or None,
        "start_ns": span.start_time_ns,
        "end_ns": span.end_time_ns,
        "model": attributes.get("mlflow.llm.model"),
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "total_cost": cost.get("total_cost"),
        "inputs": None if span.inputs is None else in_one_spelling(json.dumps(span.inputs)),
        "outputs": None if span.outputs is None else in_one_spelling(json.dumps(span.outputs)),
        "attributes": in_one_spelling(json.dumps(told)),
        "events": in_one_spelling(json.dumps(events)) if events else None,
    }


def _record(record: Any) -> dict[str, Any]:
    def spelled(value: Any) -> str | None:
        return None if value is None else in_one_spelling(json.dumps(value))

    return {
        "dataset_id": record.dataset_id,
        "record_id": record.dataset_record_id,
        "inputs": spelled(record.inputs),
        "outputs": spelled(record.outputs),
        "expectations": spelled(record.expectations),
        "tags": spelled(record.tags),
        "source": spelled(record.source.to_dict() if record.source else None),
        "source_type": record.source_type,
        "creation_time": record.created_time,
        "last_updated_time": record.last_update_time,
    }


def in_one_spelling(text: str | None) -> str | None:
    """JSON text with sorted keys and the same spaces, so that equal values are equal texts."""
    return None if text is None else json.dumps(json.loads(text), sort_keys=True)
