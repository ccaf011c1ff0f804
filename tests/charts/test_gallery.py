"""Galleries of pictures of several runs, logged with MLflow's client."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from qualia_lab import load_runs
from qualia_lab.notebook.clean import clean_html
from tests.stores.empty import new_client

RUNS = 27


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Runs with a picture logged at seven steps (the first three runs), and one with a path (all runs)."""
    folder = tmp_path_factory.mktemp("pictures")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = new_client(uri)
    experiment = client.create_experiment("pictures", artifact_location=(folder / "artifacts").as_uri())
    ids = []
    for index in range(RUNS):
        run_id = client.create_run(experiment, run_name=f"<i>{index}</i>").info.run_id
        client.log_metric(run_id, "val_acc", index / 100)
        client.log_image(run_id, np.full((4, 4, 3), index, np.uint8), artifact_file="plots/<b>.png")
        if index < 3:
            for step in range(7):
                picture = np.full((2, 2, 3), 30 * step + index, np.uint8)
                client.log_image(run_id, picture, key="val/samples", step=step, synchronous=True)
        ids.append(run_id)
    return uri, ids


def pictures(page) -> list[str]:
    return re.findall(r'<img src="data:image/png;base64,([A-Za-z0-9+/=]+)"', page)


def test_a_picture_logged_at_several_steps_is_a_table_of_runs_and_steps(store):
    uri, ids = store
    gallery = load_runs(uri, ids[:3]).artifacts.images("val/samples")
    page = clean_html(gallery._repr_html_())
    assert re.findall(r"<th>step (\d+)</th>", page) == ["0", "2", "3", "4", "6"]
    assert len(pictures(page)) == 15
    assert "showing 5 of 7 steps" in page
    client = MlflowClient(uri)
    (path,) = (
        file.path for file in client.list_artifacts(ids[1], "images") if re.search(r"[+%]step[+%]6[+%].*png", file.path)
    )
    logged = Path(client.download_artifacts(ids[1], path)).read_bytes()
    assert base64.b64encode(logged).decode() in pictures(page)


def test_pictures_numbered_in_their_paths_are_in_that_order(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = new_client(uri)
    experiment = client.create_experiment("ordered", artifact_location=(tmp_path / "artifacts").as_uri())
    ids = [client.create_run(experiment, run_name=f"run-{index}").info.run_id for index in range(2)]
    for run_id in ids:
        for number in (1, 2, 10):
            client.log_image(run_id, np.full((4, 4, 3), number, np.uint8), artifact_file=f"samples/epoch_{number}.png")
        client.log_image(run_id, np.zeros((4, 4, 3), np.uint8), artifact_file="cm2.png")
    artifacts = load_runs(uri, ids).artifacts
    assert [one.title for one in artifacts.images().comparisons] == ["cm2.png", "samples/epoch_*.png"]
    page = artifacts.images("samples/epoch_*.png")._repr_html_()
    assert re.findall(r"<th>(picture \d+)</th>", page) == ["picture 1", "picture 2", "picture 10"]
    assert len(pictures(page)) == 6
    assert len(pictures(artifacts.images("samples/epoch_2.png")._repr_html_())) == 2
    with pytest.raises(KeyError, match="There is no picture"):
        artifacts.images("cm*.png")


def test_the_best_of_many_runs_are_shown_and_their_names_are_escaped(store):
    uri, ids = store
    gallery = load_runs(uri, ids).artifacts.images("plots/<b>.png")
    page = gallery._repr_html_()
    assert len(pictures(page)) == 24
    assert "showing 24 of 27 runs, best val_acc first" in page
    assert re.findall(r"&lt;i&gt;(\d+)&lt;/i&gt;<br>", page) == [str(index) for index in range(RUNS - 1, 2, -1)]
    assert "<i>" not in page
    assert "plots/&lt;b&gt;.png" in page


def test_the_pictures_that_most_runs_have_are_shown_by_default(store):
    uri, ids = store
    assert [comparison.title for comparison in load_runs(uri, ids[:3]).artifacts.images().comparisons] == [
        "plots/<b>.png",
        "val/samples",
    ]
    assert len(load_runs(uri, ids[:1]).artifacts.images().comparisons) == 2
    with pytest.raises(KeyError, match="There is no picture nothing"):
        load_runs(uri, ids[:1]).artifacts.images("nothing")
