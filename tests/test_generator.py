"""NotebookGenerator: selection of runs, and the files that are written."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import nbformat
import pytest

from qualia_lab import NotebookGenerator, load_runs
from qualia_lab.client import describe_effect_of_opening, mlflow_client
from qualia_lab.errors import (
    EmptyStore,
    FilterError,
    NoRunMatches,
    OutputExists,
    StoreRefused,
    UnknownExperiment,
    UnknownKey,
    UnknownRun,
)
from qualia_lab.notebook.parameters import read_parameters
from qualia_lab.settings import settings_from_arguments
from tests.stores.empty import new_client

pytestmark = pytest.mark.usefixtures("quick_kernels")

HOUR = 3_600_000


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two experiments whose runs have a val_auc of 0.0, 0.1, ... and start an hour apart, the last one now."""
    folder = tmp_path_factory.mktemp("generator")
    client = new_client(f"sqlite:///{folder / 'mlflow.db'}")
    now = int(time.time() * 1000)
    for name, count in (("churn", 6), ("churn-old", 2)):
        experiment = client.create_experiment(name, artifact_location=(folder / "artifacts").as_uri())
        for place in range(count):
            run = client.create_run(experiment, run_name=f"{name} {place}", start_time=now - (count - 1 - place) * HOUR)
            client.log_metric(run.info.run_id, "val_auc", place / 10)
            client.log_metric(run.info.run_id, "odd", place)
            client.log_param(run.info.run_id, "lr", 0.1 * place)
            if name == "churn-old" and place == 0:
                client.log_param(run.info.run_id, "old_only", 1)
                client.log_metric(run.info.run_id, "old_metric", 1)
            client.set_terminated(run.info.run_id, "FAILED" if place == 1 else "FINISHED")
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture
def generator(store):
    return NotebookGenerator(store)


def names(generator, **choice) -> list[str]:
    run_ids = generator.select(**choice).run_ids
    return generator.store.read(run_ids).runs.column("run_name").to_pylist()


def test_all_active_runs_are_selected_by_default_newest_first(generator):
    assert len(names(generator)) == 8
    assert names(generator, experiments=["churn"])[0] == "churn 5"
    assert set(generator.select().experiments) == {"churn", "churn-old"}


def test_experiments_are_selected_by_name_id_or_glob(generator):
    assert len(names(generator, experiments=["churn*"])) == 8
    assert len(names(generator, experiments=["churn"])) == 6
    (id_,) = (row["experiment_id"] for row in generator.read_experiments().to_pylist() if row["name"] == "churn-old")
    assert len(names(generator, experiments=[id_])) == 2


def test_the_best_runs_are_ranked_by_a_metric_in_either_direction(generator):
    assert names(generator, experiments=["churn"], top=2, by="val_auc") == ["churn 5", "churn 4"]
    assert names(generator, experiments=["churn"], top=2, by="val_auc:min") == ["churn 0", "churn 1"]
    selection = generator.select(top=1, by="odd:max")
    assert (selection.query.order_by, selection.query.limit) == (("metrics.odd DESC",), 1)
    with pytest.raises(FilterError, match="odd:max"):
        generator.select(top=1, by="odd")
    with pytest.raises(NoRunMatches, match=r"None of the 3 runs has a metric val_au\. There is val_auc"):
        generator.select(top=3, by="val_au:max")


def test_since_and_status_and_a_filter_must_all_hold(generator):
    assert names(generator, experiments=["churn"], since="90 minutes") == ["churn 5", "churn 4"]
    assert len(names(generator, experiments=["churn"], since="7d")) == 6
    assert names(generator, experiments=["churn"], status=["failed"]) == ["churn 1"]
    both = "metrics.val_auc > 0.4 OR metrics.val_auc < 0.2"
    assert names(generator, experiments=["churn"], filter=both, status=["FAILED", "KILLED"]) == ["churn 1"]
    tomorrow = datetime.fromtimestamp(time.time() + 86_400, UTC).date().isoformat()
    with pytest.raises(NoRunMatches, match="None of the 6 runs"):
        generator.select(experiments=["churn"], since=tomorrow)


