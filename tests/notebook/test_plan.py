"""A plan says all that will be in the notebook, and is a pure function of what it is given."""

from __future__ import annotations

import ast
from dataclasses import replace

import nbformat
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.analysis.repeats import count_configurations
from qualia_lab.errors import TemplateError
from qualia_lab.inventory import take_inventory
from qualia_lab.notebook.build import build_notebook, notebook_bytes
from qualia_lab.notebook.plan import plan_notebook
from qualia_lab.notebook.template import Template, parse_percent, read_template
from qualia_lab.schema import EXPERIMENTS, METRICS, PARAMS, RUNS
from qualia_lab.sections import SECTIONS
from qualia_lab.sections.section import RUNS_SHOWN
from qualia_lab.selection import Selection
from qualia_lab.tables import run_tables, table_of


def some_runs(count: int, *, params=True, metrics=True, steps=True, name="churn", text="x"):
    """Tables of runs that differ in lr and seed, with a val_auc."""
    ids = [f"{place:032x}" for place in range(count)]
    return run_tables(
        experiments=table_of(EXPERIMENTS, [{"experiment_id": "1", "name": name, "lifecycle_stage": "active"}]),
        runs=table_of(RUNS, [{"run_id": i, "experiment_id": "1", "run_name": text, "status": "FINISHED"} for i in ids]),
        params=table_of(
            PARAMS,
            [
                {"run_id": run_id, "key": key, "value": str(value)}
                for place, run_id in enumerate(ids if params else [])
                for key, value in (("lr", place % 3), ("seed", place), ("kind", text))
            ],
        ),
        metrics=table_of(
            METRICS,
            [
                {"run_id": i, "key": "val_auc", "value": 0.5, "step": 9 * steps, "timestamp": 0}
                for i in (ids if metrics else [])
            ],
        ),
    )


def planned(tables, **choice):
    selection = Selection("sqlite:////tmp/a.db", tables.run_ids, ("churn",), primary_metric="val_auc", **choice)
    counted = count_configurations(tables, "val_auc", selection.seeds)
    inventory = replace(take_inventory(tables), configurations=counted)
    return plan_notebook(read_template("observe"), selection, inventory, title="Churn", written="2026-11-23")


def sections_of(plan) -> list[str]:
    return list(dict.fromkeys(cell.key.partition(":")[0] for cell in plan.cells))


def test_many_runs_get_every_section_in_the_order_of_the_design():
    plan = planned(some_runs(6))
    assert sections_of(plan) == [
        *("title", "setup", "configuration", "parameters", "client", "loading", "findings", "overview"),
        *("each_run", "run", "params", "metrics", "groups", "baseline", "paper_table", "curves"),
        *("bands", "relations", "progress", "timeline", "artifacts", "exploration", "not_shown"),
    ]
    left_out = dict(plan.left_out)
    assert left_out["Code, environment and data"] == "no run says which code or data it was made with"
    assert left_out["Python and libraries"] == "no run has logged a model, with which MLflow notes the libraries"
    assert left_out["Which params matter"] == "it needs 20 configurations with a value that counts, and there are 3"
    assert left_out["System metrics"] == "no run has system metrics"
    assert dict(planned(some_runs(3)).left_out)["How the search went"] == "it needs 5 runs, and there are 3"


def test_one_run_has_no_comparison_and_the_last_cell_says_why():
    plan = planned(some_runs(1))
    assert ("Params that differ", "a comparison needs two runs") in plan.left_out
    assert "Params that differ: a comparison needs two runs" in plan.cells[-1].source


def test_runs_without_anything_still_make_a_notebook():
    plan = planned(some_runs(2, params=False, metrics=False))
    assert dict(plan.left_out)["Params that differ"] == "no run has a param"
    assert dict(plan.left_out)["Metric histories"] == "no run has a metric"
    nbformat.validate(nbformat.from_dict(build_notebook(plan)))


def test_past_the_limit_the_first_runs_are_shown_and_any_other_by_its_id():
    plan = planned(some_runs(RUNS_SHOWN + 3))
    shown = [cell for cell in plan.cells if cell.key.startswith("run:")]
    assert len(shown) == RUNS_SHOWN
    assert ["folded=True" in cell.source for cell in shown] == [False] * 3 + [True] * (RUNS_SHOWN - 3)
    heading = next(cell.source for cell in plan.cells if cell.key == "each_run:heading")
    assert f"Showing {RUNS_SHOWN} of {RUNS_SHOWN + 3} runs" in heading


