"""fill_genai: fills a store with models, a registry, traces, assessments and an evaluation dataset of MLflow 3.

Everything is written by MLflow's own client. Ids and the times of writing differ between calls; the times of traces,
spans, models' metrics and all texts are the same.
"""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

import mlflow
from mlflow.entities import (
    AssessmentError,
    AssessmentSource,
    LoggedModelOutput,
    Metric,
    SpanEvent,
    SpanStatus,
    TraceInfo,
    TraceLocation,
    TraceState,
)
from mlflow.tracing.client import TracingClient

from tests.stores.empty import new_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlflow import MlflowClient

START = 1_760_000_000_000  # ms
MINUTE = 60_000
MS = 1_000_000  # in ns

ODD = 'it\'s "quoted" \\ naïve Ωμέγα 🐙\n<b>second</b> line\t{{x}} ${y}'
LONG = "How does the very long question go on? " * 60  # 2,340 characters; previews are cut at 1,000

HUMAN = AssessmentSource("HUMAN", "ada@example.org")
JUDGE = AssessmentSource("LLM_JUDGE", "openai:/judge-1")
CODE = AssessmentSource("CODE", "exact_match")


@dataclass
class Filled:
    """The ids of what `fill_genai` wrote, by a short name."""

    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)
    assessments: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)


def fill_genai(tracking_uri: str, artifacts: Path | None = None, *, in_database: bool = True) -> Filled:
    """Fill the empty store at this tracking URI.

    Args:
        tracking_uri: a database, a folder of files or a server.
        artifacts: a folder for artifacts, for stores without a default (databases).
        in_database: whether it is a database or a server on one; only they hold links, datasets and issues.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), traced_to(tracking_uri):
        filling = _Filling(new_client(tracking_uri), artifacts, in_database)
        filling.experiments()
        filling.checkpoints()
        filling.other_models()
        filling.registry()
        filling.answers()
        filling.odd_traces()
        filling.assess()
        if in_database:
            filling.evaluation_dataset()
            filling.issue()
        return filling.filled


@contextlib.contextmanager
def traced_to(tracking_uri: str) -> Iterator[None]:
    """MLflow's fluent functions write to this store, traces before they return."""
    before = mlflow.get_tracking_uri()
    with mock.patch.dict(os.environ, {"MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false"}):
        mlflow.set_tracking_uri(tracking_uri)
        mlflow.tracing.reset()  # its exporter keeps the store that was set when it was made
        try:
            yield
        finally:
            mlflow.set_tracking_uri(before)
            mlflow.tracing.reset()


