"""Differences between runs, in a real store with models, configuration files and tables."""

from __future__ import annotations

import json

import pytest

from qualia_lab import load_runs
from qualia_lab.errors import UnknownKey, UnknownRun
from qualia_lab.runs import Runs
from qualia_lab.runs.frame_html import frame_html
from qualia_lab.stores.artifact_places import LocalPlace
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.store import SnapshotStore, write_snapshot
from tests.stores.empty import new_client

LIBRARIES = ({"torch": "2.1.0", "numpy": "1.26.4"}, {"torch": "2.2.0", "numpy": "1.26.4"}, {"numpy": "1.26.4"})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of three runs that differ in known ways, and a fourth without artifacts."""
    folder = tmp_path_factory.mktemp("differing")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = new_client(uri)
    experiment = client.create_experiment("differ", artifact_location=(folder / "artifacts").as_uri())
    ids = []
    for index, libraries in enumerate(LIBRARIES):
        tags = {"team": "vision" if index else "<b>text</b>", "mlflow.source.git.diff": "x\n" * index, "stage": "dev"}
        run = client.create_run(experiment, run_name=f"run{index}", tags=tags)
        run_id = run.info.run_id
        pins = "".join(f"{name}=={version}\n" for name, version in libraries.items())
        client.log_text(run_id, pins, "model/requirements.txt")
        client.log_text(run_id, f"python: 3.1{index}.1\n", "model/python_env.yaml")
        config = {"optimizer": {"name": "adam", "lr": 0.1 + index}, "<i>x</i>": index, "same": 1}
        client.log_text(run_id, json.dumps(config), "config.json")
        client.log_text(run_id, f"class,f1\ncat,0.5\ndog,0.{7 + index // 2}\n", "scores.csv")
        client.log_text(run_id, "one\ntwo\n<script>alert(1)</script>\n" + "five\n" * index, "notes.txt")
        client.log_text(run_id, "the same", "same.txt")
        ids.append(run_id)
    ids.append(client.create_run(experiment, run_name="bare").info.run_id)
    return uri, ids


@pytest.fixture
def runs(store):
    return load_runs(*store)


def test_differing_libraries_are_listed_with_versions(runs):
    frame = runs.origins.environments_that_differ()
    assert frame.to_dict("index") == {
        "run0": {"Python": "3.10.1", "torch": "2.1.0"},
        "run1": {"Python": "3.11.1", "torch": "2.2.0"},
        "run2": {"Python": "3.12.1", "torch": ""},
    }
    assert frame.attrs["runs without"] == 1


def test_differing_origins_and_tags_are_listed(runs):
    origins = runs.origins.that_differ()
    assert [text.split(" ")[0] for text in origins["git diff"]] == ["0", "1", "2", ""]
    tags = runs.origins.tags_that_differ()
    assert tags["team"].tolist() == ["<b>text</b>", "vision", "vision", ""]
    assert list(tags.columns) == ["stage", "team"], "MLflow's own are not among them"


def test_differing_artifacts_are_listed_and_compared(runs):
    listed = runs.artifacts.that_differ()
    assert "same.txt" not in listed.index
    assert listed.loc["config.json", ["runs", "versions", "kind"]].tolist() == [3, 3, "json"]
    assert listed.loc["scores.csv", ["runs", "versions", "kind"]].tolist() == [3, 2, "table"]
    assert runs.artifacts.comparable() == ["config.json", "scores.csv"]
    config = runs.artifacts.compare("config.json")
    assert config.loc["optimizer.lr"].tolist() == ["0.1", "1.1", "2.1"]
    assert "same" not in config.index
    two = runs.artifacts.compare("config.json", limit=2)
    assert '<th style="min-width:' in frame_html(runs.artifacts.that_differ())
    assert "<caption><b>config.json (showing 2 of 3 runs)</b></caption>" in frame_html(two)
    scores = runs.artifacts.compare("scores.csv")
    assert scores.loc["row 2 (dog), f1"].tolist() == ["0.7", "0.7", "0.8"]
    assert runs.artifacts.compare("same.txt")["the same as"].tolist() == ["", "run0", "run0"]
    with pytest.raises(UnknownKey, match=r"There is no artifact conf\.json\. Did you mean config\.json\?"):
        runs.artifacts.compare("conf.json")


def test_texts_are_compared_by_line_without_active_content(runs):
    shown = runs.artifacts.difference("notes.txt", "run0", "run2")
    assert repr(shown).splitlines()[0] == "notes.txt: run0 → run2: 0 lines taken out, 2 come in"
    assert repr(shown).splitlines()[-2:] == ["+ five", "+ five"]
    page = shown._repr_html_()
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    structured = repr(runs.artifacts.difference("config.json", "run0", "run1"))
    assert '-     "lr": 0.1,' in structured
    assert "was not read" in repr(runs.artifacts.difference("nowhere", "run0", "run1"))
    with pytest.raises(UnknownRun):
        runs.artifacts.difference("notes.txt", "run0", "nobody")


def test_runs_without_artifacts_give_a_message(store):
    uri, ids = store
    runs = load_runs(uri, ids[3:])
    assert "No run has logged" in repr(runs.origins.environments_that_differ())
    assert "No two runs" in repr(runs.artifacts.that_differ())
    assert runs.artifacts.comparable() == []


def test_libraries_of_mlflow_3_logged_models_are_found(tmp_path):
    client = new_client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    if not hasattr(client, "create_logged_model"):
        pytest.skip("MLflow 2 stores models in the folders of runs")
    experiment = client.create_experiment("models", artifact_location=(tmp_path / "artifacts").as_uri())
    ids = []
    for version in ("1", "2"):
        run_id = client.create_run(experiment).info.run_id
        model = client.create_logged_model(experiment, name="m", source_run_id=run_id)
        (tmp_path / f"{version}").mkdir()
        (tmp_path / f"{version}" / "requirements.txt").write_text(f"torch=={version}")
        client.log_model_artifacts(model.model_id, str(tmp_path / version))
        ids.append(run_id)
    runs = load_runs(f"sqlite:///{tmp_path / 'mlflow.db'}", ids)
    assert runs.origins.environments_that_differ()["torch"].tolist() == ["1", "2"]


def test_artifact_folders_are_compared_in_a_kernel_without_the_store(store, tmp_path):
    uri, ids = store
    source = open_store(uri)
    write_snapshot(tmp_path, source, source.read(ids), source_uri=uri, artifacts_of=ids[:1])
    there = Runs(SnapshotStore(tmp_path), source.read(ids))
    assert there.origins.environments_that_differ().equals(load_runs(uri, ids).origins.environments_that_differ())
    assert there.artifacts.comparable() == ["config.json", "scores.csv"]


def test_each_file_is_read_once_for_that_differ_and_comparable_in_every_study(runs, monkeypatch):
    read = []
    real = LocalPlace.read_bytes
    monkeypatch.setattr(
        LocalPlace, "read_bytes", lambda place, path, limit: read.append(path) or real(place, path, limit)
    )
    assert "config.json" in runs.artifacts.that_differ().index
    assert read.count("config.json") == 3
    assert runs.artifacts.comparable() == ["config.json", "scores.csv"]
    assert read.count("config.json") == 3
    assert runs.with_settings(seeds=[]).artifacts.comparable() == ["config.json", "scores.csv"]
    assert read.count("config.json") == 3
