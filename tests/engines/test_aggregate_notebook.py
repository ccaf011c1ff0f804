"""Notebooks of aggregates: planned from names and counts, executed with DuckDB."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from qualia_lab import NotebookGenerator, Query, load_aggregates, open_store
from qualia_lab.errors import EngineError, FilterError, TemplateError, UnknownKey
from qualia_lab.notebook.build import build_notebook
from qualia_lab.notebook.parameters import read_parameters
from qualia_lab.notebook.template import read_template, template_names
from qualia_lab.sections import SECTIONS
from qualia_lab.settings import settings_from_arguments
from qualia_lab.stores.snapshot.location import open_location
from qualia_lab.stores.snapshot.update import update_snapshot
from tests.cli.command import QUALIA, run_here
from tests.planted.store import PlantedStore, Run

from .notebooks import outputs_of


@pytest.mark.slow
def test_every_cell_runs_and_shows_aggregates(executed):
    outputs = outputs_of(executed)
    assert outputs["aggregate_loading"] == ["58 runs, aggregated by DuckDB"]
    assert outputs["aggregate_top"][0].count("\n") >= 20
    assert len(outputs["aggregate_curves"]) > 1
    assert len(outputs["aggregate_params"]) > 1
    silent = {key for key, texts in outputs.items() if not texts}
    assert silent == {"aggregate_setup", "parameters", "aggregate_exploration"}


def plan(snapshot, *, metric=None, **choice):
    generator = NotebookGenerator(snapshot)
    result = generator.plan(
        generator.select(**choice), settings=settings_from_arguments(metric=metric), engine="duckdb"
    )
    assert generator._data._runs is None  # no run was read
    return result


def test_values_are_in_the_parameters_cell_only(odd_snapshot):
    first, second = plan(odd_snapshot, by="k:max"), plan(odd_snapshot, by="val/acc:min", experiments=["Ödd %_"])
    cells = [{cell.key: cell.source for cell in planned.cells if cell.kind == "code"} for planned in (first, second)]
    differing = [key for key, source in cells[0].items() if cells[1].get(key, source) != source]
    assert differing == ["parameters"]
    assert all(source.count("\n") < 8 for key, source in cells[0].items() if key != "parameters")


def test_run_ids_are_written_only_if_no_condition_selects_the_runs(odd_snapshot, tmp_path):
    generator = NotebookGenerator(odd_snapshot)
    for choice, count in (({"filter": "metrics.k > 0"}, None), ({"limit": 3}, 3)):
        path = generator.create(engine="duckdb", output=tmp_path / "n.ipynb", force=True, **choice)
        parameters = read_parameters(path)
        assert parameters["ENGINE"] == "duckdb"
        assert parameters["FILTER"] == choice.get("filter", "")
        assert (parameters["RUN_IDS"] is None) if count is None else len(parameters["RUN_IDS"]) == count


def test_a_metric_without_a_direction_has_no_best_runs(odd_snapshot):
    result = plan(odd_snapshot, metric="k")
    assert {title for title, _ in result.left_out} == {"Best runs", "Best so far"}
    with pytest.raises(FilterError, match="Whether more of k is better"):
        load_aggregates(odd_snapshot).top_runs("k")


def test_the_primary_metric_is_chosen_from_names_and_counts(odd_snapshot):
    result = plan(odd_snapshot)
    source = next(cell.source for cell in result.cells if cell.key == "parameters")
    assert "PRIMARY_METRIC = 'val/acc'\nGREATER_IS_BETTER = True\n" in source.replace('"', "'")
    with pytest.raises(UnknownKey, match="val/acx"):
        plan(odd_snapshot, metric="val/acx")


def test_the_title_cell_contains_the_command_with_the_engine(odd_snapshot):
    assert "--engine duckdb" in build_notebook(plan(odd_snapshot))["cells"][0]["source"][-1]


def test_templates_for_runs_and_for_aggregates_are_not_interchangeable(odd_snapshot):
    generator = NotebookGenerator(odd_snapshot)
    selection = generator.select()
    with pytest.raises(TemplateError, match="an engine only aggregates"):
        generator.plan(selection, template="observe", engine="duckdb")
    with pytest.raises(TemplateError, match="there is no engine"):
        generator.plan(selection, template="aggregate")


def test_every_section_is_in_one_of_the_templates():
    named = {cell.section for name in template_names() for cell in read_template(name).cells if cell.section}
    assert named == set(SECTIONS)


def test_an_engine_on_another_store_is_refused_with_a_hint_to_create_a_snapshot(sqlite_sample, tmp_path):
    with pytest.raises(EngineError) as error:
        NotebookGenerator(sqlite_sample).create(engine="duckdb", output=tmp_path / "n.ipynb")
    assert "is not one" in error.value.message
    assert "qualia snapshot sqlite:///" in error.value.hint
    result = run_here(QUALIA, "new", "--tracking-uri", sqlite_sample, "--engine", "duckdb", "--yes", cwd=tmp_path)
    assert result.returncode == 60
    assert "Make one: qualia snapshot" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_param_with_one_value_is_a_sentence(tmp_path):
    runs = [Run(f"r{place}", {"epochs": 30}, {"acc": 0.5 + place / 10}) for place in range(3)]
    runs.append(Run("failed", {"epochs": 99}, {}))
    store = open_store(PlantedStore({"e": runs}).write(tmp_path / "mlruns"))
    update_snapshot(store, open_location(tmp_path / "snapshot"), store.read_runs(Query()), old=None, choice={})
    with load_aggregates(f"snapshot:{tmp_path / 'snapshot'}", primary_metric="acc") as aggregates:
        assert repr(aggregates.plot_param("epochs")) == (
            "epochs is 30 in every run that has it and a finite value of acc: nothing to draw."
        )


def test_charts_of_aggregates_have_plotly_svg_and_text(odd_snapshot):
    aggregates = load_aggregates(odd_snapshot)
    for chart in (
        aggregates.plot_band("k"),
        aggregates.plot_band("k", by="K", buckets=2),
        aggregates.plot_band("no such metric"),
        aggregates.plot_param("K", "k"),
        aggregates.plot_param("no such param", "k"),
    ):
        json.dumps(chart.plotly(), allow_nan=False)
        assert ET.fromstring(chart.svg()).get("width") == "960"
        assert repr(chart)
