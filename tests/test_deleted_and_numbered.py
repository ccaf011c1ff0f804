"""Experiments named like another's id, deleted experiments and runs, and copies of folders."""

from __future__ import annotations

import json
import shutil

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from qualia_lab import ArtifactExplorer
from qualia_lab.choosing import Conditions, choose_runs, query_of
from qualia_lab.errors import FilterError, NoRunMatches, SelectionError, UnknownExperiment
from qualia_lab.stores.open import open_store
from tests import servers
from tests.cli.command import QUALIA, run_here
from tests.conftest import running
from tests.stores.empty import new_client


@pytest.fixture(scope="module", params=["sqlite", "files"])
def uri(request, tmp_path_factory):
    """An experiment named like the id of another, a deleted one, and one with a deleted run."""
    folder = tmp_path_factory.mktemp("odd")
    found = f"sqlite:///{folder / 'mlflow.db'}" if request.param == "sqlite" else str(folder / "mlruns")
    client = new_client(found)
    first = client.create_experiment("first", artifact_location=folder.as_uri())
    second = client.create_experiment(first, artifact_location=folder.as_uri())
    gone = client.create_experiment("gone", artifact_location=folder.as_uri())
    for experiment, names in ((first, "ab"), (second, "c"), (gone, "d")):
        for name in names:
            client.log_metric(client.create_run(experiment, run_name=name).info.run_id, "loss", 0.5)
    (deleted,) = client.search_runs([first], "attributes.run_name = 'b'")
    client.delete_run(deleted.info.run_id)
    client.delete_experiment(gone)
    return found


@pytest.fixture
def numbered(uri):
    """The id of one experiment, which is the name of the other."""
    return MlflowClient(uri).get_experiment_by_name("first").experiment_id


def names(uri, *experiments, **words):
    return set(ArtifactExplorer(uri).search_runs(experiments, **words).run_name)


def test_a_name_equal_to_another_experiment_s_id_is_disambiguated(uri, numbered):
    assert names(uri, f"name:{numbered}") == {"c"}
    assert names(uri, f"id:{numbered}") == {"a"}
    with pytest.raises(SelectionError, match="name of one experiment and the id of another") as error:
        names(uri, numbered)
    assert f"name:{numbered}" in error.value.hint
    done = run_here(QUALIA, "runs", "--tracking-uri", uri, "--experiment", f"name:{numbered}", "--json", cwd="/")
    assert [row["run_name"] for row in json.loads(done.stdout)] == ["c"]


def test_a_deleted_experiment_is_reported_as_deleted_not_unknown(uri):
    with pytest.raises(UnknownExperiment, match="The experiment gone is deleted"):
        names(uri, "gone")
    with pytest.raises(UnknownExperiment, match="No experiment is called gome"):
        names(uri, "gome")


@pytest.mark.parametrize(
    ("view", "of_mlflow"), [("active", ViewType.ACTIVE_ONLY), ("deleted", ViewType.DELETED_ONLY), ("all", ViewType.ALL)]
)
def test_views_of_runs_and_experiments_equal_those_of_mlflow(uri, view, of_mlflow):
    client = MlflowClient(uri)
    experiments = client.search_experiments(view_type=of_mlflow)
    assert set(ArtifactExplorer(uri).list_experiments(view=view).name) == {one.name for one in experiments}
    inside = client.search_experiments(view_type=ViewType.ACTIVE_ONLY if view == "active" else ViewType.ALL)
    expected = client.search_runs([one.experiment_id for one in inside], run_view_type=of_mlflow)
    assert names(uri, view=view) == {one.info.run_name for one in expected}


