"""Runs under MLflow 2, in an environment of its own: writes a store, or tells as JSON what its client finds in each.

python mlflow2_store.py write TRACKING_URI ...
python mlflow2_store.py read TRACKING_URI ...
python mlflow2_store.py models TRACKING_URI ...
"""

from __future__ import annotations

import json
import math
import sys
from unittest.mock import MagicMock

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, SpanEvent, ViewType
from mlflow.models import ModelSignature
from mlflow.tracing.processor.mlflow import MlflowSpanProcessor

START = 1_760_000_000_000
GAPS = (math.nan, math.inf, -math.inf)


def write(client: mlflow.MlflowClient) -> None:
    """Two experiments: a sweep with children, seeds, a failed run, odd values; and one that is deleted."""
    churn = client.create_experiment("churn", tags={"mlflow.experiment.primaryMetric.name": "val_auc"})
    sweep = client.create_run(churn, start_time=START, run_name="sweep").info.run_id
    for number in range(6):
        begun = START + 60_000 * (number + 1)
        run = client.create_run(
            churn, start_time=begun, run_name=f"mlp {number}", tags={"mlflow.parentRunId": sweep, "team": "growth"}
        ).info.run_id
        steps = range(40)
        client.log_batch(
            run,
            params=[
                Param("lr", str(10.0 ** -(number % 3 + 1))),
                Param("seed", str(number)),
                Param("note", "größer; <b>\n$x$"),
            ],
            metrics=[
                *(Metric("val_auc", 0.9 - 0.4 / (step + 1) + number / 1000, begun + step, step) for step in steps),
                *(Metric("train/loss", 1 / (step + 1), begun + step, step) for step in steps),
                *(Metric("gap", gap, begun + at, 0) for at, gap in enumerate(GAPS[: number % 4])),
            ],
            tags=[RunTag("mlflow.note.content", f"run **{number}**")],
        )
        client.log_text(run, f"run {number}\n", "logs/train.txt")
        client.log_dict(run, {"number": number}, "config.json")
        customers = Dataset("customers", "0123abcd", "code", '{"tags": {}}', schema=None, profile='{"num_rows": 7043}')
        client.log_inputs(run, [DatasetInput(customers, [InputTag("mlflow.data.context", "training")])])
        client.set_terminated(run, "FAILED" if number == 4 else "FINISHED", end_time=begun + 50_000)
    client.create_run(churn, start_time=START + 900_000, run_name="still running")
    write_traces(client, churn)
    gone = client.create_run(churn, start_time=START + 1_000_000, run_name="deleted").info.run_id
    client.delete_run(gone)
    old = client.create_experiment("old attempts")
    client.create_run(old, start_time=START - 1_000_000)
    client.delete_experiment(old)


def write_traces(client: mlflow.MlflowClient, experiment_id: str) -> None:
    """Traces with a question longer than a preview, an error, and one that has not ended."""
    # MLflow 2.22 does not set what the processors of a later OpenTelemetry have.
    MlflowSpanProcessor._shutdown, MlflowSpanProcessor._metrics = False, MagicMock()
    for number, status in enumerate(("OK", "ERROR", "OK")):
        question = {"question": f"größer? {number}" + " and so on" * 60 * (number == 2)}
        root = client.start_trace(
            "answer", "CHAIN", inputs=question, tags={"slice": f"s{number}"}, experiment_id=experiment_id
        )
        call = client.start_span("call", root.request_id, root.span_id, "TOOL", inputs={"n": number})
        if status == "ERROR":
            call.add_event(SpanEvent.from_exception(ValueError("<b>no</b>")))
        client.end_span(root.request_id, call.span_id, outputs=[number, None], status=status)
        client.end_trace(root.request_id, outputs=f"{number}", status=status)
    client.start_trace("waiting", experiment_id=experiment_id)


