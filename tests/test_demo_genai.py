"""The store of `create-demo-runs --genai`, read back with MLflow's own client."""

from __future__ import annotations

import shutil
from collections import Counter

import mlflow
import pytest
from mlflow import MlflowClient

from qualia_lab.scripts.genai_questions import QUESTIONS
from qualia_lab.scripts.genai_story import IN_USE, VERSIONS, generate_genai_story
from qualia_lab.scripts.genai_writing import DATASET, NAME

from .cli.command import DEMO, run_here


@pytest.fixture(scope="module")
def client(genai_demo, tmp_path_factory):
    copy = shutil.copy(genai_demo, tmp_path_factory.mktemp("genai") / "mlflow.db")
    return MlflowClient(f"sqlite:///{copy}")


@pytest.fixture(scope="module")
def experiment_id(client):
    return client.get_experiment_by_name("docs-assistant").experiment_id


@pytest.fixture(scope="module")
def traces(client, experiment_id):
    return client.search_traces(locations=[experiment_id], max_results=480, include_spans=False)


def right(story, version, *, topic=None):
    return [
        one.value
        for answer in story
        if answer.evaluated and answer.version == version and topic in (None, answer.question.topic)
        for one in answer.judgements
        if one.source == "CODE"
    ]


def test_the_same_seed_gives_the_same_story():
    assert generate_genai_story(3) == generate_genai_story(3)
    assert generate_genai_story(3) != generate_genai_story(4)


def test_every_version_answers_every_question_and_no_two_questions_are_equal():
    story = generate_genai_story()
    for version in range(len(VERSIONS)):
        asked = [one.question for one in story if one.evaluated and one.version == version]
        assert asked == list(QUESTIONS)
    assert len({question.text for question in QUESTIONS}) == 60
    assert all(question.answer != question.wrong for question in QUESTIONS)


@pytest.mark.parametrize("seed", range(5))
def test_the_second_prompt_is_better_but_not_on_prices(seed):
    story, means = generate_genai_story(seed), {}
    for topic in (None, "prices"):
        for prompt in (1, 2):
            answers = [
                value
                for index, version in enumerate(VERSIONS)
                if version.prompt == prompt
                for value in right(story, index, topic=topic)
            ]
            means[topic, prompt] = sum(answers) / len(answers)
    assert means["prices", 2] < means["prices", 1] - 0.1
    others = [
        sum(value for index in indices for topic in topics for value in right(story, index, topic=topic))
        for indices in ((0, 2, 4), (1, 3, 5))
        for topics in [{question.topic for question in QUESTIONS} - {"prices"}]
    ]
    assert others[1] > others[0]


def test_spans_lie_within_their_trace():
    for answer in generate_genai_story():
        root, *steps = answer.steps
        assert all(root.start <= step.start <= step.end <= root.end for step in steps)
        assert answer.start + root.end <= 6 * 60_000, "nothing ends much later than the time of writing"


def test_the_output_says_what_was_written_and_what_to_do_next(genai_demo):
    said = (genai_demo.parent / "output.txt").read_text()
    assert "480 traces, 6 evaluation runs and 6 models in experiment docs-assistant of sqlite:///" in said
    where = f"--tracking-uri sqlite:///{genai_demo}"
    assert f"next: create-observation-notebook {where} --experiment docs-assistant --template evaluate" in said


def test_the_traces_of_each_evaluation_belong_to_its_run(client, experiment_id, traces):
    runs = client.search_runs([experiment_id])
    assert {run.info.run_name for run in runs} == {version.name for version in VERSIONS}
    sources = Counter(trace.info.trace_metadata.get("mlflow.sourceRun") for trace in traces)
    assert sources == {**{run.info.run_id: 60 for run in runs}, None: 120}
    assert all(run.data.tags["mlflow.runType"] == "genai_evaluate" for run in runs)


def test_judgements_agree_with_the_story(client, traces):
    story = generate_genai_story()
    said = Counter(
        (one.name, one.source.source_type, getattr(one, "feedback", None) and one.feedback.value)
        for trace in traces
        for one in trace.info.assessments
        if one.name != "expected_response"
    )
    written = Counter((one.name, one.source, one.value) for answer in story for one in answer.judgements)
    assert said == written
    assert said["relevance", "LLM_JUDGE", True] and not said["relevance", "LLM_JUDGE", False]
    assert said["correctness", "LLM_JUDGE", None], "a judge failed"


def test_errors_have_their_message_and_tokens_their_cost(client, experiment_id, traces):
    failed = client.search_traces(locations=[experiment_id], filter_string="status = 'ERROR'", max_results=100)
    assert len(failed) == sum(answer.failed for answer in generate_genai_story())
    for trace in failed:
        root = trace.data.spans[0]
        assert root.status.description and root.events[0].attributes["exception.message"] == root.status.description
    assert all(trace.info.token_usage and trace.info.cost for trace in traces if trace.info.state == "OK")


def test_three_versions_are_registered_and_the_champion_is_not_the_newest(client):
    versions = sorted(client.search_model_versions(f"name = '{NAME}'"), key=lambda one: int(one.version))
    names = [client.get_logged_model(one.source.removeprefix("models:/")).name for one in versions]
    assert names == [VERSIONS[index].name for index in (0, *IN_USE)]
    assert client.get_model_version_by_alias(NAME, "champion").version == 2


def test_the_questions_are_an_evaluation_dataset(client, experiment_id):
    (dataset,) = client.search_datasets(experiment_ids=[experiment_id])
    assert dataset.name == DATASET
    mlflow.set_tracking_uri(client.tracking_uri)  # records are read from MLflow's default store
    records = client.get_dataset(dataset.dataset_id).records
    assert {one.inputs["question"]: one.expectations["expected_response"] for one in records} == {
        question.text: question.answer for question in QUESTIONS
    }


def test_a_number_of_runs_makes_no_sense_with_genai(tmp_path):
    done = run_here(DEMO, "5", "--genai", cwd=tmp_path)
    assert done.returncode != 0
    assert "--genai writes one story, not 5 runs." in done.stderr
    assert not list(tmp_path.iterdir())
