"""Experiments are separate tasks: nothing is averaged, ranked or drawn across them unless they are pooled."""

from __future__ import annotations

import shutil
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from qualia_lab import NotebookGenerator, load_runs
from qualia_lab.charts.by_experiment import by_experiment
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.layout import compute_layout
from qualia_lab.charts.marks import Axis, Panel, Points
from qualia_lab.charts.paper_tables import PaperTables
from qualia_lab.runs.message import Message
from tests.stores.empty import new_client

pytestmark = pytest.mark.usefixtures("quick_kernels")

# Experiment → its metric, whether higher is better, and by lr the values of its seeds.
WRITTEN = {
    "churn": ("val_auc", {"0.1": (0.80, 0.82, 0.81), "0.01": (0.70, 0.71, 0.73)}),
    "price": ("val_mse", {"0.1": (420.0, 423.0, 421.0), "0.01": (386.0, 383.0, 386.0)}),
}


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    client = new_client(f"sqlite:///{folder / 'mlflow.db'}")
    start = 1_760_000_000_000
    for name, (metric, by_lr) in WRITTEN.items():
        experiment = client.create_experiment(name, artifact_location=folder.as_uri())
        for lr, values in by_lr.items():
            for seed, value in enumerate(values):
                start += 60_000
                run = client.create_run(experiment, run_name=f"{name}-{lr}-{seed}", start_time=start)
                points = [Metric(metric, value * (1 + 0.1 / (step + 1)), start + step, step) for step in range(4)]
                points.append(Metric(metric, value, start + 4, 4))
                client.log_batch(run.info.run_id, points, [Param("lr", lr), Param("seed", str(seed))])
                client.set_terminated(run.info.run_id, "FINISHED", start + 30_000)
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture(scope="module")
def runs(uri):
    return load_runs(uri, NotebookGenerator(uri).select(order_by=["start_time ASC"]).run_ids)


def test_every_task_has_its_own_objective_and_best_run(runs):
    frame = runs.groups()
    assert frame[["experiment", "metric", "lr"]].to_numpy().tolist() == [
        ["churn", "val_auc", "0.1"], ["churn", "val_auc", "0.01"],
        ["price", "val_mse", "0.01"], ["price", "val_mse", "0.1"],
    ]  # fmt: skip
    assert frame["mean"].tolist() == pytest.approx([0.81, 0.7133333333, 385.0, 421.3333333])
    assert frame["n"].tolist() == [3] * 4
    assert runs.candidates()[["experiment", "metric"]].equals(frame[["experiment", "metric"]])


def test_each_task_has_its_own_baseline(runs):
    frame = runs.compare_to_baseline(baseline={"lr": "0.1"})
    verdicts = frame.set_index(["experiment", frame.index])["verdict"].to_dict()
    assert verdicts[("churn", "lr=0.1")] == verdicts[("price", "lr=0.1")] == "baseline"
    assert verdicts[("churn", "lr=0.01")] == "worse"
    assert verdicts[("price", "lr=0.01")] == "better"
    named = runs.compare_to_baseline(baseline="price-0.01-1")
    assert named.set_index(["experiment", named.index])["verdict"]["price", "lr=0.01"] == "baseline"
    assert (named["verdict"] == "baseline").groupby(named["experiment"]).sum().to_dict() == {"churn": 1, "price": 1}


def test_a_chart_has_separate_panels_per_experiment(runs):
    values = {name: {value for of in by_lr.values() for value in of} for name, (_, by_lr) in WRITTEN.items()}
    chart = runs.plot.groups()
    assert [panel.title for panel in chart.panels] == ["churn", "price"]
    for panel in chart.panels:
        (points,) = [mark for mark in panel.marks if isinstance(mark, Points) and mark.label == "one run"]
        assert set(points.x.tolist()) == values[panel.title]
    for drawn in (
        *(runs.plot.history(), runs.plot.bands(), runs.plot.param("lr"), runs.plot.best_so_far()),
        *(runs.plot.distribution(), runs.plot.parallel()),
    ):
        assert isinstance(drawn, Chart)
        assert [panel.title.split(":")[0] for panel in drawn.panels][:: drawn.columns] == ["churn", "price"]
        assert ET.fromstring(drawn.svg()).get("width") == "960"
        assert drawn.sentence.startswith("churn: ")


def test_experiments_with_more_configurations_have_higher_panels():
    marks = (Points(np.arange(2.0), np.arange(2.0), ("#24292F",)),)
    axis = Axis("", (0, 1))
    many, few = (
        Chart(name, (Panel(axis, axis, marks),), name, height=height) for name, height in (("m", 430), ("f", 180))
    )
    (low, high), (bottom, top) = compute_layout(by_experiment([("many", many), ("few", few)])).y_spans
    assert high == 1.0 and bottom == pytest.approx(0.0) and low > top
    assert (high - low) / (top - bottom) == pytest.approx(300 / 60)


def test_a_comparison_has_a_panel_for_each_metric_that_an_experiment_has(runs):
    """Four metrics side by side, of which each experiment recorded two."""
    chart = runs.plot.comparison(["val_auc", "val_mse", "val_auc", "val_mse"])
    assert [panel.x.label.split(" ")[0] for panel in chart.panels] == ["val_auc"] * 2 + ["val_mse"] * 2
    assert ET.fromstring(chart.svg()).get("width") == "960"
    layout = chart.plotly()["layout"]
    axes = [layout[f"yaxis{number}"].get("matches") for number in ("", 2, 3, 4)]
    assert axes == [None, "y", None, "y3"]  # experiments do not share axes


