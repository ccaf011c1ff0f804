"""A notebook on aggregates: planned from names and counts, and executed over DuckDB."""

from __future__ import annotations

import json

import pytest

from qualia_lab import NotebookGenerator, load_aggregates
from qualia_lab.errors import EngineError, FilterError, TemplateError, UnknownKey
from qualia_lab.notebook.build import build_notebook
from qualia_lab.notebook.parameters import read_parameters
from qualia_lab.notebook.template import read_template, template_names
from qualia_lab.sections import SECTIONS
from qualia_lab.settings import said_settings
from tests.cli.command import QUALIA, run_here

from .notebooks import outputs_of


@pytest.mark.slow
def test_every_cell_runs_and_shows_aggregates(executed):
    said = outputs_of(executed)
    assert said["aggregate_loading"] == ["58 runs, aggregated by DuckDB"]
    assert said["aggregate_top"][0].count("\n") >= 20
    assert len(said["aggregate_curves"]) > 1
    assert len(said["aggregate_params"]) > 1
    silent = {key for key, outputs in said.items() if not outputs}
    assert silent == {"aggregate_setup", "parameters", "aggregate_exploration"}


def plan(snapshot, *, metric=None, **choice):
    generator = NotebookGenerator(snapshot)
    made = generator.plan(generator.select(**choice), settings=said_settings(metric=metric), engine="duckdb")
    assert generator._read is None  # no run was read
    return made


def test_values_are_in_the_parameters_cell_only(odd_snapshot):
    one, other = plan(odd_snapshot, by="k:max"), plan(odd_snapshot, by="val/acc:min", experiments=["Ödd %_"])
    cells = [{cell.key: cell.source for cell in made.cells if cell.kind == "code"} for made in (one, other)]
    differing = [key for key, source in cells[0].items() if cells[1].get(key, source) != source]
    assert differing == ["parameters"]
    assert all(source.count("\n") < 8 for key, source in cells[0].items() if key != "parameters")


def test_runs_are_named_in_it_only_where_no_condition_gives_them(odd_snapshot, tmp_path):
    generator = NotebookGenerator(odd_snapshot)
    for choice, count in (({"filter": "metrics.k > 0"}, None), ({"limit": 3}, 3)):
        path = generator.create(engine="duckdb", output=tmp_path / "n.ipynb", force=True, **choice)
        found = read_parameters(path)
        assert found["ENGINE"] == "duckdb"
        assert found["FILTER"] == choice.get("filter", "")
        assert (found["RUN_IDS"] is None) if count is None else len(found["RUN_IDS"]) == count


def test_a_metric_without_a_direction_has_no_best_runs(odd_snapshot):
    made = plan(odd_snapshot, metric="k")
    assert {title for title, _ in made.left_out} == {"Best runs", "Best so far"}
    with pytest.raises(FilterError, match="Whether more of k is better"):
        load_aggregates(odd_snapshot).top_runs("k")


def test_the_metric_that_leads_is_chosen_by_names_and_counts(odd_snapshot):
    made = plan(odd_snapshot)
    source = next(cell.source for cell in made.cells if cell.key == "parameters")
    assert "PRIMARY_METRIC = 'val/acc'\nGREATER_IS_BETTER = True\n" in source.replace('"', "'")
    with pytest.raises(UnknownKey, match="val/acx"):
        plan(odd_snapshot, metric="val/acx")


def test_the_title_says_the_command_with_the_engine(odd_snapshot):
    assert "--engine duckdb" in build_notebook(plan(odd_snapshot))["cells"][0]["source"][-1]


def test_a_template_for_the_other_kind_is_refused(odd_snapshot):
    generator = NotebookGenerator(odd_snapshot)
    selection = generator.select()
    with pytest.raises(TemplateError, match="an engine only aggregates"):
        generator.plan(selection, template="observe", engine="duckdb")
    with pytest.raises(TemplateError, match="there is no engine"):
        generator.plan(selection, template="aggregate")


def test_every_section_is_in_one_of_the_templates():
    named = {cell.section for name in template_names() for cell in read_template(name).cells if cell.section}
    assert named == set(SECTIONS)


def test_a_store_that_is_no_snapshot_is_refused_with_how_to_make_one(sqlite_sample, tmp_path):
    with pytest.raises(EngineError) as error:
        NotebookGenerator(sqlite_sample).create(engine="duckdb", output=tmp_path / "n.ipynb")
    assert "is none" in error.value.message
    assert "qualia snapshot sqlite:///" in error.value.hint
    done = run_here(QUALIA, "new", "--tracking-uri", sqlite_sample, "--engine", "duckdb", "--yes", cwd=tmp_path)
    assert done.returncode == 60
    assert "Make one: qualia snapshot" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_charts_of_aggregates_are_drawn_and_said(odd_snapshot):
    aggregates = load_aggregates(odd_snapshot)
    for chart in (
        aggregates.plot_band("k"),
        aggregates.plot_band("k", by="K", buckets=2),
        aggregates.plot_band("no such metric"),
        aggregates.plot_param("K", "k"),
        aggregates.plot_param("no such param", "k"),
    ):
        json.dumps(chart.plotly(), allow_nan=False)
        assert chart.png().startswith(b"\x89PNG")
        assert repr(chart)
