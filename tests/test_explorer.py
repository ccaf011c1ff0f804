"""ArtifactExplorer against MLflow's own client, on a real store."""

import doctest
from datetime import UTC, datetime

import mlflow
import pandas as pd
import pytest

from qualia_lab import ArtifactExplorer
from qualia_lab.errors import FilterError, StoreNotFound, UnknownExperiment, UnknownKey, UnknownRun
from qualia_lab.runs.frames import datetimes
from tests.stores.empty import new_client


@pytest.fixture(scope="module")
def uri(sqlite_sample):
    return f"sqlite:///{sqlite_sample}"


def test_experiments_have_run_counts_and_last_activity(uri, sample_client):
    frame = ArtifactExplorer(uri).list_experiments()
    known = {row.experiment_id: row for row in sample_client.search_experiments()}
    assert set(frame.experiment_id) == set(known)
    for row in frame.itertuples():
        runs = sample_client.search_runs([row.experiment_id])
        assert row.name == known[row.experiment_id].name
        assert row.runs == len(runs)
        times = [time for entry in runs for time in (entry.info.start_time, entry.info.end_time) if time]
        assert (
            row.last_activity == pd.Timestamp(max(times), unit="ms", tz="UTC") if times else pd.isna(row.last_activity)
        )


def test_deleted_experiments_are_listed_on_request(uri):
    assert list(ArtifactExplorer(uri).list_experiments(deleted=True).name) == ["gone"]


@pytest.mark.parametrize(
    ("condition", "order"),
    [
        ("", ()),
        ("metrics.loss < 1", ("metrics.loss ASC",)),
        ("status = 'FAILED'", ()),
        ("params.lr != '1'", ("start_time ASC",)),
    ],
)
def test_runs_equal_those_of_mlflow_search_runs(condition, order, uri, sample_client, monkeypatch):
    frame = ArtifactExplorer(uri).search_runs(["churn", "prices*"], filter=condition, order_by=order)
    ids = [sample_client.get_experiment_by_name(name).experiment_id for name in ("churn", "prices / Ωμέγα")]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sample_client.tracking_uri)
    expected = mlflow.search_runs(ids, filter_string=condition, order_by=list(order))
    assert list(frame.run_id) == list(expected.run_id)
    for column in expected.columns:
        if column.startswith(("params.", "metrics.", "tags.")) or column in (
            "status",
            "start_time",
            "end_time",
            "experiment_id",
        ):
            if column.endswith("_time"):  # in its own unit
                expected[column] = expected[column].dt.as_unit("ms")
            pd.testing.assert_series_equal(frame[column], expected[column], check_dtype=False)
    assert set(expected.columns) <= set(frame.columns)
    assert set(frame.experiment) <= {"churn", "prices / Ωμέγα"}


def test_limit_all_experiments_and_empty_results(uri, sample_client):
    looking = ArtifactExplorer(uri)
    active = [row.experiment_id for row in sample_client.search_experiments()]
    assert len(looking.search_runs()) == len(sample_client.search_runs(active))
    assert len(looking.search_runs(limit=3)) == 3
    assert list(looking.search_runs(filter="params.lr = 'none'").run_id) == []


def test_a_run_is_read_completely(uri, sample_client):
    looking = ArtifactExplorer(uri)
    for name in ("churn", "prices / Ωμέγα"):
        experiment_id = sample_client.get_experiment_by_name(name).experiment_id
        for expected in sample_client.search_runs([experiment_id]):
            run = looking.read_run(expected.info.run_id)
            assert (run.run_name, run.status, run.experiment) == (expected.info.run_name, expected.info.status, name)
            assert run.artifact_uri == expected.info.artifact_uri
            assert run.start_time == datetime.fromtimestamp(expected.info.start_time / 1000, UTC)
            assert dict(run.params) == expected.data.params
            assert dict(run.metrics) == pytest.approx(expected.data.metrics, nan_ok=True)
            assert dict(run.tags) == expected.data.tags
            assert len(run.datasets) == len(expected.inputs.dataset_inputs)
            assert run.problems == ()