class _Filling:
    def __init__(self, client: MlflowClient, artifacts: Path | None, in_database: bool) -> None:
        self.client = client
        self.artifacts = artifacts
        self.in_database = in_database
        self.filled = Filled()

    def experiments(self) -> None:
        for name in ("qa", "training Ωμέγα"):
            location = None
            if self.artifacts is not None:
                location = (self.artifacts / name.partition(" ")[0]).absolute()
                location.mkdir(parents=True)
                location = location.as_uri()
            short = name.partition(" ")[0]
            self.filled.experiments[short] = self.client.create_experiment(name, artifact_location=location)

    def run(self, short: str, experiment: str, start: int) -> str:
        run = self.client.create_run(self.filled.experiments[experiment], start_time=start, run_name=short)
        self.filled.runs[short] = run.info.run_id
        return run.info.run_id

    def model(self, short: str, experiment: str, name: str, run: str | None = None, **more: Any) -> str:
        made = self.client.create_logged_model(
            self.filled.experiments[experiment], name, source_run_id=self.filled.runs.get(run or ""), **more
        )
        self.filled.models[short] = made.model_id
        return made.model_id

    def checkpoints(self) -> None:
        """A run that saved three of its checkpoints; the metrics of each on two datasets and without one."""
        run_id = self.run("train", "training", START)
        outputs = []
        for place, step in enumerate((10, 20, 30)):
            model_id = self.model(
                f"step {step}",
                "training",
                "net",
                "train",
                model_type="checkpoint",
                params={"lr": "0.1", "step": str(step), "note": ODD},
                tags={"stage": "candidate", "note": ODD},
            )
            outputs.append(LoggedModelOutput(model_id, step=step))
            points = [
                ("accuracy", 0.7 + place / 100, "valid", "aaaa1111"),
                ("accuracy", 0.69 - place / 100, "test", "bbbb2222"),
                ("loss", 1.0 / (place + 1), None, None),
                ("calibration", math.nan if place == 1 else 0.5, None, None),
                ("perplexity", math.inf if place == 2 else 5.0, "valid", "aaaa1111"),
            ]
            metrics = [
                Metric(
                    key,
                    value,
                    START + step * 1000 + number,
                    step,
                    model_id=model_id,
                    dataset_name=name,
                    dataset_digest=digest,
                    run_id=run_id,
                )
                for number, (key, value, name, digest) in enumerate(points)
            ]
            self.client.log_batch(run_id, metrics=metrics)
            self.client.finalize_logged_model(model_id, "READY")
        self.client.log_outputs(run_id, outputs)
        self.client.set_terminated(run_id, end_time=START + MINUTE)

    def other_models(self) -> None:
        """Models that are not ready, without a run, deleted, and of another run that evaluates a checkpoint."""
        self.run("retrain", "training", START + 2 * MINUTE)
        self.model("pending", "training", "unfinished", "retrain")
        failed = self.model("failed", "training", "broken", "retrain")
        self.client.finalize_logged_model(failed, "FAILED")
        gone = self.model("deleted", "training", "dropped", "retrain", params={"lr": "9"})
        self.client.finalize_logged_model(gone, "READY")
        self.client.delete_logged_model(gone)
        agent = self.model("agent", "qa", "agent", model_type="agent", params={"prompt": "v1 " + "x" * 600})
        self.client.finalize_logged_model(agent, "READY")
        evaluating = self.run("evaluate checkpoint", "qa", START + 3 * MINUTE)
        self.client.log_outputs(evaluating, [LoggedModelOutput(self.filled.models["step 20"], step=0)])
        self.client.log_metric(
            evaluating,
            "accuracy",
            0.5,
            START + 4 * MINUTE,
            7,
            model_id=self.filled.models["step 20"],
            dataset_name="other",
            dataset_digest="cccc3333",
        )
        self.client.set_terminated(evaluating, end_time=START + 5 * MINUTE)

    def registry(self) -> None:
        """Versions from logged models and from a run, with aliases, tags and a stage."""
        client, models, runs = self.client, self.filled.models, self.filled.runs
        client.create_registered_model("classifier", tags={"team": "growth"}, description="the one in use")
        for step in (10, 20):
            model_id = models[f"step {step}"]
            location = client.get_logged_model(model_id).artifact_location
            client.create_model_version(
                "classifier",
                location,
                runs["train"],
                tags={"checked": "yes", "note": ODD} if step == 10 else None,
                description=f"checkpoint {step}: {ODD}",
                model_id=model_id,
            )
        source = f"{client.get_run(runs['retrain']).info.artifact_uri}/model"
        client.create_model_version("classifier", source, runs["retrain"])
        client.set_registered_model_alias("classifier", "champion", "1")
        client.set_registered_model_alias("classifier", "challenger", "2")
        with warnings.catch_warnings(action="ignore"):  # stages are deprecated
            client.transition_model_version_stage("classifier", "3", "Staging")
        client.create_registered_model("elsewhere Ωμέγα")
        client.create_model_version("elsewhere Ωμέγα", "s3://bucket/model")
        client.create_registered_model("without versions")

    # Traces

    def trace(
        self,
        short: str,
        start: int,
        duration: int,
        *,
        name: str = "answer",
        experiment: str = "qa",
        inputs: Any = None,
        outputs: Any = None,
        status: str = "OK",
        session: str | None = None,
        user: str | None = None,
        run: str | None = None,
        model: str | None = None,
        tags: dict[str, str] | None = None,
        usage: tuple[int, int] | None = None,
        cost: float | None = None,
    ) -> str:
        """A trace of a question: the root AGENT, below it a RETRIEVER, a TOOL and a CHAT_MODEL. Times in ms."""
        metadata = {
            "mlflow.trace.session": session,
            "mlflow.trace.user": user,
            "mlflow.sourceRun": self.filled.runs.get(run or ""),
            "mlflow.modelId": self.filled.models.get(model or ""),
        }
        root = mlflow.start_span_no_context(
            name,
            span_type="AGENT",
            inputs=inputs,
            tags=tags,
            metadata={key: value for key, value in metadata.items() if value is not None},
            experiment_id=self.filled.experiments[experiment],
            start_time_ns=start * MS,
        )
        at = start

        def child(name: str, kind: str, parent: Any, inputs: Any, share: float) -> Any:
            return mlflow.start_span_no_context(
                name, span_type=kind, parent_span=parent, inputs=inputs, start_time_ns=(at + int(share * duration)) * MS
            )

        retriever = child("retrieve", "RETRIEVER", root, {"query": inputs}, 0.1)
        retriever.set_attribute("top_k", 3)
        document = {"page_content": "text of a document", "metadata": {"doc_uri": "docs/1.md"}}
        retriever.end(outputs=[document], end_time_ns=(at + int(0.3 * duration)) * MS)
        tool = child("look up", "TOOL", root, {"key": "price", "n": 1}, 0.3)
        if status == "ERROR":
            tool.record_exception(ValueError(f"no such key: {ODD}"))
            tool.set_status(SpanStatus("ERROR", f"no such key: {ODD}"))
            tool.end(end_time_ns=(at + int(0.4 * duration)) * MS)
        else:
            tool.add_event(SpanEvent("looked up", timestamp=(at + int(0.35 * duration)) * MS, attributes={"hits": 2}))
            tool.end(outputs={"price": 1.5}, end_time_ns=(at + int(0.4 * duration)) * MS)
            chat = child("chat", "CHAT_MODEL", root, {"messages": [{"role": "user", "content": inputs}]}, 0.4)
            chat.set_attribute("mlflow.llm.model", "small-1")
            if usage is not None:
                tokens = {"input_tokens": usage[0], "output_tokens": usage[1], "total_tokens": sum(usage)}
                chat.set_attribute("mlflow.chat.tokenUsage", tokens)
            if cost is not None:
                costs = {"input_cost": cost / 4, "output_cost": cost * 3 / 4, "total_cost": cost}
                chat.set_attribute("mlflow.llm.cost", costs)
            chat.end(outputs={"choices": [outputs]}, end_time_ns=(at + int(0.95 * duration)) * MS)
        root.end(outputs=outputs, status=status, end_time_ns=(start + duration) * MS)
        self.filled.traces[short] = root.trace_id
        return root.trace_id

    def answers(self) -> None:
        """Six questions answered in two runs, v1 and v2, with the same inputs; one of v2 failed."""
        for version, run in (("v1", "evaluate v1"), ("v2", "evaluate v2")):
            start = START + (10 if version == "v1" else 20) * MINUTE
            run_id = self.run(run, "qa", start)
            ids = []
            for number in range(6):
                failed = version == "v2" and number == 5
                ids.append(
                    self.trace(
                        f"{version} {number}",
                        start + number * 1000,
                        400 + 100 * number,
                        inputs={"question": f"What is {number} + {number}?"},
                        outputs=None if failed else {"answer": str(2 * number)},
                        status="ERROR" if failed else "OK",
                        session=f"session {number % 2}",
                        user="ada" if number % 2 else None,
                        run=run,
                        model="agent" if version == "v1" else None,
                        tags={"slice": "even" if number % 2 == 0 else "odd", "version": version},
                        usage=(100 + number, 10 + number),
                        cost=0.001 * (number + 1),
                    )
                )
            self.client.log_metric(run_id, "correctness/mean", 0.5, start + MINUTE, 0)
            self.client.set_terminated(run_id, end_time=start + MINUTE)
            if version == "v2" and self.in_database:  # traces are linked to a run that evaluates them again
                judging = self.run("judge again", "qa", start + 2 * MINUTE)
                self.client.link_traces_to_run(ids[:3], judging)
                self.client.link_traces_to_run(ids[:1], self.filled.runs["evaluate v1"])
                self.client.set_terminated(judging, end_time=start + 3 * MINUTE)

    def odd_traces(self) -> None:
        """Traces that are easily read wrong: long and odd texts, nested spans, in progress, without tokens, deleted."""
        start = START + 30 * MINUTE
        self.trace("long", start, 5000, inputs={"question": LONG}, outputs=LONG + ODD, tags={"long": LONG[:250]})
        self.trace("odd", start + 1000, 0, name=ODD[:60], inputs=ODD, outputs={"Ωμέγα": [ODD, None, 1.5, True]})
        self.trace("training", start + 2000, 90_000, experiment="training", inputs={"x": 1}, outputs=2)
        self.trace("same time a", start + 3000, 10, inputs="a", outputs="a")
        self.trace("same time b", start + 3000, 20, inputs="b", outputs="b")
        gone = self.trace("deleted", start + 4000, 10, inputs="gone", outputs="gone")
        self.client.delete_traces(self.filled.experiments["qa"], trace_ids=[gone])
        self.nested(start + 5000)
        self.served()
        waiting = TraceInfo(
            trace_id="tr-" + "5" * 32,
            trace_location=TraceLocation.from_experiment_id(self.filled.experiments["qa"]),
            request_time=start + 7000,
            state=TraceState.IN_PROGRESS,
            trace_metadata={"mlflow.trace.user": "bob"},
            tags={"mlflow.traceName": "waiting"},
        )
        self.filled.traces["in progress"] = TracingClient().start_trace(waiting).trace_id

    def nested(self, start: int) -> None:
        """Spans eight levels deep, with the same tool called three times with the same input."""
        root = mlflow.start_span_no_context(
            "loop",
            span_type="CHAIN",
            experiment_id=self.filled.experiments["qa"],
            start_time_ns=start * MS,
            inputs={"question": "again?"},
        )
        opened = [root]
        for level in range(8):
            opened.append(
                mlflow.start_span_no_context(
                    f"level {level}", span_type="my own type", parent_span=opened[-1], start_time_ns=start * MS + level
                )
            )
        for call in (1, 2, 3):
            at = start * MS + 100 * call
            tool = mlflow.start_span_no_context(
                "search", span_type="TOOL", parent_span=opened[-1], inputs={"q": "same"}, start_time_ns=at
            )
            tool.end(outputs=[], end_time_ns=at + 50)
        for span in reversed(opened[1:]):
            span.end(end_time_ns=start * MS + 900_000)
        root.end(outputs="no answer", end_time_ns=start * MS + 1_000_000)
        self.filled.traces["nested"] = root.trace_id

    def served(self) -> None:
        """A trace with an id, previews and metadata of the application's own, as a service writes them, of now."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(mlflow.start_run(run_id=self.filled.runs["evaluate checkpoint"]))
            span = stack.enter_context(mlflow.start_span("served", span_type="LLM"))
            span.set_inputs({"question": "who?"})
            span.set_outputs("me")
            mlflow.update_current_trace(
                tags={"served": "yes"},
                metadata={"app.version": "1.2", "note": ODD},
                client_request_id="request-0001",
                request_preview="who? (preview)",
                response_preview="me (preview)",
                session_id="session 0",
                user="eve",
            )
        self.client.set_terminated(self.filled.runs["evaluate checkpoint"], end_time=START + 5 * MINUTE)
        self.filled.traces["served"] = span.trace_id

    # Assessments

    def assess(self) -> None:
        """Feedback of judges, code and people, expectations, an error of a judge, one that replaces another."""
        traces, runs = self.filled.traces, self.filled.runs
        for version in ("v1", "v2"):
            for number in range(6):
                trace_id = traces[f"{version} {number}"]
                metadata = {"mlflow.assessment.sourceRunId": runs[f"evaluate {version}"]}
                if (version, number) == ("v2", 4):
                    error = AssessmentError("RATE_LIMIT", f"too many requests {ODD}", "Traceback: …")
                    self.feedback(
                        trace_id,
                        "correctness",
                        f"{version} {number} judge",
                        error=error,
                        source=JUDGE,
                        metadata=metadata,
                    )
                else:
                    self.feedback(
                        trace_id,
                        "correctness",
                        f"{version} {number} judge",
                        value=number % 3 != 0 if version == "v1" else number != 2,
                        source=JUDGE,
                        rationale=f"because of {number}: {ODD}",
                        metadata=metadata,
                    )
                self.feedback(trace_id, "relevance", f"{version} {number} code", value=number / 5, source=CODE)
                mlflow.log_expectation(trace_id=trace_id, name="expected_answer", value=str(2 * number), source=HUMAN)
        first = traces["v1 0"]
        self.feedback(first, "correctness", "human", value=True, source=HUMAN)
        self.feedback(first, "grade", "text", value="very good", source=JUDGE, rationale=ODD)
        self.feedback(first, "safety", "yes", value="yes", source=JUDGE)
        self.feedback(first, "facets", "dict", value={"tone": 3, "facts": [1, 2], "note": ODD}, source=CODE)
        self.feedback(first, "stars", "list", value=[1, 2.5, None], source=HUMAN)
        mlflow.log_expectation(trace_id=first, name="facts", value=["0 + 0 = 0", {"deep": ODD}], source=HUMAN)
        replaced = mlflow.override_feedback(
            trace_id=traces["v1 3"],
            assessment_id=self.filled.assessments["v1 3 judge"],
            value=True,
            rationale="the judge was wrong",
            source=HUMAN,
        )
        self.filled.assessments["override"] = replaced.assessment_id
        spans = mlflow.get_trace(traces["v1 1"]).data.spans
        retrieved = next(span for span in spans if span.name == "retrieve")
        self.feedback(traces["v1 1"], "relevant document", "span", value=False, source=JUDGE, span_id=retrieved.span_id)

    def feedback(self, trace_id: str, name: str, short: str, **more: Any) -> None:
        made = mlflow.log_feedback(trace_id=trace_id, name=name, **more)
        self.filled.assessments[short] = made.assessment_id

    def evaluation_dataset(self) -> None:
        """A dataset with records of questions and of a trace, used by both experiments, and one without records."""
        import mlflow.genai.datasets as datasets

        ids = list(self.filled.experiments.values())
        made = datasets.create_dataset(name="questions", experiment_id=ids, tags={"kind": "small"})
        records = [
            {
                "inputs": {"question": f"What is {number} + {number}?"},
                "expectations": {"expected_answer": str(2 * number)},
                "tags": {"slice": "even" if number % 2 == 0 else "odd"},
            }
            for number in range(4)
        ]
        records.append({"inputs": {"question": ODD, "n": [1, None, {"deep": True}]}, "outputs": {"answer": ODD}})
        records.append(
            {
                "inputs": {"question": "from a trace"},
                "source": {"source_type": "TRACE", "source_data": {"trace_id": self.filled.traces["v1 0"]}},
            }
        )
        made.merge_records(records)
        self.filled.datasets["questions"] = made.dataset_id
        self.filled.datasets["empty"] = datasets.create_dataset(name="empty", experiment_id=ids[1:]).dataset_id

    def issue(self) -> None:
        """An assessment that refers to an issue."""
        made = TracingClient()._create_issue(self.filled.experiments["qa"], "wrong sums", "Sums of two are wrong.")
        mlflow.log_issue(trace_id=self.filled.traces["v1 0"], issue_id=made.issue_id, rationale="two of six")
