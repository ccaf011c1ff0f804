"""The training pipeline, read back with MLflow's own client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest
from mlflow import MlflowClient

from qualia_lab.pipeline.train_pipeline import SWEEP, Configuration, load_data, run_sweep
from qualia_lab.stores.uri import split_uri
from qualia_lab.stores.writing import find_or_create_experiment, open_for_writing

from .stores.empty import copy_empty_store


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    done = subprocess.run(
        [sys.executable, "-m", "qualia_lab.pipeline.train_pipeline", "--quick"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"},
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture(scope="module")
def client(quick):
    return MlflowClient(f"sqlite:///{quick[0]}/mlflow.db")


@pytest.fixture(scope="module")
def children(client):
    experiment = client.get_experiment_by_name("breast-cancer")
    return client.search_runs([experiment.experiment_id], "tags.mlflow.parentRunId != ''", order_by=["start_time"])


def sweep(uri, experiment, *configurations, epochs=3):
    client = open_for_writing(uri)
    experiment_id = find_or_create_experiment(client, uri, experiment)
    data = load_data("breast-cancer")
    failed = run_sweep(split_uri(uri), experiment_id, data, configurations, epochs=epochs, seeds=1)
    return failed, {run.info.run_name: run for run in client.search_runs([experiment_id])}


def test_the_models_learn(children, client):
    assert len(children) == 6
    for run in children:
        assert run.info.status == "FINISHED"
        assert run.data.metrics["val_accuracy"] > 0.9
        assert run.data.metrics["val_auc"] > 0.95
    slow = next(run for run in children if run.data.params["model"] == "gradient_boosting")
    losses = [point.value for point in client.get_metric_history(slow.info.run_id, "val_loss")]
    assert len(losses) == 10
    assert losses[-1] < losses[0]


def test_the_sweep_has_three_kinds_of_model_and_reports_the_best(children, client):
    assert Counter(run.data.params["model"] for run in children) == {"sgd": 2, "mlp": 2, "gradient_boosting": 2}
    (parent,) = {run.data.tags["mlflow.parentRunId"] for run in children}
    best = max(children, key=lambda run: run.data.metrics["val_auc"])
    parent = client.get_run(parent)
    assert parent.data.tags["best_run_id"] == best.info.run_id
    assert parent.data.metrics["best_val_auc"] == best.data.metrics["val_auc"]


def test_models_figures_and_data_are_logged(children, client, quick):
    for run in children:
        assert {tag.value for found in run.inputs.dataset_inputs for tag in found.tags} == {"training", "validation"}
        assert {found.path for found in client.list_artifacts(run.info.run_id, "plots")} == {
            "plots/confusion_matrix.png",
            "plots/roc.png",
        }
    assert len(list(quick[0].glob("mlruns/breast-cancer/**/MLmodel"))) == 6


def test_only_its_own_warnings_are_shown(quick):
    _, done = quick
    assert done.stdout == ""
    assert "6/6 runs" in done.stderr
    assert "next: create-observation-notebook" in done.stderr
    assert "Warning" not in done.stderr
    assert "INFO" not in done.stderr


def test_the_same_seed_gives_the_same_metrics_in_another_process(children, tmp_path):
    copy_empty_store(tmp_path / "mlflow.db")
    _, again = sweep(f"sqlite:///{tmp_path}/mlflow.db", "again", SWEEP[0], epochs=10)
    [first] = [run for run in children if run.info.run_name == "sgd-01-seed0"]
    assert again["sgd-01-seed0"].data.params["epochs"] == first.data.params["epochs"]
    assert again["sgd-01-seed0"].data.metrics == first.data.metrics


def test_a_failing_run_is_reported_and_the_rest_continues(tmp_path):
    copy_empty_store(tmp_path / "mlflow.db")
    wrong = Configuration("sgd", {"penalty": "no such penalty"})
    failed, runs = sweep(f"sqlite:///{tmp_path}/mlflow.db", "mixed", wrong, SWEEP[0], epochs=1)
    assert len(failed) == 1
    assert failed[0].startswith("sgd-01-seed0: ")
    assert {name: run.info.status for name, run in runs.items()} == {
        "breast-cancer-sweep": "FINISHED",
        "sgd-01-seed0": "FAILED",
        "sgd-02-seed0": "FINISHED",
    }


def test_help_imports_nothing_heavy(tmp_path):
    code = (
        "import sys\n"
        "from qualia_lab.pipeline.train_pipeline import train_pipeline\n"
        "train_pipeline.main(['--help'], standalone_mode=False)\n"
        "print([name for name in ('mlflow', 'numpy', 'pandas', 'sklearn', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr
    assert "--data digits" in done.stdout
