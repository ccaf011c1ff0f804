"""`runs.models` on the stores of the tests of MLflow 3, whose content is known."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from qualia_lab import NotebookGenerator, load_runs
from qualia_lab.runs.evaluated import evaluations_in, models_of_runs, traces_of_runs
from qualia_lab.scripts.genai_story import VERSIONS


@pytest.fixture(scope="module")
def ids(genai_sample):
    return json.loads((genai_sample / "ids.json").read_text())


@pytest.fixture(scope="module")
def trained(genai_sample, ids):
    run_ids = [ids["runs"]["train"], ids["runs"]["retrain"]]
    return load_runs(f"sqlite:///{genai_sample / 'mlflow.db'}", run_ids, primary_metric="accuracy").models


@pytest.fixture(scope="module")
def assistant(genai_demo):
    uri = f"sqlite:///{genai_demo}"
    with NotebookGenerator(uri) as generator:
        return load_runs(uri, generator.select(experiments=["docs-assistant"]).run_ids)


def test_models_of_one_name_stay_apart_with_their_steps_and_versions(trained, ids):
    table = trained.table().set_index("model_id")
    assert set(table.index) == {ids["models"][name] for name in ("step 10", "step 20", "step 30", "pending", "failed")}
    assert table.loc[[ids["models"][f"step {step}"] for step in (10, 20, 30)], "step"].tolist() == [10, 20, 30]
    assert table.loc[ids["models"]["step 10"], "registered as"] == "classifier v1 @champion"
    assert table.loc[ids["models"]["failed"], "status"] == "failed"
    assert trained.table().index.is_unique


def test_the_best_model_is_named_for_each_dataset_by_itself(trained, ids):
    best = trained.best()
    accuracy = best.loc["accuracy"].set_index("dataset")
    names = {row["model_id"]: name for name, row in trained.table().iterrows()}
    assert accuracy.loc["valid (aaaa1111)", "best model"] == names[ids["models"]["step 30"]]
    assert accuracy.loc["test (bbbb2222)", "best model"] == names[ids["models"]["step 10"]]
    assert accuracy.loc["test (bbbb2222)", "value"] == 0.69
    assert best.loc["calibration", "models"] == 2, "the one with NaN is not counted"
    assert pd.isna(best.loc["calibration", "best model"]), "what is better is not known"
    assert best.loc["calibration", "better"] == "unknown"


def test_the_registry_names_the_rank_of_its_champion(assistant):
    registered = assistant.models.registered()
    champion = registered[registered["alias"] == "champion"].iloc[0]
    assert (champion["version"], champion["model"]) == (2, "medium-prompt1")
    scores = {version.name: None for version in VERSIONS}
    of_judge = assistant.evaluations.scores().query("scorer == 'correctness'")["mean"]
    rank = 1 + (of_judge > of_judge["medium-prompt1"]).sum()
    assert f"{rank} of {len(scores)} by correctness/mean" in champion["rank"]
    assert sorted(registered["version"]) == [1, 2, 3]


def test_stages_and_versions_from_runs_are_listed(trained):
    registered = trained.registered()
    assert set(registered.index) == {"classifier"}, "a version from elsewhere is not of these runs"
    assert set(registered["alias"].dropna()) == {"champion", "challenger", "Staging"}


def test_saved_steps_compare_with_the_best_point_of_the_history(trained):
    saved = trained.saved()
    assert saved.loc["train", "saved at"] == "10, 20, 30"
    assert saved.loc["train", "metric"] == "accuracy (valid)"


def test_runs_without_models_say_so(genai_sample, ids):
    run_ids = [ids["runs"][name] for name in ids["runs"] if "train" not in name and "checkpoint" not in name][:1]
    models = load_runs(f"sqlite:///{genai_sample / 'mlflow.db'}", run_ids).models
    for method in ("best", "saved", "table"):
        assert "No run created or lists a logged model" in repr(getattr(models, method)()), method
    assert "No version of a registered model" in repr(models.registered())


def test_findings_of_models_and_evaluations_are_made_from_what_the_runs_have(assistant):
    findings = assistant.findings()
    rules = set(findings["rule"])
    assert {"champion_not_best", "judge_always_same"} <= rules
    champion = findings[findings["rule"] == "champion_not_best"].iloc[0]["sentence"]
    assert "medium-prompt1" in champion and "champion" in champion
    slices = findings[findings["rule"] == "judge_always_same"].iloc[0]
    assert slices["trace_ids"], "it can be traced"


def test_the_headline_says_which_version_leads_over_its_rows(assistant):
    said = repr(assistant.headline())
    assert "large-prompt2 has the best mean correctness, 0." in said
    assert "it is better than small-prompt2" in said


def test_other_settings_read_neither_models_nor_traces_again(assistant):
    other = assistant.with_settings(seeds=[])
    for read in (models_of_runs, traces_of_runs, evaluations_in):
        assert read(other._loaded) is read(assistant._loaded)
