"""Write the story of `create-demo-runs --genai` with MLflow's own classes: runs, models, versions, traces, records."""

from __future__ import annotations

import base64
import json
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import StoreError
from qualia_lab.scripts.genai_questions import QUESTIONS
from qualia_lab.scripts.genai_story import IN_USE, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow import MlflowClient
    from mlflow.entities import Assessment
    from mlflow.tracing.client import TracingClient

    from qualia_lab.scripts.genai_story import Answer, Judgement, Step, Version

# The registered model, and the dataset of questions.
NAME = "docs-assistant"
DATASET = "docs-questions"

# The versions that are registered, in this order; the alias `champion` stays at the one that was in use first.
_REGISTERED = (0, IN_USE[0], IN_USE[1])
_CHAMPION = 2
_MINIMUM = "3.5"


def write_genai_story(
    client: MlflowClient,
    tracking_uri: str,
    experiment_id: str,
    story: list[Answer],
    *,
    now: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write the story: an evaluation run and a logged model for each version, and all traces.

    Args:
        client: the client to write with.
        tracking_uri: the tracking URI of its store.
        experiment_id: the experiment to add everything to.
        story: the requests, see `generate_genai_story`.
        now: the time in ms that the times of the story are relative to; by default the current time.
        advance: called after each trace with the number of traces written and the total.

    Returns:
        The ids of the evaluation runs, in the order of the versions.

    Raises:
        StoreError: the installed MLflow is too old to write traces.
    """
    tracing = _tracing_client(tracking_uri)
    now = int(time.time() * 1000) if now is None else now
    model_ids = [_create_model(client, experiment_id, version) for version in VERSIONS]
    run_ids: list[str] = []
    done = 0
    for (version, evaluated), answers in groupby(story, lambda answer: (answer.version, answer.evaluated)):
        batch = list(answers)
        run_id = _start_run(client, experiment_id, version, batch, now) if evaluated else None
        for answer in batch:
            written = _Written(experiment_id, now + answer.start)
            _write_trace(tracing, written, answer, run_id=run_id, model_id=model_ids[version])
            done += 1
            if advance:
                advance(done, len(story))
        if run_id:
            _end_run(client, run_id, model_ids[version], batch, now)
            run_ids.append(run_id)
    with _as_default(tracking_uri):
        _register(client, model_ids, run_ids)
        _create_dataset(experiment_id)
    return run_ids


@contextmanager
def _as_default(tracking_uri: str) -> Iterator[None]:
    """Set MLflow's default store, which it uses for models and datasets whatever the client."""
    import mlflow

    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # which also sets the environment of this process


def _tracing_client(tracking_uri: str) -> TracingClient:
    from mlflow import __version__
    from mlflow.tracing.client import TracingClient

    if not hasattr(TracingClient, "log_spans"):
        raise StoreError(
            f"MLflow {__version__} cannot write the traces of the demo; it needs {_MINIMUM} or newer.",
            "Install a newer MLflow, or omit --genai.",
        )
    return TracingClient(tracking_uri)


def _create_model(client: MlflowClient, experiment_id: str, version: Version) -> str:
    """Create the entry of a logged model for a version of the assistant, without files."""
    params = {"prompt": str(version.prompt), "model": version.model.name}
    model = client.create_logged_model(experiment_id, name=version.name, params=params, model_type="agent")
    client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


def _start_run(client: MlflowClient, experiment_id: str, index: int, answers: list[Answer], now: int) -> str:
    version, tags = VERSIONS[index], {"mlflow.runType": "genai_evaluate"}
    run = client.create_run(experiment_id, start_time=now + answers[0].start, tags=tags, run_name=version.name)
    run_id = str(run.info.run_id)
    client.log_param(run_id, "prompt", version.prompt)
    client.log_param(run_id, "model", version.model.name)
    return run_id


def _end_run(client: MlflowClient, run_id: str, model_id: str, answers: list[Answer], now: int) -> None:
    """Log the mean of each scorer, as `mlflow.genai.evaluate` does, and end the run."""
    from mlflow.entities import LoggedModelOutput

    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
    end = now + answers[-1].start + answers[-1].steps[0].end
    judged = [one for answer in answers for one in answer.judgements if one.source != "HUMAN" and one.value is not None]
    for name in sorted({one.name for one in judged}):
        values = [one.value for one in judged if one.name == name]
        mean = sum(map(bool, values)) / len(values)
        client.log_metric(run_id, f"{name}/mean", mean, end, 0, model_id=model_id)
    client.log_metric(run_id, "cost", sum(step.cost for answer in answers for step in answer.steps), end, 0)
    client.set_terminated(run_id, "FINISHED", end)


def _register(client: MlflowClient, model_ids: list[str], run_ids: list[str]) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(NAME, description="Answers questions about the product from its documentation.")
    except MlflowException:
        return  # by an earlier demo in this store, whose aliases stay
    for index in _REGISTERED:
        source = f"models:/{model_ids[index]}"
        client.create_model_version(NAME, source, run_ids[index], model_id=model_ids[index])
    client.set_registered_model_alias(NAME, "champion", str(_CHAMPION))


def _create_dataset(experiment_id: str) -> None:
    """Store the questions with the expected answers as an evaluation dataset, in stores that have such."""
    from mlflow.exceptions import MlflowException
    from mlflow.genai.datasets import create_dataset

    records = [
        {
            "inputs": {"question": question.text},
            "expectations": {"expected_response": question.answer},
            "tags": {"topic": question.topic},
        }
        for question in QUESTIONS
    ]
    with suppress(MlflowException):  # a folder has no evaluation datasets, and the name can be taken
        create_dataset(DATASET, experiment_id=experiment_id).merge_records(records)


@dataclass(frozen=True)
class _Written:
    """Where and when one request is written, and under which id."""

    experiment_id: str
    begin: int
    number: int = field(default_factory=lambda: uuid.uuid4().int)

    @property
    def trace_id(self) -> str:
        return f"tr-{self.number:032x}"


def _write_trace(
    tracing: TracingClient, written: _Written, answer: Answer, *, run_id: str | None, model_id: str
) -> None:
    from mlflow.entities import Span, TraceInfo, TraceLocation, TraceState

    root = answer.steps[0]
    tokens = [step.tokens for step in answer.steps if step.tokens]
    metadata = {"mlflow.trace_schema.version": "3", "mlflow.modelId": model_id}
    if run_id:
        metadata["mlflow.sourceRun"] = run_id
    if answer.session:
        metadata["mlflow.trace.session"], metadata["mlflow.trace.user"] = answer.session
    if tokens:
        metadata["mlflow.trace.tokenUsage"] = json.dumps(_usage(*(sum(one) for one in zip(*tokens, strict=True))))
        metadata["mlflow.trace.cost"] = json.dumps({"total_cost": sum(step.cost for step in answer.steps)})
    info = TraceInfo(
        trace_id=written.trace_id,
        trace_location=TraceLocation.from_experiment_id(written.experiment_id),
        request_time=written.begin,
        execution_duration=root.end,
        state=TraceState.ERROR if answer.failed else TraceState.OK,
        request_preview=json.dumps(root.inputs),
        response_preview=None if answer.failed else json.dumps(root.outputs),
        trace_metadata=metadata,
        tags={"mlflow.traceName": root.name, "topic": answer.question.topic, "prompt": _prompt(answer)},
        assessments=_assessments(answer, written.trace_id, written.begin + root.end, run_id),
    )
    tracing.start_trace(info)
    spans = [Span.from_dict(_span(step, written, place)) for place, step in enumerate(answer.steps)]
    tracing.log_spans(written.experiment_id, spans)


def _prompt(answer: Answer) -> str:
    return f"v{VERSIONS[answer.version].prompt}"


def _usage(given: int, made: int) -> dict[str, int]:
    return {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}


def _span(step: Step, written: _Written, place: int) -> dict[str, Any]:
    """The span as `Span.to_dict` writes it; the first one of a trace is the parent of the others."""
    attributes: dict[str, Any] = {
        "mlflow.traceRequestId": written.trace_id,
        "mlflow.experimentId": written.experiment_id,
        "mlflow.spanType": step.kind,
        "mlflow.spanInputs": step.inputs,
    }
    if step.outputs is not None:
        attributes["mlflow.spanOutputs"] = step.outputs
    if step.model:
        attributes["mlflow.llm.model"] = step.model
    if step.tokens:
        attributes |= {"mlflow.chat.tokenUsage": _usage(*step.tokens), "mlflow.llm.cost": {"total_cost": step.cost}}
    start, end = ((written.begin + at) * 1_000_000 for at in (step.start, step.end))
    failure = {"exception.message": step.error, "exception.type": step.error.partition(":")[0]}
    return {
        "trace_id": _encoded(written.number, 16),
        "span_id": _encoded(written.number + place, 8),
        "parent_span_id": _encoded(written.number, 8) if place else None,
        "name": step.name,
        "start_time_unix_nano": start,
        "end_time_unix_nano": end,
        "status": {"code": "STATUS_CODE_ERROR" if step.error else "STATUS_CODE_OK", "message": step.error},
        "events": [{"name": "exception", "time_unix_nano": end, "attributes": failure}] if step.error else [],
        "attributes": {key: json.dumps(value) for key, value in attributes.items()},
    }


def _encoded(number: int, length: int) -> str:
    return base64.b64encode((number % (1 << 8 * length)).to_bytes(length, "big")).decode()


def _assessments(answer: Answer, trace_id: str, at: int, run_id: str | None) -> list[Assessment]:
    """The expected answer and all judgements of an evaluated request."""
    if not answer.evaluated:
        return []
    from mlflow.entities import AssessmentSource, Expectation

    expected = Expectation(
        name="expected_response",
        value=answer.question.answer,
        source=AssessmentSource("HUMAN", "docs team"),
        trace_id=trace_id,
        create_time_ms=at,
        last_update_time_ms=at,
    )
    found: list[Assessment] = [expected, *(_feedback(one, trace_id, at, run_id) for one in answer.judgements)]
    for one in found:
        one.assessment_id = f"a-{uuid.uuid5(uuid.NAMESPACE_OID, f'{trace_id} {one.name} {one.source.source_id}').hex}"
    return found


def _feedback(judgement: Judgement, trace_id: str, at: int, run_id: str | None) -> Assessment:
    from mlflow.entities import AssessmentError, AssessmentSource, Feedback

    return Feedback(
        name=judgement.name,
        value=judgement.value,
        error=AssessmentError("SCORER_ERROR", judgement.error) if judgement.error else None,
        rationale=judgement.rationale or None,
        source=AssessmentSource(judgement.source, judgement.judge),
        trace_id=trace_id,
        metadata={"mlflow.assessment.sourceRunId": run_id} if run_id else None,
        create_time_ms=at,
        last_update_time_ms=at,
    )