def test_parents_children_datasets_and_models_are_read(uri):
    looking = ArtifactExplorer(uri)
    runs = looking.search_runs(["churn"]).set_index("run_name")
    parent = looking.read_run(runs.run_id["sweep"])
    # The first two started in the same millisecond.
    assert set(parent.child_run_ids) == {runs.run_id[f"child {place}"] for place in range(3)}
    assert parent.child_run_ids[2] == runs.run_id["child 2"]
    assert looking.read_run(parent.child_run_ids[1]).parent_run_id == parent.run_id
    (run_id,) = looking.search_runs(["prices*"]).query("run_name == 'with inputs'").run_id
    run = looking.read_run(run_id)
    assert {(row["name"], row["context"]) for row in run.datasets} == {
        ("houses", "training"),
        ("houses", "evaluation"),
        ("unlabelled", None),
    }
    assert {row["name"] for row in run.logged_models} == {"forest", "unfinished"}


def test_a_deleted_run_is_read_and_an_unknown_one_is_an_error(uri, sample_client):
    looking = ArtifactExplorer(uri)
    experiment_id = sample_client.get_experiment_by_name("churn").experiment_id
    (deleted,) = sample_client.search_runs([experiment_id], run_view_type=2)
    assert looking.read_run(deleted.info.run_id).lifecycle_stage == "deleted"
    with pytest.raises(UnknownRun, match="0123"):
        looking.read_run("0123")


def test_artifacts_are_listed_recursively_with_sizes(uri):
    looking = ArtifactExplorer(uri)
    (run_id,) = looking.search_runs(["churn"], filter="params.empty = ''").run_id
    frame = looking.list_artifacts(run_id)
    assert dict(zip(frame.path, frame["size"], strict=True)) == {"empty.txt": 0, "notes/hello there.txt": 6}
    assert list(looking.list_artifacts(looking.search_runs(["churn"], limit=1).run_id[0]).path) == []


def test_invalid_arguments_are_reported(uri, tmp_path, monkeypatch):
    looking = ArtifactExplorer(uri)
    with pytest.raises(UnknownExperiment, match="churn"):
        looking.search_runs(["chrun"])
    with pytest.raises(FilterError):
        looking.search_runs(filter="metrics.loss >")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreNotFound):
        ArtifactExplorer()


def test_a_path_is_accepted_as_tracking_uri_and_the_folder_is_searched(sqlite_sample, tmp_path, monkeypatch):
    assert len(ArtifactExplorer(sqlite_sample).list_experiments()) == 4
    (tmp_path / "mlflow.db").write_bytes(sqlite_sample.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert ArtifactExplorer().tracking_uri == "sqlite:///mlflow.db"


def test_unusual_times_are_tolerated():
    times = datetimes(pd.Series([None, 0, 2**63 - 1, -(2**63), 1_760_000_000_123], dtype="Int64"))
    assert list(times.isna()) == [True, False, True, True, False]
    assert times[4] == pd.Timestamp("2025-10-09T08:53:20.123Z")


def test_every_public_method_has_an_example():
    finder = doctest.DocTestFinder()
    shown = {test.name for test in finder.find(ArtifactExplorer, "ArtifactExplorer") if test.examples}
    methods = {"list_experiments", "search_runs", "read_run", "list_artifacts"}
    assert {f"ArtifactExplorer.{name}" for name in methods} <= shown


def test_an_unknown_key_is_reported_with_a_suggestion(tmp_path):
    client = new_client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run_id = client.create_run("0").info.run_id
    client.log_param(run_id, "lr", 0.1)
    client.log_metric(run_id, "val_auc", 0.9)
    run = ArtifactExplorer(f"sqlite:///{tmp_path / 'mlflow.db'}").read_run(run_id)
    with pytest.raises(UnknownKey, match=r"There is no metric val_auk. Did you mean val_auc\?"):
        run.metrics["val_auk"]
    with pytest.raises(KeyError):
        run.params["learning_rate"]
    assert (run.params["lr"], run.params.get("nothing"), dict(run.metrics)) == ("0.1", None, {"val_auc": 0.9})
