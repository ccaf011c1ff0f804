"""Demo runs, read back with MLflow's own client."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient

from qualia_lab.scripts.create_demo_runs import write_story
from qualia_lab.scripts.demo_artifacts import run_files
from qualia_lab.scripts.demo_story import DAY, generate_story
from qualia_lab.stores.writing import find_or_create_experiment, open_for_writing

from .cli.command import DEMO, run_here
from .cli.command import run as run_process
from .stores.empty import copy_empty_store

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The store that the command creates by default in an empty folder."""
    folder = tmp_path_factory.mktemp("demo")
    before = int(time.time() * 1000)
    done = run_process(DEMO, cwd=folder, PYTHONHASHSEED="1")
    assert done.returncode == 0, done.stderr
    return folder, done, before


@pytest.fixture(scope="module")
def client(demo):
    return MlflowClient(f"sqlite:///{demo[0]}/mlflow.db")


@pytest.fixture(scope="module")
def runs(client):
    experiment = client.get_experiment_by_name("churn")
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def files_of(client, run_id, folder=""):
    for found in client.list_artifacts(run_id, folder or None):
        if found.is_dir:
            yield from files_of(client, run_id, found.path)
        else:
            yield found.path


@pytest.mark.parametrize("count", [*range(1, 31), 100])
def test_the_demo_has_the_requested_number_of_runs(count):
    story = generate_story(count)
    statuses = Counter(run.status for run in story)
    assert len(story) == count
    assert len({run.name for run in story}) == count
    assert statuses["FINISHED"] > 0
    assert (statuses["FAILED"] > 0) == (count >= 4)
    assert (statuses["RUNNING"] == 1) == (count >= 6)
    assert len([run for run in story if run.parent is not None]) >= (2 if count >= 5 else 0)
    assert len([run for run in story if any(math.isnan(point.value) for point in run.points)]) == (count >= 3)


def test_times_of_the_demo_are_consistent():
    story = generate_story(200)
    for run in story:
        end = run.end if run.end is not None else 0
        assert -8 * DAY < run.start < end <= 0
        assert all(0 < point.at <= end - run.start for point in run.points)
        if run.parent is not None:
            assert story[run.parent].start < run.start
            assert story[run.parent].end > run.end


def test_a_larger_demo_has_the_same_curves():
    short, long = (
        {run.name: run.points for run in generate_story(count) if run.params.get("model")} for count in (12, 60)
    )
    assert repr([long[name] for name in short]) == repr(list(short.values()))


def test_different_seeds_give_different_demos():
    assert repr(generate_story(24, 1)) == repr(generate_story(24, 1))
    assert repr(generate_story(24, 1)) != repr(generate_story(24, 2))


def test_the_output_says_where_the_runs_are_and_what_to_do_next(demo):
    folder, done, _ = demo
    assert done.stdout == ""
    assert "24 runs in experiment churn of sqlite:///mlflow.db" in done.stderr
    assert "next: create-observation-notebook --experiment churn\n" in done.stderr
    assert "INFO" not in done.stderr
    assert "View run" not in done.stderr
    assert {path.name for path in folder.iterdir()} == {"mlflow.db", "mlruns"}


def test_mlflow_reads_every_kind_of_run(runs):
    assert len(runs) == 24
    assert Counter(run.info.status for run in runs.values()) == {"FINISHED": 21, "FAILED": 2, "RUNNING": 1}
    parent = runs["first-sweep"].info.run_id
    children = [run for run in runs.values() if run.data.tags.get("mlflow.parentRunId") == parent]
    assert len(children) == 6
    assert all(len(run.data.params) >= 3 for run in runs.values())
    assert {run.info.user_id for run in runs.values()} == {"ana", "ben"}
    assert len({run.data.tags["mlflow.source.git.commit"] for run in runs.values()}) == 2
    assert len([run for run in runs.values() if "mlflow.note.content" in run.data.tags]) == 1


def test_several_seeds_of_one_configuration(runs):
    groups = Counter(
        json.dumps({key: value for key, value in run.data.params.items() if key != "seed"}, sort_keys=True)
        for run in runs.values()
        if "model" in run.data.params
    )
    assert list(groups.values()).count(3) >= 5


def test_learning_curves_improve(runs, client):
    run_id = runs["mlp-01-seed0"].info.run_id
    losses = [point.value for point in client.get_metric_history(run_id, "val_loss")]
    assert len(losses) == 30
    assert losses[0] > 0.5 > 0.4 > losses[-1]
    assert 0.8 < runs["mlp-01-seed0"].data.metrics["val_auc"] < 0.9
    overfitted = [point.value for point in client.get_metric_history(runs["mlp-02-seed0"].info.run_id, "val_loss")]
    assert overfitted[-1] > min(overfitted) + 0.1


def test_one_run_diverges_to_nan(runs, client):
    diverged = [run for run in runs.values() if math.isnan(run.data.metrics.get("train_loss", 0.0))]
    assert [run.info.run_name for run in diverged] == ["mlp-lr-too-high"]
    losses = [point.value for point in client.get_metric_history(diverged[0].info.run_id, "train_loss")]
    assert max(value for value in losses if math.isfinite(value)) > 1e6
    assert math.isnan(losses[-1])


def test_failed_runs_record_an_error(runs, client, demo):
    failed = [run for run in runs.values() if run.info.status == "FAILED"]
    for run in failed:
        assert "out of memory" in run.data.tags["error"]
        assert run.data.params["batch_size"] == "4096"
        path = client.download_artifacts(run.info.run_id, "logs/train.log", demo[0])
        assert "out of memory" in Path(path).read_text().splitlines()[-1]


