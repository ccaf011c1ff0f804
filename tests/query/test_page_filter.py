"""The filter of the exported page chooses the same runs as `--filter` and `--where`, in a real Chromium."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from nbformat import v4

from qualia_lab import load_runs
from qualia_lab.notebook.export import export_html
from qualia_lab.query import parse_filter, select_runs
from qualia_lab.query.sugar import parse_where, resolve_field, where_filter
from qualia_lab.runs.frame_html import frame_html
from tests.query.odd_runs import EXTENDED_FILTERS, MLFLOW_FILTERS, write_odd_runs
from tests.stores.empty import new_client

# What the page has no data of: statistics of histories, datasets, and where artifacts are.
NOT_ON_THE_PAGE = (".min", ".max", ".mean", ".first", ".at(", "dataset", "artifact_uri")

CHOSEN = """(text) => {
  const input = document.querySelector(".choice input");
  input.value = text;
  input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
  const wrong = document.querySelector(".choice output.wrong")?.textContent ?? "";
  return wrong && wrong !== "No run matches." ? wrong
    : [...document.querySelectorAll("main tr.on")].map((row) => row.cells[row.cells.length - 1].textContent);
}"""


def page_of(runs, path):
    """The exported page of a notebook with the loaded runs and a table of them."""
    cells = [
        v4.new_code_cell("runs", outputs=[v4.new_output("display_data", data=runs._repr_mimebundle_())]),
        v4.new_code_cell(
            "runs.overview()", outputs=[v4.new_output("display_data", data={"text/html": frame_html(runs.overview())})]
        ),
    ]
    return export_html(v4.new_notebook(cells=cells), path, title="odd")


@pytest.mark.browser
def test_filters_choose_the_same_runs_as_on_tables(tmp_path, open_offline):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    write_odd_runs(uri)
    client = new_client_of(uri)
    ids = [run.info.run_id for run in client.search_runs([one.experiment_id for one in client.search_experiments()])]
    runs = load_runs(uri, ids)
    page = open_offline(page_of(runs, tmp_path / "page.html")).page
    chosen, several = set(), set()

    @settings(deadline=None, max_examples=300, derandomize=True)
    @given(EXTENDED_FILTERS | MLFLOW_FILTERS)
    def compare(text):
        assume("\n" not in text and not any(word in text for word in NOT_ON_THE_PAGE))
        expected = set(select_runs(parse_filter(text), (), runs.tables))
        assert set(page.evaluate(CHOSEN, text)) == expected, text
        chosen.add(text)
        several.add(frozenset(expected))

    compare()
    assert len(chosen) > 150
    assert len(several) > 40


@pytest.mark.browser
def test_comparisons_choose_the_same_runs_as_where(tmp_path, open_offline):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = new_client(uri)
    experiment = client.create_experiment("few", artifact_location=tmp_path.as_uri())
    for place in range(6):
        run = client.create_run(experiment, run_name=f"run {place}", start_time=1_760_000_000_000 + place).info.run_id
        client.log_param(run, "lr", str(place / 10))
        client.log_param(run, "model", "mlp" if place % 2 else "it's")
        client.log_param(run, "duration", "long")
        client.set_tag(run, "team", f"team {place % 3}")
        if place != 3:
            client.log_metric(run, "val_auc", 0.5 + place / 20)
        client.set_terminated(run, "FAILED" if place == 2 else "FINISHED", 1_760_000_060_000)
    ids = [run.info.run_id for run in client.search_runs([experiment])]
    runs = load_runs(uri, ids)
    page = open_offline(page_of(runs, tmp_path / "page.html")).page
    keys = {"param": {"lr", "model", "duration"}, "metric": {"val_auc"}, "tag": {"team"}}
    for text in (
        *("lr=0.1", "lr <= 0.2", "lr != 0.1", "model=mlp", "model = it's", "model != mlp", "`team` = team 1"),
        *("val_auc>0.6", "val_auc >= 0.55", "status=finished", "status != FAILED", "status = failed", "run_name=run 4"),
        *("params.model=mlp", "tags.team = team 2", "metrics.val_auc < 0.7", "start_time > 2024-01-01"),
        *("start_time < 2024-01-01", "start_time > 1760000000002", "attributes.status = finished"),
    ):
        where = parse_where(text)
        condition = where_filter(where, where.field or resolve_field(where, keys))
        expected = set(select_runs(parse_filter(condition), (), runs.tables))
        assert set(page.evaluate(CHOSEN, text)) == expected, text
    assert "ambiguous" in page.evaluate(CHOSEN, "duration = long")
    assert "No run has" in page.evaluate(CHOSEN, "nothing = 1")
    assert "last value" in page.evaluate(CHOSEN, "metrics.val_auc.max > 0.7")
    assert page.evaluate(CHOSEN, "") == []
    words = page.evaluate(CHOSEN, "MLP team 1 0.1")  # words without an operator are looked up in names, params and tags
    found = [client.get_run(run) for run in words]
    assert sorted(run.info.run_name for run in found) == ["run 1"]
    assert set(page.evaluate(CHOSEN, ids[2][:12])) == {ids[2]}


def new_client_of(uri):
    """A client of a store that exists."""
    from mlflow import MlflowClient

    return MlflowClient(uri)
