"""By what a refresh recognizes that the data of runs changed: also traces, feedback, models and aliases."""

from __future__ import annotations

import mlflow
import pytest
from mlflow.entities import AssessmentSource, LoggedModelOutput

from qualia_lab import NotebookGenerator
from qualia_lab.selection import Conditions

from . import servers
from .conftest import running
from .genai_stores import traced_to
from .stores.empty import copy_empty_store, new_client


@pytest.fixture(params=["sqlite", "postgresql", "server"])
def store_uri(request, tmp_path):
    file = tmp_path / "mlflow.db"
    if request.param == "postgresql":
        with running(servers.system_postgresql()) as uri:
            yield uri
        return
    copy_empty_store(file)
    if request.param == "sqlite":
        yield f"sqlite:///{file}"
        return
    with running(servers.mlflow_server(f"sqlite:///{file}", tmp_path)) as uri:
        yield uri


class _Store:
    """A run with a trace, a logged model and two registered versions of it, and what may change later."""

    def __init__(self, uri, folder):
        self.client = new_client(uri)
        self.experiment = self.client.create_experiment("qa", artifact_location=(folder / "artifacts").as_uri())
        self.run = self.client.create_run(self.experiment, run_name="v1").info.run_id
        self.trace_id = self.new_trace()
        model_id = self.new_model()
        location = self.client.get_logged_model(model_id).artifact_location
        self.client.create_registered_model("assistant")
        for _ in range(2):
            self.client.create_model_version("assistant", location, self.run, model_id=model_id)
        self.client.set_registered_model_alias("assistant", "champion", "1")
        self.client.set_terminated(self.run)

    def new_trace(self):
        span = mlflow.start_span_no_context(
            "answer", inputs="q", experiment_id=self.experiment, metadata={"mlflow.sourceRun": self.run}
        )
        span.end(outputs="a")
        return span.trace_id

    def new_feedback(self):
        judge = AssessmentSource("LLM_JUDGE", "judge")
        mlflow.log_feedback(trace_id=self.trace_id, name="correctness", value=True, source=judge)

    def new_model(self):
        model_id = self.client.create_logged_model(self.experiment, "agent", source_run_id=self.run).model_id
        self.client.finalize_logged_model(model_id, "READY")
        self.client.log_outputs(self.run, [LoggedModelOutput(model_id, step=0)])
        return model_id

    def move_alias(self):
        self.client.set_registered_model_alias("assistant", "champion", "2")


def _digest(uri):
    def refuse(*_args, **_more):
        raise AssertionError("spans were read")

    with NotebookGenerator(uri) as generator:
        generator.store.read_spans = refuse
        return generator.digest_of(generator.choose(Conditions.of(experiments=["qa"])))


def test_traces_feedback_models_and_aliases_are_changes(store_uri, tmp_path):
    with traced_to(store_uri):
        store = _Store(store_uri, tmp_path)
        digests = [_digest(store_uri)]
        assert digests[0] == _digest(store_uri)
        for change in (store.new_feedback, store.new_trace, store.move_alias, store.new_model):
            change()
            digests.append(_digest(store_uri))
            assert digests[-1] != digests[-2], change.__name__
    assert digests[-1] == _digest(store_uri)