def test_planning_is_pure_and_the_bytes_are_too():
    assert notebook_bytes(build_notebook(planned(some_runs(4)))) == notebook_bytes(
        build_notebook(planned(some_runs(4)))
    )


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_of_a_store_is_in_a_code_cell_outside_the_parameters(name, text):
    tables = some_runs(2, name=name, text=text)
    selection = Selection("sqlite:///a.db", tables.run_ids, (name,), f"params.kind = {text!r}")
    plan = plan_notebook(read_template("observe"), selection, take_inventory(tables), title=name, written="2026-11-23")
    harmless = planned(some_runs(2))
    by_key = {cell.key: cell.source for cell in harmless.cells if cell.kind == "code"}
    for cell in plan.cells:
        if cell.kind == "code":
            ast.parse(cell.source)
            if cell.key != "parameters":
                assert by_key.get(cell.key, cell.source) == cell.source
    nbformat.validate(nbformat.reads(notebook_bytes(build_notebook(plan)).decode(), as_version=4))
    assert sum(line.startswith("#") for line in plan.cells[0].source.splitlines()) == 1


def test_cell_ids_are_unique_and_of_the_format():
    notebook = build_notebook(planned(some_runs(5)))
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(ids) == len(set(ids))
    nbformat.validate(nbformat.from_dict(notebook))


def test_a_run_whose_id_is_no_id_gets_no_cell_of_its_own():
    tables = some_runs(2)
    hostile = '")\nimport os #'
    tables = run_tables(
        experiments=tables.experiments,
        runs=table_of(RUNS, [*tables.runs.to_pylist(), {"run_id": hostile, "experiment_id": "1"}]),
    )
    plan = planned(tables)
    assert [cell.key for cell in plan.cells if cell.key.startswith("run:")] == [f"run:{i}" for i in tables.run_ids[:2]]


@pytest.mark.parametrize(
    ("text", "said"),
    [('# %% section="findngs"', "names the section findngs"), ('# %% section="title"\n# %% section="title"', "twice")],
)
def test_a_template_with_wrong_sections_is_refused(text, said):
    tables = some_runs(1)
    with pytest.raises(TemplateError, match=said):
        plan_notebook(
            Template("mine", parse_percent(text)),
            Selection("sqlite:///a.db", tables.run_ids),
            take_inventory(tables),
            title="t",
            written="2026-11-23",
        )


def test_every_section_has_a_file_of_its_name():
    assert all(section.name == name for name, section in SECTIONS.items())


def test_a_comparison_with_a_baseline_needs_another_param_than_the_seed():
    plan = planned(some_runs(3), seeds=("lr", "seed"))
    assert dict(plan.left_out)["Against the baseline"] == "there is only one configuration with a value that counts"


def test_groups_are_shown_when_a_configuration_repeats_and_only_then():
    """Also without a param that looks like a seed, and not where each seed is of another configuration."""
    nothing_alike = "no two runs with a value that counts are alike in all params but seeds"
    about_groups = ("Groups of seeds", "Against the baseline", "Table for a paper", "Histories over seeds")
    for tables, choice in ((some_runs(3), {}), (some_runs(6), {"seeds": ("kind",)})):
        left_out = dict(planned(tables, **choice).left_out)
        assert [left_out[title] for title in about_groups] == [nothing_alike] * 4
    tables = some_runs(6)
    without_seeds = replace(tables, params=tables.params.filter(pc.not_equal(tables.params["key"], "seed")))
    assert {"groups", "baseline", "paper_table", "bands"} <= set(sections_of(planned(without_seeds)))
    status = ["FAILED"] * 5 + ["FINISHED"]
    rows = [row | {"status": word} for row, word in zip(tables.runs.to_pylist(), status, strict=True)]
    failed = dict(planned(replace(tables, runs=table_of(RUNS, rows))).left_out)
    assert failed["Groups of seeds"] == nothing_alike
    no_params = dict(planned(some_runs(6, params=False)).left_out)
    assert no_params["Groups of seeds"] == "no run has a param"


def test_importances_are_asked_when_there_are_twenty_configurations_and_not_twenty_runs():
    def left_out(runs):
        tables = some_runs(len(runs))
        params = [
            {"run_id": run_id, "key": key, "value": value}
            for run_id, row in zip(tables.run_ids, runs, strict=True)
            for key, value in row.items()
        ]
        return dict(planned(replace(tables, params=table_of(PARAMS, params))).left_out).get("Which params matter")

    assert left_out([{"lr": str(n), "depth": "1"} for n in range(20)]) is None
    repeated = left_out([{"lr": str(n % 19), "depth": "1", "seed": str(n)} for n in range(60)])
    assert repeated == "it needs 20 configurations with a value that counts, and there are 19"
    paths = left_out([{"lr": str(n % 2), "out": f"/tmp/{n}"} for n in range(60)])
    assert paths == "it needs 20 configurations with a value that counts, and there are 2"


def test_averages_of_runs_that_a_metric_chose_are_said_to_be_too_good():
    words = "These runs were chosen by a metric."

    def said(**choice):
        return words in next(
            cell.source for cell in planned(some_runs(6), **choice).cells if cell.key == "groups:heading"
        )

    assert not said()
    assert not said(order_by=("metrics.val_auc DESC",))  # all of them
    assert said(order_by=("metrics.val_auc DESC",), limit=6)
    assert said(filter="metrics.val_auc > 0.5")
