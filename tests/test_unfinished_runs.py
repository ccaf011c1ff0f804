"""Unfinished runs are left out of means unless requested, and every mean is shown with what is left out."""

from __future__ import annotations

import math

import pytest
from mlflow.entities import Metric, Param

from qualia_lab import NotebookGenerator, QualiaLabError, load_runs
from qualia_lab.charts.marks import Line, Points
from tests.stores.empty import new_client

# Configuration → its runs: status and last val_auc.
TRAINED = {
    "a": [("FINISHED", 0.8), ("FINISHED", 0.82), ("FINISHED", 0.84), ("FINISHED", math.nan), ("FAILED", 0.1), ("RUNNING", 0.3)],
    "b": [("FINISHED", 0.7), ("FINISHED", 0.71), ("FINISHED", 0.72), ("KILLED", 0.99)],
    "c": [("RUNNING", 0.95), ("RUNNING", 0.96)],
}  # fmt: skip
ALL = ["FINISHED", "FAILED", "KILLED", "RUNNING"]


def write(folder, trained):
    """A store with these configurations, written by MLflow's client."""
    folder.mkdir(exist_ok=True)
    client = new_client(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("seeds", artifact_location=folder.as_uri())
    for start, (net, runs) in enumerate(trained.items()):
        for seed, (status, last) in enumerate(runs):
            run = client.create_run(experiment, run_name=f"{net}{seed}", start_time=1000 * start + seed)
            points = [Metric("val_auc", value, step, step) for step, value in enumerate((0.5, 0.6, last))]
            client.log_batch(run.info.run_id, points, [Param("net", net), Param("seed", str(seed))])
            if status != "RUNNING":
                client.set_terminated(run.info.run_id, status)
    return f"sqlite:///{folder / 'mlflow.db'}"


def load(uri):
    return load_runs(uri, NotebookGenerator(uri).select().run_ids)


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return write(tmp_path_factory.mktemp("trained"), TRAINED)


@pytest.fixture(scope="module")
def runs(uri):
    return load(uri)


@pytest.fixture(scope="module")
def going(tmp_path_factory):
    """Runs of which none has finished."""
    folder = tmp_path_factory.mktemp("going")
    return load(write(folder, {"a": [("RUNNING", 0.8), ("RUNNING", 0.9)], "b": [("FAILED", 0.6), ("RUNNING", 0.7)]}))


def test_means_use_finished_runs_and_the_table_says_why_others_are_left_out(runs):
    frame = runs.groups().set_index("net")
    assert frame["mean val_auc"].dropna().to_dict() == pytest.approx({"a": 0.82, "b": 0.71})
    assert frame[["runs", "n"]].loc[["a", "b", "c"]].to_numpy().tolist() == [[6, 3], [4, 3], [2, 0]]
    assert frame["left out"].to_dict() == {
        "a": "1 failed, 1 running, 1 without a finite value", "b": "1 killed", "c": "2 running",
    }  # fmt: skip
    assert "not finished" not in frame.columns
    assert frame.loc["b", "best run"] == "b2"  # not the killed run, whose last value is higher


def test_requested_statuses_count_and_are_marked_as_unfinished(runs):
    asked = runs.with_settings(statuses=["finished", "KILLED"])
    frame = asked.groups().set_index("net")
    assert frame.loc["b", "mean val_auc"] == pytest.approx((0.7 + 0.71 + 0.72 + 0.99) / 4)
    assert frame["not finished"].isna()["a"]
    assert frame.loc["b", "not finished"] == "1 killed"
    assert "Not finished, and in these means: 1 killed." in asked.plot.groups().note
    with pytest.raises(QualiaLabError, match="no status DONE"):
        runs.with_settings(statuses=["DONE"])


def test_if_no_run_finished_all_count_and_are_marked(going):
    frame = going.groups().set_index("net")
    assert frame["mean val_auc"].to_dict() == pytest.approx({"a": 0.85, "b": 0.65})
    assert frame["not finished"].to_dict() == {"a": "2 running", "b": "1 failed, 1 running"}
    assert "Not finished, and in these means: 1 failed, 3 running." in going.plot.groups().note
    assert "Not finished, and in these means: 1 failed, 3 running." in going.plot.bands().note
    assert "Not finished, and in these means: 1 failed, 3 running." in going.paper_table().markdown
    [best] = [one for one in going.find({}) if one.rule == "best_configuration"]
    assert "n = 2, not finished: 2 running" in best.sentence
    assert going.with_settings(statuses=["FINISHED"]).groups()["n"].tolist() == [0, 0]


def test_baseline_comparisons_use_the_same_runs(runs):
    frame = runs.compare_to_baseline(baseline={"net": "a"})
    assert frame[["runs", "n"]].to_numpy().tolist() == [[6, 3], [4, 3], [2, 0]]
    assert frame.loc["net=b", "difference"] == pytest.approx(-0.11)
    assert frame["left out"].tolist() == ["1 failed, 1 running, 1 without a finite value", "1 killed", "2 running"]


def test_charts_show_only_counted_runs_and_note_the_others(runs):
    said = "In no mean: 1 failed, 1 killed, 3 running, 1 without a finite value."
    chart = runs.plot.groups()
    assert said in chart.note
    assert (
        sum(len(mark.x) for mark in chart.panels[0].marks if isinstance(mark, Points) and mark.label == "one run") == 6
    )
    bands = runs.plot.bands()
    ends = {mark.label: mark.y[-1] for mark in bands.panels[0].marks if isinstance(mark, Line) and mark.label}
    assert ends == pytest.approx({"net=a (n=3 to 4)": 0.82, "net=b (n=3)": 0.71})
    assert "In no mean: 1 failed, 1 killed, 3 running." in bands.note
    assert len(runs.with_settings(statuses=ALL).plot.bands().panels[0].marks) > len(bands.panels[0].marks)


def test_history_panels_show_every_run_with_the_mean_of_finished_ones(tmp_path):
    three = {
        name: [*(run for run in runs if run[1] == run[1]), *[("FAILED", 0.2)] * 2] for name, runs in TRAINED.items()
    }
    panels = load(write(tmp_path, three)).plot.history("val_auc")
    assert [panel.title for panel in panels.panels] == [
        "net=a · 0.82 (n=3 of 7)", "net=b · 0.71 (n=3 of 6)", "net=c (n=0 of 4)",
    ]  # fmt: skip
    assert "Not in their means: 11 runs that did not finish." in panels.note


def test_paper_tables_mark_unfinished_runs_in_every_format(runs):
    table = runs.paper_table()
    for text in (table.latex, table.markdown, table._repr_html_()):
        assert "In no mean: 1 failed, 1 killed, 3 running, 1 without a finite value." in text
        assert "Configurations without a usable value, left out: 1." in text
        assert "0.82" in text
        assert "0.95" not in text


def test_candidates_are_ranked_by_finished_runs(runs):
    table = runs.candidates()
    assert table["best run"].tolist()[:2] == ["a2", "b2"]
    assert table["left out"].tolist() == ["1 failed, 1 running, 1 without a finite value", "1 killed", "2 running"]


def test_findings_mention_unfinished_runs_and_their_code_agrees(runs):
    found = {one.rule: one for one in runs.find({})}
    assert "n = 3 of 6: 1 failed, 1 running, 1 without a finite value left out" in found["best_configuration"].sentence
    assert found["best_configuration"].code == "runs.answer()"
    assert "n = 3 of 4: 1 killed left out" in found["best_configuration"].sentence
    everything = {one.rule: one for one in runs.with_settings(statuses=ALL).find({})}
    assert "net=c" in everything["best_configuration"].sentence


def test_importance_uses_finished_runs(tmp_path):
    runs = load(write(tmp_path, {"a": [("FINISHED", n / 100) for n in range(6)], "b": [("FAILED", 0.5)] * 6}))
    assert "no param varies among the 6 runs" in runs.relations.importance().attrs["refusal"]
    assert runs.with_settings(seeds=[], statuses=ALL).relations.importance().attrs["n"] == 12
    drawn = load(write(tmp_path / "many", {"a": [("FINISHED", n % 7) for n in range(24)], "b": [("FAILED", 0.5)]}))
    assert "In none of it: 1 failed." in drawn.with_settings(seeds=[]).plot.importance().note


def test_the_parameters_cell_has_statuses_only_if_they_were_given(uri):
    generator = NotebookGenerator(uri)
    parameters = {cell.key: cell.source for cell in generator.plan(generator.select()).cells}["parameters"]
    assert "STATUSES = None" in parameters.splitlines()
    said = repr(load(uri).about())
    assert "1 run: killed (b3)" in said
    assert "3 runs: running" in said