def test_a_where_key_is_resolved_and_becomes_part_of_the_filter(generator, monkeypatch):
    selection = generator.select(
        experiments=["churn"], where=["lr>0.15", "odd<5"], status=["finished"], filter="run_name != 'x'"
    )
    assert selection.query.filter == "status = 'FINISHED' AND params.lr > 0.15 AND metrics.odd < 5 AND run_name != 'x'"
    assert names(generator, filter=selection.query.filter) == ["churn 4", "churn 3", "churn 2"]
    with pytest.raises(FilterError, match=r"Did you mean params\.lr\?"):
        generator.select(where=["lrr=0.1"])
    monkeypatch.setattr("qualia_lab.stores.keys.RUNS_SAMPLED", 1)  # look up a key in older runs that the newest lack
    assert names(generator, where=["lr=0", "old_only=1"]) == ["churn-old 0"]
    assert names(generator, where=["old_metric>0"]) == ["churn-old 0"]


def test_a_selection_is_explained_before_it_is_read(generator):
    explained = []
    generator.select(experiments=["churn"], where=["odd>3"], by="val_auc", top=1, explain=explained.append)
    texts = [(part.text, part.runs) for part in explained[0].parts]
    assert texts == [
        ("active runs of 1 experiment", 6),
        ("metrics.odd > 3", 2),
        ("ORDER BY metrics.val_auc DESC", None),
        ("LIMIT 1", None),
    ]


def test_named_runs_keep_their_order_including_missing_ones(generator):
    first, second, *_ = generator.select(experiments=["churn"]).run_ids
    selection = generator.select(run_ids=[second, "f" * 32, first])
    assert selection.run_ids == (second, first, "f" * 32)
    runs = load_runs(selection.tracking_uri, selection.run_ids)
    assert len(runs) == 2
    assert "Missing: run " + "f" * 32 in repr(runs)
    assert "is missing" in repr(runs.show("f" * 32))


@pytest.mark.parametrize(
    ("choice", "error"),
    [
        ({"experiments": ["chrun"]}, UnknownExperiment),
        ({"run_ids": ["f" * 32]}, UnknownRun),
        ({"filter": "metrics.val_auc > 5"}, NoRunMatches),
        ({"experiments": ["Default"]}, NoRunMatches),
        ({"filter": "metrics.val_auc >> 5"}, FilterError),
        ({"since": "yesterday-ish"}, FilterError),
        ({"status": ["DONE"]}, FilterError),
        ({"by": "val_auc", "order_by": ["start_time"]}, FilterError),
    ],
)
def test_an_invalid_selection_is_refused(generator, choice, error):
    with pytest.raises(error):
        generator.select(**choice)


def test_an_empty_store_is_reported(tmp_path):
    new_client(f"sqlite:///{tmp_path / 'mlflow.db'}").search_experiments()
    with pytest.raises(EmptyStore):
        NotebookGenerator(f"sqlite:///{tmp_path / 'mlflow.db'}").select()