def read(client: mlflow.MlflowClient) -> dict[str, object]:
    """What this client says: experiments of every lifecycle stage, and everything of their runs."""
    experiments = client.search_experiments(view_type=ViewType.ALL)
    runs = client.search_runs([e.experiment_id for e in experiments], run_view_type=ViewType.ALL, max_results=10_000)
    return {
        "mlflow": mlflow.__version__,
        "experiments": {
            e.experiment_id: [e.name, e.lifecycle_stage, e.creation_time, dict(e.tags)] for e in experiments
        },
        "runs": {
            run.info.run_id: {
                "experiment_id": run.info.experiment_id,
                "run_name": run.info.run_name,
                "status": run.info.status,
                "start_time": run.info.start_time,
                "end_time": run.info.end_time,
                "lifecycle_stage": run.info.lifecycle_stage,
                "params": run.data.params,
                "tags": run.data.tags,
                "metrics": {key: repr(value) for key, value in run.data.metrics.items()},
                "history": {
                    key: sorted(
                        [m.step, m.timestamp, repr(m.value)] for m in client.get_metric_history(run.info.run_id, key)
                    )
                    for key in run.data.metrics
                },
                "datasets": sorted(
                    [i.dataset.name, i.dataset.digest, [tag.value for tag in i.tags]] for i in run.inputs.dataset_inputs
                ),
                "artifacts": sorted(_files(client, run.info.run_id, "")),
            }
            for run in runs
        },
        "traces": {
            trace.info.request_id: {
                "experiment_id": trace.info.experiment_id,
                "request_time": trace.info.timestamp_ms,
                "duration": trace.info.execution_time_ms,
                "state": trace.info.status.value,
                "tags": trace.info.tags,
                "metadata": trace.info.request_metadata,
                "spans": sorted(
                    [
                        span.span_id.removeprefix("0x"),
                        span.parent_id and span.parent_id.removeprefix("0x"),
                        span.name,
                        span.span_type,
                        span.status.status_code.value,
                        span.start_time_ns,
                        span.end_time_ns,
                        span.inputs,
                        span.outputs,
                        [event.name for event in span.events],
                    ]
                    for span in trace.data.spans
                ),
            }
            for trace in client.search_traces([e.experiment_id for e in experiments])
        },
    }


def _files(client: mlflow.MlflowClient, run_id: str, path: str) -> list[list[object]]:
    found: list[list[object]] = []
    for entry in client.list_artifacts(run_id, path):
        found += _files(client, run_id, entry.path) if entry.is_dir else [[entry.path, entry.file_size]]
    return found


class Echo(mlflow.pyfunc.PythonModel):
    """Answers with its input."""

    def predict(self, context: object, model_input: object, params: object = None) -> object:
        return model_input


def log_models() -> dict[str, object]:
    """Log two models in one run, of which the first is registered; returns what MLflow says of them."""
    column = [{"type": "double", "name": "sepal length", "required": True}]
    tensor = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]
    said: dict[str, object] = {}
    with mlflow.start_run(run_name="trained") as run:
        for path, inputs in (("models/net", column), ("net", tensor)):
            signature = ModelSignature.from_dict({"inputs": json.dumps(inputs), "outputs": None, "params": None})
            registered = "flowers" if path == "models/net" else None
            mlflow.pyfunc.log_model(
                path,
                python_model=Echo(),
                signature=signature,
                pip_requirements=["mlflow"],
                registered_model_name=registered,
            )
            info = mlflow.models.get_model_info(f"runs:/{run.info.run_id}/{path}")
            model = mlflow.models.Model.load(f"runs:/{run.info.run_id}/{path}")
            said[path] = {
                "run_id": info.run_id,
                "flavours": sorted(info.flavors),
                "inputs": info.signature.inputs.to_dict(),
                "mlflow_version": info.mlflow_version,
                "created": info.utc_time_created,
                "size": model.model_size_bytes,
            }
    return said


def main() -> None:
    """Write or read, as the command line says."""
    verb, *tracking_uris = sys.argv[1:]
    found = {}
    for tracking_uri in tracking_uris:
        mlflow.set_tracking_uri(tracking_uri)
        client = mlflow.MlflowClient()
        if verb == "write":
            write(client)
        elif verb == "models":
            found[tracking_uri] = log_models()
        else:
            found[tracking_uri] = read(client)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
