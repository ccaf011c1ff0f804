"""The evaluation pipeline, read back with MLflow's own client."""

from __future__ import annotations

import pytest

from qualia_lab.pipeline.evaluate_pipeline import METHODS, QUESTIONS, evaluate_methods, read_documents
from qualia_lab.stores.uri import split_uri
from qualia_lab.stores.writing import find_or_create_experiment, open_for_writing

from .stores.empty import copy_empty_store

EVALUATED = METHODS[::3]  # one of each way of splitting texts


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    copy_empty_store(folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = open_for_writing(uri)
    experiment_id = find_or_create_experiment(client, uri, "search")
    calls = []
    run_ids = evaluate_methods(
        split_uri(uri), client, experiment_id, EVALUATED, advance=lambda done, total: calls.append((done, total))
    )
    assert calls == [(1, 2), (2, 2)]
    return client, experiment_id, run_ids


def test_every_question_has_the_module_that_it_expects():
    modules = {document.module for document in read_documents()}
    assert set(QUESTIONS.values()) <= modules
    assert len(modules) > 300


def test_each_method_is_a_run_with_a_trace_of_each_question(evaluated):
    client, experiment_id, run_ids = evaluated
    runs = [client.get_run(run_id) for run_id in run_ids]
    assert [run.info.run_name for run in runs] == [method.name for method in EVALUATED]
    assert all(run.info.status == "FINISHED" for run in runs)
    traces = client.search_traces(locations=[experiment_id], max_results=100)
    assert len(traces) == len(EVALUATED) * len(QUESTIONS)
    for trace in traces:
        assert trace.info.trace_metadata["mlflow.sourceRun"] in run_ids
        assert {span.span_type for span in trace.data.spans} == {"CHAIN", "RETRIEVER"}


def test_scores_are_those_of_the_answers(evaluated):
    client, experiment_id, run_ids = evaluated
    traces = client.search_traces(locations=[experiment_id], max_results=100)
    for run_id in run_ids:
        right, places = [], []
        for trace in traces:
            if trace.info.trace_metadata["mlflow.sourceRun"] == run_id:
                root = next(span for span in trace.data.spans if span.parent_id is None)
                expected = QUESTIONS[root.inputs["question"]]
                right.append(expected in root.outputs)
                places.append(1 / (root.outputs.index(expected) + 1) if expected in root.outputs else 0)
        metrics = client.get_run(run_id).data.metrics
        assert metrics["found/mean"] == pytest.approx(sum(right) / len(QUESTIONS))
        assert metrics["reciprocal_rank/mean"] == pytest.approx(sum(places) / len(QUESTIONS))
        assert sum(right) > len(QUESTIONS) / 2, "the search finds most of the modules"
