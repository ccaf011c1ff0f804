"""`Runs`: DataFrames agree with MLflow's client, and cards show text literally."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest

from qualia_lab import NotebookGenerator, load_runs
from qualia_lab.errors import UnknownRun
from tests.stores.empty import new_client


@pytest.fixture(scope="module")
def sample(sqlite_sample, sample_client):
    """The runs of the sample's experiment churn, and MLflow's client on a copy of it."""
    selection = NotebookGenerator(f"sqlite:///{sqlite_sample}").select(experiments=["churn"])
    return load_runs(selection.tracking_uri, selection.run_ids), sample_client


def run_named(runs, name):
    rows = runs.tables.runs.to_pylist()
    return next(row["run_id"] for row in rows if row["run_name"] == name)


def test_params_are_numbers_if_all_values_are_else_text(sample):
    runs, client = sample
    assert runs.params["depth"].dtype == "Int64"
    assert runs.params["lr"].dtype == "float64"
    assert sorted(runs.params["lr"].dropna()) == [0.001, 0.01, 0.1, 0.5, 100]
    logged = client.get_run(run_named(runs, "child 2")).data.params
    assert runs.params.loc["child 2", "lr"] == float(logged["lr"])
    assert runs.params["number"].dropna().tolist() == ["1e400"]  # out of range for a float


def test_metrics_are_the_latest_values_of_the_mlflow_client(sample):
    runs, client = sample
    for run_id, label in zip(runs, runs.metrics.index, strict=True):
        theirs = client.get_run(run_id).data.metrics
        ours = runs.metrics.loc[label]
        for key, value in theirs.items():
            assert ours[key] == value or (math.isnan(ours[key]) and math.isnan(value))
        assert ours.drop(list(theirs)).isna().all()


def test_history_has_every_point_sorted_by_run_and_step(sample):
    runs, client = sample
    run_id = run_named(runs, "child 1")
    history = runs.history("loss")
    ours = history[history["run_id"] == run_id]
    theirs = client.get_metric_history(run_id, "loss")
    assert list(ours["value"]) == [point.value for point in theirs]
    assert list(ours["step"]) == [point.step for point in theirs]
    assert set(ours["run"]) == {"child 1"}
    assert str(ours["timestamp"].dt.tz) == "UTC"
    assert set(runs.history(["loss", "val/auc"])["key"]) == {"loss", "val/auc"}
    assert len(runs.history()) > len(history)


def test_the_overview_has_a_row_per_run_and_the_requested_columns(sample):
    runs, _ = sample
    overview = runs.overview(metrics=["loss"], params=["lr", "depth"])
    assert len(overview) == len(runs)
    assert overview["run_id"].tolist() == list(runs)
    assert {"status", "start (UTC)", "duration (s)", "loss", "lr", "depth"} <= set(overview.columns)
    assert overview.loc["failed", "status"] == "✗ failed"
    assert pd.isna(overview.loc["running", "duration (s)"])
    assert overview.loc["empty", "duration (s)"] == 60.0


def test_params_that_differ_has_no_constant_params(tmp_path):
    client = new_client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("few", artifact_location=str(tmp_path))
    ids = []
    for seed in range(3):
        run = client.create_run(experiment, run_name="same name")
        for key, value in (("lr", "0.1"), ("seed", str(seed)), ("depth", "3")):
            client.log_param(run.info.run_id, key, value)
        client.log_metric(run.info.run_id, "accuracy", 0.8 + seed / 100)
        ids.append(run.info.run_id)
    runs = load_runs(f"sqlite:///{tmp_path / 'mlflow.db'}", ids)
    assert runs.params_that_differ().columns.tolist() == ["seed"]
    groups = runs.groups("accuracy")
    assert groups[["runs", "n"]].to_numpy().tolist() == [[3, 3]]
    assert groups["mean accuracy"][0] == pytest.approx(0.81)
    assert runs.params.index.is_unique  # three runs with the same name have distinct labels
    assert runs.study.objective.better == "higher"
    with pytest.raises(UnknownRun, match="the name of 3 runs"):
        runs.artifacts.list("same name")


def test_a_run_card_shows_the_run_and_its_files_literally(sample):
    runs, _ = sample
    name = "naïve 'run' \"Ωμέγα\" 🐙 100%"
    card = runs.show(run_named(runs, name))
    page = card._repr_html_()
    assert "notes/hello there.txt" in page
    assert "<pre>hello</pre>" in page
    assert "<b>second</b>" not in page
    assert "showing 400 of 5,000 characters" in page
    assert name in repr(card)
    assert repr(runs.show(name)) == repr(card)
    assert "is not among the loaded runs" in repr(runs.show("nobody"))


def test_a_folded_card_shows_status_and_contains_the_full_card(sample):
    runs, _ = sample
    name = "naïve 'run' \"Ωμέγα\" 🐙 100%"
    opened, folded = runs.show(name)._repr_html_(), runs.show(name, folded=True)._repr_html_()
    assert opened.startswith("<details open><summary>")
    assert folded == opened.replace("<details open>", "<details>", 1)
    assert folded.endswith("</details>")
    (said,) = re.findall(r"^<details><summary>(.*?)</summary>", folded)
    assert "✓ finished" in said
    assert runs.show(name).summary() in repr(runs.show(name))


def test_artifacts_are_listed_with_their_sizes(sample):
    runs, _ = sample
    listed = runs.artifacts.list("naïve 'run' \"Ωμέγα\" 🐙 100%")
    assert listed.to_numpy().tolist() == [["empty.txt", 0], ["notes/hello there.txt", 6]]


def test_the_summary_says_what_was_loaded(sample):
    runs, _ = sample
    first, second = repr(runs).splitlines()[:2]
    assert first == f"{len(runs)} runs of 1 experiment: churn"
    assert "metrics" in second
    assert "<li>" in runs._repr_html_()
