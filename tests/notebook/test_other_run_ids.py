"""Generated cells with other RUN_IDS than they were made for, and execution of notebooks with edited parameters."""

from __future__ import annotations

import shutil

import nbformat
import pytest
from mlflow.entities import Metric, Param
from nbformat.v4 import new_code_cell, new_notebook

from qualia_lab import NotebookGenerator
from qualia_lab.errors import NotebookError, OutputExists
from qualia_lab.notebook.template import template_names
from tests.stores.empty import new_client

from .cells import run_cells

pytestmark = pytest.mark.usefixtures("quick_kernels")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Experiments: `churn` with params, tags and curves, `prices` with others, `bare` without any; and their run ids."""
    folder = tmp_path_factory.mktemp("other run ids")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = new_client(uri)
    ids = {}
    for name, count in (("churn", 28), ("prices", 3), ("bare", 2)):
        experiment = client.create_experiment(name, artifact_location=(folder / "artifacts").as_uri())
        ids[name] = []
        for place in range(count):
            run_id = client.create_run(experiment, run_name=f"{name} {place}").info.run_id
            metrics, params = [], []
            if name == "churn":
                steps = [(key, step) for key in ("val_auc", "train_auc", "fit_time") for step in range(3)]
                metrics = [Metric(key, place / 30 + step / 100, 1000 + step, step) for key, step in steps]
                metrics.append(Metric("system/cpu_utilization_percentage", 50.0, 1000, 0))
                params = [
                    Param("lr", str(place % 7 / 10)),
                    Param("depth", str(place % 5)),
                    Param("seed", str(place % 2)),
                ]
                client.set_tag(run_id, "mlflow.source.git.commit", f"{place % 2:040x}")
            elif name == "prices":
                metrics, params = [Metric("rmse", place / 3, 1000, 0)], [Param("trees", str(place))]
            client.log_batch(run_id, metrics=metrics, params=params)
            client.set_terminated(run_id, "FAILED" if name == "churn" and place % 9 == 0 else "FINISHED")
            ids[name].append(run_id)
    return uri, ids


@pytest.mark.parametrize("template", sorted(set(template_names()) - {"aggregate", "traces"}))
def test_every_cell_of_every_template_works_with_other_run_ids(template, store, capsys):
    uri, ids = store
    generator = NotebookGenerator(uri)
    plan = generator.plan(generator.select(experiments=["churn"]), template=template)
    cases = {
        "other": ids["prices"], "one": ids["churn"][:1], "one bare": ids["bare"][:1], "none": [],
        "missing": ["f" * 32], "several": [*ids["churn"][:2], *ids["prices"], *ids["bare"]],
    }  # fmt: skip
    for what, run_ids in cases.items():
        outputs = run_cells(plan, run_ids)
        loaded = outputs["loading"]
        assert ("val_auc" in loaded) == ("churn" not in loaded), what
        assert ("Missing" in loaded) == (what == "missing")
        for key, output in outputs.items():
            if key.startswith("run:") and what in ("other", "one bare", "none", "missing"):
                assert "is not among the loaded runs" in output


# --- executed with an edited cell ---------------------------------------------------------------------------------


def notebook_of(path, parameters, *sources, injected=None):
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(injected, metadata={"tags": ["injected-parameters"]})] if injected else []
    cells += [new_code_cell(source) for source in ("from qualia_lab import load_runs", *sources)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def printed(path):
    cells = nbformat.read(path, 4).cells
    return "".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", ()))


@pytest.mark.slow
def test_injected_runs_come_from_the_snapshot_and_other_runs_from_the_store(store, tmp_path):
    uri, ids = store
    path = notebook_of(
        tmp_path / "n.ipynb",
        f"TRACKING_URI: str = {uri!r}\nRUN_IDS: list[str] = {ids['churn'][:2]!r}",
        "runs = load_runs(TRACKING_URI, RUN_IDS)\nprint(len(runs), runs.tables.runs['run_name'][0], runs._loaded.store.uri)",
        f"more = load_runs(TRACKING_URI, {ids['bare'] + ['e' * 32]!r})\nprint(more)",
        injected=f"RUN_IDS = {ids['prices'][:1]!r}",
    )
    NotebookGenerator(uri).execute(path)
    text = printed(path)
    assert "1 prices 0 snapshot:" in text
    assert "2 runs of 1 experiment: bare" in text
    assert "snapshot:" not in text.split("2 runs of")[1]
    assert "Missing: run " + "e" * 32 in text
    assert text.count("Missing") == 1


@pytest.mark.slow
def test_runs_of_a_moved_store_are_loaded_under_its_old_uri(store, tmp_path):
    uri, ids = store
    shutil.copy(uri.removeprefix("sqlite:///"), tmp_path / "moved.db")
    source = f"print(len(load_runs(TRACKING_URI, RUN_IDS)), len(load_runs(TRACKING_URI, {ids['bare']!r})))"
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / "n.ipynb"
    notebook_of(path, f"TRACKING_URI = 'sqlite:///gone.db'\nRUN_IDS = {ids['churn'][:3]!r}", source)
    NotebookGenerator(f"sqlite:///{tmp_path / 'moved.db'}").execute(path)
    assert printed(path) == "3 2\n"


def test_a_parameters_cell_without_literals_is_rejected_before_anything_runs(store, tmp_path):
    uri, ids = store
    path = notebook_of(tmp_path / "n.ipynb", f"TRACKING_URI = {uri!r}\nRUN_IDS = sorted({ids['churn']!r})", "print(1)")
    before = path.read_bytes()
    with pytest.raises(NotebookError, match="sets RUN_IDS by an expression that is not a literal"):
        NotebookGenerator(uri).execute(path)
    assert path.read_bytes() == before


def test_a_relative_tracking_uri_is_relative_to_the_notebook(tmp_path):
    from qualia_lab.cli.execute import tracking_uri_of

    path = notebook_of(tmp_path / "n.ipynb", "TRACKING_URI = 'sqlite:///mlflow.db'")
    assert tracking_uri_of(path) == f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_the_old_notebook_and_page_are_kept_until_the_new_ones_are_complete(store, tmp_path):
    uri, _ = store
    generator = NotebookGenerator(uri)
    plan = generator.plan(generator.select(experiments=["bare"]))
    path, page = tmp_path / "n.ipynb", tmp_path / "n.html"
    for file in (path, page):
        file.write_text("old")

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.make(plan, path, force=True, formats=["html"], on_cell=interrupt)
    assert (path.read_text(), page.read_text()) == ("old", "old")
    with pytest.raises(OutputExists):
        generator.make(plan, path, formats=["html"])
    assert sorted(tmp_path.iterdir()) == [page, path]