def test_the_running_run_has_no_end_and_a_recent_point(runs, demo):
    (running,) = [run for run in runs.values() if run.info.status == "RUNNING"]
    assert running.info.end_time is None
    assert demo[2] - 10 * 60_000 < running.info.start_time < demo[2] + 60_000
    assert running.inputs.dataset_inputs[0].dataset.digest == "c0ffee02"


def test_artifacts_are_next_to_the_database(runs, client, demo):
    folder, _, _ = demo
    run = runs["gbm-03-seed1"]
    assert set(files_of(client, run.info.run_id)) == {
        "config.json",
        "logs/train.log",
        "model_card.md",
        "plots/confusion_matrix.png",
        "predictions.csv",
    }
    place = folder / "mlruns" / "churn" / run.info.run_id / "artifacts"
    assert (place / "plots/confusion_matrix.png").read_bytes().startswith(PNG)
    assert json.loads((place / "config.json").read_text())["model"] == "gbm"
    assert list(files_of(client, runs["first-sweep"].info.run_id)) == ["config.json", "logs/train.log", "ranking.csv"]


def test_the_data_set_is_logged_as_an_input(runs):
    for run in runs.values():
        (found,) = run.inputs.dataset_inputs
        assert found.dataset.name == "customers"
        assert {tag.key: tag.value for tag in found.tags} == {"mlflow.data.context": "training"}
        assert json.loads(found.dataset.profile)["num_rows"] > 7000


def test_the_experiment_has_a_primary_metric_tag(client):
    tags = client.get_experiment_by_name("churn").tags
    assert tags["mlflow.experiment.primaryMetric.name"] == "val_auc"
    assert tags["mlflow.experiment.primaryMetric.greaterIsBetter"] == "True"


def test_the_same_seed_gives_the_same_content_in_another_process(runs, demo, tmp_path):
    copy_empty_store(tmp_path / "again.db")
    uri = f"sqlite:///{tmp_path}/again.db"
    again = open_for_writing(uri)
    story = generate_story(24)
    run_ids = write_story(again, find_or_create_experiment(again, uri, "churn"), story, now=1_800_000_000_000)
    for run_id, told in zip(run_ids, story, strict=True):
        first, second = runs[told.name], again.get_run(run_id)
        assert second.data.params == first.data.params
        assert repr(sorted(second.data.metrics.items())) == repr(sorted(first.data.metrics.items()))
        assert second.info.start_time == 1_800_000_000_000 + told.start
        for path, content in run_files(told).items():
            assert (demo[0] / "mlruns/churn" / first.info.run_id / "artifacts" / path).read_bytes() == content


def test_an_existing_experiment_keeps_its_tags_and_runs(tmp_path):
    copy_empty_store(tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = open_for_writing(uri)
    tags = {"mlflow.experiment.primaryMetric.name": "loss"}
    experiment_id = client.create_experiment("ours", artifact_location=str(tmp_path / "artifacts"), tags=tags)
    mine = client.create_run(experiment_id).info.run_id
    done = run_here(DEMO, "5", "--experiment", "ours", cwd=tmp_path, MLFLOW_TRACKING_URI=uri)
    assert done.returncode == 0, done.stderr
    assert client.get_experiment(experiment_id).tags["mlflow.experiment.primaryMetric.name"] == "loss"
    assert len(client.search_runs([experiment_id])) == 6
    client.delete_experiment(experiment_id)
    done = run_here(DEMO, "5", "--experiment", "ours", cwd=tmp_path, MLFLOW_TRACKING_URI=uri)
    assert done.returncode == 3
    assert "deleted" in done.stderr
    assert client.get_run(mine).info.status == "RUNNING"


def test_a_file_store_is_written_despite_mlflow_s_warning(tmp_path):
    done = run_here(DEMO, "5", "--tracking-uri", str(tmp_path / "mlruns"), "--experiment", "two  spaces", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"--tracking-uri {tmp_path}/mlruns --experiment $'two\\x20\\x20spaces'" in done.stderr
    assert len(list(tmp_path.glob("mlruns/*/*/artifacts/config.json"))) == 5


@pytest.mark.parametrize(
    ("uri", "exit_code", "said"),
    [
        ("sqlite:///notes.txt", 7, "not a SQLite database"),
        ("sqlite:///notes.txt/mlflow.db", 4, "cannot be written"),
        ("wrong://somewhere", 4, "wrong://somewhere"),
        ("postgresql://me:s3cret-word@127.0.0.1:1/db", 5, "127.0.0.1"),
        ("http://me:s3cret-word@127.0.0.1:1", 5, "127.0.0.1"),
    ],
)
def test_an_invalid_uri_is_reported_quickly_in_one_sentence(tmp_path, uri, exit_code, said):
    (tmp_path / "notes.txt").write_text("just notes, no database")
    before = time.monotonic()
    done = run_here(DEMO, "1", "--tracking-uri", uri, cwd=tmp_path)
    assert done.returncode == exit_code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stderr
    assert time.monotonic() - before < 30
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_help_imports_nothing_heavy(tmp_path):
    code = (
        "import sys\n"
        "from qualia_lab.scripts.create_demo_runs import create_demo_runs\n"
        "create_demo_runs.main(['--help'], standalone_mode=False)\n"
        "print([name for name in ('mlflow', 'numpy', 'pandas', 'pyarrow', 'PIL', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr
    assert "create-demo-runs 100 --seed 7" in done.stdout