def test_deleted_runs_are_listed_on_the_command_line(uri, tmp_path):
    done = run_here(QUALIA, "runs", "--tracking-uri", uri, "--deleted", "--json", cwd=tmp_path)
    assert {row["run_name"] for row in json.loads(done.stdout)} == {"b", "d"}
    of_first = run_here(
        QUALIA, "runs", "--tracking-uri", uri, "--deleted", "--experiment", "first", "--json", cwd=tmp_path
    )
    assert {row["run_name"] for row in json.loads(of_first.stdout)} == {"b"}
    findings = run_here(QUALIA, "findings", "--tracking-uri", uri, "--deleted", "--json", cwd=tmp_path)
    assert findings.returncode == 0, findings.stderr
    study = run_here(QUALIA, "study", "--tracking-uri", uri, "--deleted", "--experiment", "first", cwd=tmp_path)
    assert study.returncode == 0, study.stderr


def test_a_filter_without_deleted_matches_is_reported(uri):
    store = open_store(uri)
    conditions = Conditions.of(view="deleted", filter="metrics.loss > 5")
    with pytest.raises(NoRunMatches, match="None of the 2 runs matches"):
        choose_runs(store, conditions, query_of(store, conditions))
    store.close()


@pytest.mark.parametrize("copy", ["{} copy", "{}-backup", "77"])
def test_a_copy_of_an_experiments_folder_is_not_counted_twice(tmp_path, copy):
    root = tmp_path / "mlruns"
    client = MlflowClient(str(root))
    experiment = client.create_experiment("churn")
    client.log_metric(client.create_run(experiment, run_name="a").info.run_id, "loss", 0.5)
    shutil.copytree(root / experiment, root / copy.format(experiment))
    frame = ArtifactExplorer(root).list_experiments()
    assert list(frame[frame.name == "churn"].experiment_id) == [experiment]
    assert list(ArtifactExplorer(root).search_runs("churn").run_name) == ["a"]
    (root / experiment).rename(root / "renamed")
    shutil.rmtree(root / copy.format(experiment))
    assert list(ArtifactExplorer(root).search_runs("churn").run_name) == ["a"]


FILTERS = [
    "name = 'first'",
    "name LIKE 'f%'",
    "name ILIKE 'F%'",
    "attribute.name != 'first'",
    "tags.team = 'growth'",
    "tags.team = 'growth' AND name LIKE '%t'",
    "tags.`team` LIKE 'gr%'",
    "tags.team IS NULL",
    "experiment_id IN ('0', '1')",
    "experiment_id = '0'",
    "creation_time > 1000",
    "last_update_time <= 1000",
    "creation_time > 1000 AND tags.team IS NOT NULL",
]


@pytest.fixture(scope="module", params=["sqlite", "files", "snapshot", "server"])
def tagged(request, tmp_path_factory):
    """A store with an experiment with tags, and an MLflow client for the same experiments."""
    folder = tmp_path_factory.mktemp("tagged")
    source = str(folder / "mlruns") if request.param == "files" else f"sqlite:///{folder / 'mlflow.db'}"
    client = new_client(source)
    for name, tags in (("first", {"team": "growth"}), ("second", {"team": "core"}), ("third", {})):
        experiment = client.create_experiment(name, artifact_location=folder.as_uri(), tags=tags)
        client.create_run(experiment)
    client.create_run("0")
    if request.param == "snapshot":
        made = run_here(QUALIA, "snapshot", source, folder / "snap", cwd=folder)
        assert made.returncode == 0, made.stderr
        yield f"snapshot:{folder / 'snap'}", client
    elif request.param == "server":
        with running(servers.mlflow_server(source, folder)) as found:
            yield found, client
    else:
        yield source, client


@pytest.mark.parametrize("text", FILTERS)
def test_experiments_are_filtered_as_by_mlflow(tagged, text):
    uri, client = tagged
    expected = {one.name for one in client.search_experiments(filter_string=text)}
    assert set(ArtifactExplorer(uri).list_experiments(filter=text).name) == expected


@pytest.mark.parametrize(
    "text", ["lifecycle_stage = 'active'", "metrics.loss > 1", "run_name = 'x'", "attribute.nosuch = 1"]
)
def test_unknown_attributes_of_experiments_are_refused(uri, text):
    with pytest.raises(FilterError):
        ArtifactExplorer(uri).list_experiments(filter=text)