def test_an_experiment_is_given_by_name_or_id(runs):
    alone = runs.plot.groups(experiment="price")
    assert "val_mse" in alone.title
    assert [panel.title for panel in alone.panels] == [""]
    by_id = runs.study.tasks[1].experiment_id
    assert runs.plot.groups(experiment=by_id).sentence == alone.sentence


def test_tables_of_relations_are_grouped_by_experiment(runs):
    assert runs.relations.importance()["experiment"].tolist() == ["churn"] * 2 + ["price"] * 2
    assert runs.relations.best_so_far()["experiment"].value_counts().to_dict() == {"churn": 6, "price": 6}
    assert isinstance(runs.plot.importance(), Message)
    assert "churn: " in repr(runs.plot.importance())
    assert "price: " in repr(runs.plot.importance())


def test_each_experiment_has_its_own_paper_table(runs):
    table = runs.paper_table()
    assert isinstance(table, PaperTables)
    assert list(table.tables) == ["churn", "price"]
    assert table.latex.count(r"\begin{tabular}") == 2
    assert "% churn" in table.latex
    assert "**price**" in table.markdown
    assert "val_auc" not in runs.paper_table(experiment="price").csv


def test_each_experiment_has_its_own_answer(runs):
    frame = runs.answer()
    assert frame["against the best"].tolist() == ["leads", "told apart"] * 2
    assert frame["experiment"].tolist() == ["churn"] * 2 + ["price"] * 2


def test_experiments_can_be_pooled(runs):
    pooled = runs.with_settings(pool=True, primary_metric="val_auc")
    assert len(pooled.study.tasks) == 1
    assert "experiment" not in pooled.groups().columns
    assert pooled.groups()["runs"].tolist() == [6, 6]


def test_the_overview_has_an_experiment_column(runs):
    assert runs.overview()["experiment"].value_counts().to_dict() == {"churn": 6, "price": 6}


def test_about_lists_the_tasks_and_how_to_pool_them(runs):
    said = repr(runs.about())
    assert "2 experiments are 2 tasks" in said
    assert "POOL = True" in said
    assert "In churn: val_auc is the objective, by its name; higher is better." in said
    assert "In price: val_mse is the objective, by its name; lower is better." in said
    assert "--" not in said  # no command-line flag
    assert "<td" in runs.about()._repr_html_()


def test_an_experiment_without_an_objective_does_not_stop_the_others(uri, tmp_path):
    copy = tmp_path / "mlflow.db"
    shutil.copy(uri.removeprefix("sqlite:///"), copy)
    client = MlflowClient(f"sqlite:///{copy}")
    experiment = client.create_experiment("notes", artifact_location=tmp_path.as_uri())
    for seed in range(2):
        run = client.create_run(experiment)
        client.log_param(run.info.run_id, "seed", seed)
        client.set_terminated(run.info.run_id)
    three = load_runs(f"sqlite:///{copy}", NotebookGenerator(f"sqlite:///{copy}").select().run_ids)
    assert set(three.groups()["experiment"]) == {"churn", "price"}
    assert "notes: No metric of these runs of notes can be an objective." in three.plot.groups().note
    assert three.plot.groups().title.startswith("2 experiments, each by itself")
    one_of_two = three.plot.groups("val_auc")
    assert one_of_two.title == "last val_auc of 2 configurations: runs, mean and 95 % interval"
    assert one_of_two.panels[0].title == "churn"
    assert set(three.compare_to_baseline()["experiment"]) == {"churn", "price"}
    assert set(three.paper_table().tables) == {"churn", "price"}
    assert three.scores().isna().sum() == 2


@pytest.mark.slow
def test_a_notebook_of_two_tasks_runs(uri, tmp_path):
    generator = NotebookGenerator(uri)
    for template in ("observe", "select"):
        generator.create(template=template, output=tmp_path / f"{template}.ipynb", execute=True)


def test_namespaces_list_their_methods(runs):
    assert {"plot", "artifacts", "failures", "relations", "origins", "groups", "study"} <= set(dir(runs))
    assert not [name for name in dir(runs) if name.startswith("_")]
    for name in ("plot", "artifacts", "failures", "relations", "origins"):
        listed = dir(getattr(runs, name))
        assert len(listed) > 3
        assert all(f"runs.{name}.{method}(" in repr(getattr(runs, name)) for method in listed)
        assert all(getattr(runs, name).__class__.__dict__[method].__doc__ for method in listed)
        assert getattr(runs, name)._repr_html_().count("<li>") == len(listed)


def test_with_settings_reads_nothing_again(uri):
    runs = load_runs(uri, NotebookGenerator(uri).select().run_ids)
    before = runs.history("val_auc")
    other = runs.with_settings(statuses=["FINISHED", "RUNNING"])
    other._loaded.store.close()
    assert other.history("val_auc").equals(before)
    assert other.tables is runs.tables
    assert other.study.settings.statuses == ("FINISHED", "RUNNING")
    assert runs.study.settings.statuses is None


def test_experiments_with_the_same_beginning_have_distinct_names_in_messages(uri, tmp_path):
    copy = tmp_path / "mlflow.db"
    shutil.copy(uri.removeprefix("sqlite:///"), copy)
    client = MlflowClient(f"sqlite:///{copy}")
    for end in ("first", "second"):
        client.set_terminated(client.create_run(client.create_experiment("benchmark " * 8 + end)).info.run_id)
    runs = load_runs(f"sqlite:///{copy}", NotebookGenerator(f"sqlite:///{copy}").select().run_ids)
    message, line = runs.plot.groups().note, repr(runs).splitlines()[0]
    assert all(f"{end} can be an objective" in message for end in ("first", "second"))
    assert all(end in line for end in ("first", "second"))