def test_the_default_path_is_the_experiment_name_in_notebooks(generator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = generator.create(experiments=["churn"], limit=2, title="Mine: <b>")
    assert path.parent.name == "notebooks"
    assert path.name.startswith("churn_20")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith("# Mine: &#60;b&#62;\n")
    assert len(read_parameters(path)["RUN_IDS"]) == 2
    before = path.read_bytes()
    with pytest.raises(OutputExists):
        generator.create(experiments=["churn"])
    assert path.read_bytes() == before
    generator.create(experiments=["churn"], force=True)
    assert len(read_parameters(path)["RUN_IDS"]) == 6


def test_a_relative_uri_has_the_same_meaning_in_the_notebook_s_folder(store, monkeypatch):
    folder = store.removeprefix("sqlite:///").removesuffix("/mlflow.db")
    monkeypatch.chdir(folder)
    assert NotebookGenerator("sqlite:///mlflow.db").select().tracking_uri == store
    assert NotebookGenerator().select().tracking_uri == store


def test_a_run_deleted_before_execution_is_reported_and_the_rest_continues(store, tmp_path):
    generator = NotebookGenerator(store)
    path = generator.create(experiments=["churn-old"], output=tmp_path / "n.ipynb")
    gone = read_parameters(path)["RUN_IDS"][0]
    text = path.read_text().replace(gone, "e" * 32)
    path.write_text(text)
    NotebookGenerator(store).execute(path)
    notebook = nbformat.read(path, as_version=4)
    said = next(cell for cell in notebook.cells if cell.source.startswith("runs = load_runs"))
    assert f"Missing: run {'e' * 32}" in said.outputs[0]["data"]["text/plain"]
    assert not any(out.output_type == "error" for cell in notebook.cells for out in cell.get("outputs", ()))


def test_the_mlflow_client_is_opened_only_if_that_changes_nothing(store, shared_data, tmp_path):
    assert describe_effect_of_opening(store) is None
    client = mlflow_client(store)
    assert "made on first use" in repr(client)
    assert len(client.search_experiments()) == 3
    assert "open" in repr(client)
    old = tmp_path / "old.sqlite"
    old.write_bytes((shared_data / "stores" / "omegaml" / "mlflow.sqlite").read_bytes())
    before = old.read_bytes()
    with pytest.raises(StoreRefused, match="would migrate the database"):
        mlflow_client(f"sqlite:///{old}").search_experiments()
    assert old.read_bytes() == before
    mlflow_client(f"sqlite:///{old}").allow_changes().search_experiments()
    assert old.read_bytes() != before
    with pytest.raises(StoreRefused, match="writes folders"):
        mlflow_client(str(tmp_path / "mlruns")).search_experiments()


def parameters_of(path):
    values = read_parameters(path)
    return [values[name] for name in ("PRIMARY_METRIC", "GREATER_IS_BETTER", "SEEDS", "BASELINE")]


def test_metric_seeds_and_baseline_are_in_the_parameters_cell(generator, tmp_path):
    (first, *_) = generator.select(experiments=["churn"]).run_ids
    path = generator.create(
        experiments=["churn"],
        by="val_auc",
        metric="val_auc:min",
        seeds=["lr"],
        baseline=first,
        output=tmp_path / "n.ipynb",
    )
    assert parameters_of(path) == ["val_auc", False, ["lr"], first]


def test_the_ranking_metric_is_the_objective_unless_another_is_given(generator):
    def objective(by, metric=None):
        settings = settings_from_arguments(metric=metric)
        return generator.describe(generator.select(experiments=["churn"], by=by, settings=settings), settings).objective

    assert (objective("odd:max").key, objective("odd:max").better) == ("odd", "higher")
    assert objective("odd:max", "val_auc").key == "val_auc"
    assert generator.select(
        by="val_auc", top=1, settings=settings_from_arguments(metric="val_auc:min")
    ).query.order_by == ("metrics.val_auc ASC",)


def test_project_settings_apply_to_selection_and_notebook(generator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.qualia]\nmetric = "odd"\n[tool.qualia.metrics]\nodd = "lower"\n')
    assert names(generator, experiments=["churn"], by="odd", top=1) == ["churn 0"]
    path = generator.create(experiments=["churn"], output=tmp_path / "n.ipynb")
    assert parameters_of(path)[:2] == ["odd", False]


def test_a_metric_that_no_run_has_is_an_error(generator):
    with pytest.raises(UnknownKey, match="Did you mean val_auc"):
        generator.describe(generator.select(experiments=["churn"]), settings_from_arguments(metric="val_auk"))
