"""Planning notebooks: a plan determines the notebook, and is a pure function of its input."""

from __future__ import annotations

import ast
import json
from dataclasses import replace

import nbformat
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.charts.chart import PLOTLY_MIME
from qualia_lab.errors import TemplateError
from qualia_lab.inventory import take_inventory
from qualia_lab.notebook.build import build_notebook, notebook_bytes
from qualia_lab.notebook.plan import plan_notebook
from qualia_lab.notebook.template import Template, read_template
from qualia_lab.notebook.template_cells import parse_percent
from qualia_lab.schema import EXPERIMENTS, METRICS, PARAMS, RUNS
from qualia_lab.sections import SECTIONS
from qualia_lab.sections.section import RUNS_SHOWN
from qualia_lab.selection import Conditions, Query, Selection
from qualia_lab.study import StudySettings, describe_study
from qualia_lab.study.settings import with_source
from qualia_lab.tables import run_tables, table_of


def some_runs(count: int, *, params=True, metrics=True, name="churn", text="x"):
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
                {"run_id": i, "key": "val_auc", "value": 0.5 + n / 1000, "step": 9, "timestamp": 0}
                for n, i in enumerate(ids if metrics else [])
            ],
        ),
    )


def planned(tables, conditions=None, query=None, *, template=None, title="Churn", experiments=("churn",), **settings):
    """The plan of the runs, with settings of the user; by default with the template `observe`."""
    selection = Selection(
        "sqlite:////tmp/a.db", tables.run_ids, conditions or Conditions(), query or Query(), experiments
    )
    inventory = take_inventory(tables)
    study = describe_study(tables, inventory, with_source("person", StudySettings(**settings)))
    template = template or read_template("observe")
    return plan_notebook(template, selection, inventory, study, title=title, written="2026-11-23", command="qualia new")


def parameters_of(plan):
    """The values that the parameters cell assigns."""
    values = {}
    exec(next(cell.source for cell in plan.cells if cell.key == "parameters"), values)
    return values


def sections_of(plan) -> list[str]:
    return list(dict.fromkeys(cell.key.partition(":")[0] for cell in plan.cells))


def test_many_runs_get_every_section_in_the_designed_order():
    plan = planned(some_runs(6))
    assert sections_of(plan) == [
        *("title", "setup", "configuration", "parameters", "client", "loading", "headline", "findings", "study"),
        *("overview", "groups", "baseline", "paper_table", "metrics", "curves", "bands", "params", "relations"),
        *("timeline", "each_run", "run", "artifacts", "exploration", "not_shown"),
    ]
    left_out = dict(plan.left_out)
    assert left_out["How the search went"].startswith("most configurations ran more than once")
    assert "progress" in sections_of(planned(some_runs(6), seeds=[]))
    assert left_out["Code, environment and data"] == "no run has recorded its code or data"
    assert left_out["Python and libraries"] == "no run has logged a model, with which MLflow records the libraries"
    assert left_out["Which params matter"] == "it needs 20 configurations with a run that counts, and there are 3"
    assert left_out["System metrics"] == "no run has system metrics"
    assert dict(planned(some_runs(3)).left_out)["How the search went"] == "it needs 5 runs, and there are 3"


def test_a_single_run_has_no_comparison_and_the_last_cell_gives_the_reason():
    plan = planned(some_runs(1))
    assert ("Params that differ", "a comparison needs two runs") in plan.left_out
    assert "Params that differ: a comparison needs two runs" in plan.cells[-1].source


def test_runs_without_params_and_metrics_still_make_a_notebook():
    plan = planned(some_runs(2, params=False, metrics=False))
    assert dict(plan.left_out)["Params that differ"] == "no run has a param"
    assert dict(plan.left_out)["Metric histories"] == "no run has a metric"
    nbformat.validate(nbformat.from_dict(build_notebook(plan)))


def test_only_the_first_runs_have_cells_of_their_own():
    plan = planned(some_runs(RUNS_SHOWN + 3))
    shown = [cell for cell in plan.cells if cell.key.startswith("run:")]
    assert len(shown) == RUNS_SHOWN
    assert all(cell.source.endswith(", folded=True)") for cell in shown)
    heading = next(cell.source for cell in plan.cells if cell.key == "each_run:heading")
    assert f"Showing {RUNS_SHOWN} of {RUNS_SHOWN + 3} runs" in heading
    *_, said, example = [cell.source for cell in plan.cells if cell.key.startswith("each_run:")]
    assert said == "Any other run is shown by its id or name; here the last one of `RUN_IDS`."
    assert example == "runs.show(RUN_IDS[-1] if RUN_IDS else None, folded=True)"


def test_the_bytes_of_a_notebook_are_reproducible():
    assert notebook_bytes(build_notebook(planned(some_runs(4)))) == notebook_bytes(
        build_notebook(planned(some_runs(4)))
    )


def test_figures_of_outputs_are_on_one_line_and_read_back_as_they_are():
    notebook = build_notebook(planned(some_runs(4)))
    figure = {"data": [{"x": [1, None, 0.5], "name": 'a "b" \\ ü'}], "layout": {}}
    cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    cell["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": "a\n"},
        {"output_type": "display_data", "metadata": {}, "data": {PLOTLY_MIME: figure, "text/plain": ["a", "b"]}},
    ]
    data = notebook_bytes(notebook).decode()
    assert json.loads(data) == notebook
    assert f'"{PLOTLY_MIME}": {json.dumps(figure, ensure_ascii=False, separators=(",", ":"))},\n' in data


@given(st.text(max_size=40), st.text(max_size=40))
def test_strings_of_a_store_are_only_in_the_parameters_cell(name, text):
    tables = some_runs(2, name=name, text=text)
    conditions = Conditions((name,), filter=f"params.kind = {text!r}")
    plan = planned(tables, conditions, title=name, experiments=(name,))
    harmless = planned(some_runs(2))
    by_key = {cell.key: cell.source for cell in harmless.cells if cell.kind == "code"}
    for cell in plan.cells:
        if cell.kind == "code":
            ast.parse(cell.source)
            if cell.key != "parameters":
                assert by_key.get(cell.key, cell.source) == cell.source
    nbformat.validate(nbformat.reads(notebook_bytes(build_notebook(plan)).decode(), as_version=4))
    assert sum(line.startswith("#") for line in plan.cells[0].source.splitlines()) == 1


def test_cell_ids_are_unique_and_valid():
    notebook = build_notebook(planned(some_runs(5)))
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(ids) == len(set(ids))
    nbformat.validate(nbformat.from_dict(notebook))


def test_a_run_with_an_invalid_id_has_no_cell_of_its_own():
    tables = some_runs(2)
    hostile = '")\nimport os #'
    tables = run_tables(
        experiments=tables.experiments,
        runs=table_of(RUNS, [*tables.runs.to_pylist(), {"run_id": hostile, "experiment_id": "1"}]),
    )
    plan = planned(tables)
    assert [cell.key for cell in plan.cells if cell.key.startswith("run:")] == [f"run:{i}" for i in tables.run_ids[:2]]


@pytest.mark.parametrize(
    ("text", "message"),
    [('# %% section="findngs"', "names the section findngs"), ('# %% section="title"\n# %% section="title"', "twice")],
)
def test_a_template_with_wrong_sections_is_rejected(text, message):
    tables = some_runs(1)
    with pytest.raises(TemplateError, match=message):
        planned(tables, template=Template("mine", parse_percent(text)))


def test_every_section_is_registered_under_its_name():
    assert all(section.name == name for name, section in SECTIONS.items())


def test_a_comparison_with_a_baseline_needs_a_param_that_is_not_a_seed():
    plan = planned(some_runs(3), seeds=("lr", "seed"))
    assert dict(plan.left_out)["Against the baseline"] == "there is only one configuration with a run that counts"


def test_configurations_are_averaged_only_if_one_is_repeated():
    """Also without a param that looks like a seed, but not if each run is a configuration of its own."""
    no_repeats = "no two runs that count have equal factors"
    about_groups = ("Configurations averaged", "Against the baseline", "Table for a paper", "Histories averaged")
    for tables, choice in ((some_runs(3), {}), (some_runs(6), {"seeds": ("kind",)})):
        left_out = dict(planned(tables, **choice).left_out)
        assert [left_out[title] for title in about_groups] == [no_repeats] * 4
    tables = some_runs(6)
    without_seeds = replace(tables, params=tables.params.filter(pc.not_equal(tables.params["key"], "seed")))
    assert {"groups", "baseline", "paper_table", "bands"} <= set(sections_of(planned(without_seeds)))
    status = ["FAILED"] * 5 + ["FINISHED"]
    rows = [row | {"status": word} for row, word in zip(tables.runs.to_pylist(), status, strict=True)]
    failed = dict(planned(replace(tables, runs=table_of(RUNS, rows))).left_out)
    assert failed["Configurations averaged"] == no_repeats


def test_importances_need_20_configurations_rather_than_20_runs():
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
    assert repeated == "it needs 20 configurations with a run that counts, and there are 19"
    paths = left_out([{"lr": str(n % 2), "out": f"/tmp/{n}"} for n in range(60)])
    assert paths == "it needs 20 configurations with a run that counts, and there are 2"


def test_averages_of_runs_selected_by_a_metric_have_a_warning():
    warning = "These runs were selected by a metric."

    def has_warning(**conditions):
        plan = planned(some_runs(6), Conditions(**conditions), chosen_by=Conditions(**conditions).as_data())
        return warning in next(cell.source for cell in plan.cells if cell.key == "groups:heading")

    assert not has_warning()
    assert not has_warning(order_by=("metrics.val_auc DESC",))  # all of them
    assert has_warning(order_by=("metrics.val_auc DESC",), limit=6)
    assert has_warning(filter="metrics.val_auc > 0.5")


def test_the_parameters_cell_has_only_the_objective_and_explicit_settings():
    parameters = parameters_of(planned(some_runs(6)))
    assert parameters["PRIMARY_METRIC"] == "val_auc"
    assert [parameters[name] for name in ("GREATER_IS_BETTER", "SEEDS", "STATUSES", "BASELINE")] == [None] * 4
    assert [parameters[name] for name in ("FACTORS", "LABELS", "POOL")] == [[], [], False]
    assert parameters["CHOSEN_BY"] == {}
    assert not {"FINDINGS", "SMALLEST_DIFFERENCE", "METRIC_ROLES"} & set(parameters)


def test_settings_are_in_the_parameters_cell_and_passed_to_load_runs():
    settings = {
        "better": {"val_auc": "lower"},
        "seeds": ("seed",),
        "statuses": ("FINISHED", "RUNNING"),
        "baseline": {"lr": "0"},
        "factors": ("kind",),
        "labels": (),
        "pool": True,
        "smallest_difference": 0.01,
        "findings": {"plateau": False},
        "metric_roles": {"val_auc": "objective"},
    }
    plan = planned(some_runs(6), conditions=Conditions(("churn",), top=6, by="val_auc"), **settings)
    parameters = parameters_of(plan)
    assert parameters["GREATER_IS_BETTER"] is False
    assert (parameters["SEEDS"], parameters["STATUSES"], parameters["FACTORS"]) == (
        ["seed"],
        ["FINISHED", "RUNNING"],
        ["kind"],
    )
    assert (parameters["BASELINE"], parameters["POOL"]) == ({"lr": "0"}, True)
    assert (parameters["SMALLEST_DIFFERENCE"], parameters["FINDINGS"]) == (0.01, {"plateau": False})
    assert parameters["CHOSEN_BY"] == {"experiments": ["churn"], "by": "val_auc", "top": 6}
    [loading] = [cell.source for cell in plan.cells if cell.key == "loading"]
    call = ast.parse(loading).body[0].value
    names = {word.arg: word.value.id for word in call.keywords if isinstance(word.value, ast.Name)}
    assert {word.upper() for word in names} == set(names.values())
    assert {"smallest_difference", "findings", "metric_roles", "pool", "baseline"} <= set(names)


def test_directions_of_several_metrics_are_a_dict_by_name():
    assert parameters_of(planned(some_runs(6), better={"other": "lower", "val_auc": "higher"}))[
        "GREATER_IS_BETTER"
    ] == {
        "other": False,
        "val_auc": True,
    }


def test_labels_are_never_drawn_and_seeds_come_after_factors():
    tables = some_runs(6)
    rows = [
        *tables.params.to_pylist(),
        *({"run_id": i, "key": "out_path", "value": f"/data/{i}"} for i in tables.run_ids),
        *({"run_id": i, "key": "run_name", "value": f"x{n % 2}"} for n, i in enumerate(tables.run_ids)),
    ]
    plan = planned(replace(tables, params=table_of(PARAMS, rows)))
    assert parameters_of(plan)["PARAMS"] == ["lr", "seed"]
    assert "out&#95;path" in plan.cells[-1].source  # listed as not drawn


def test_costs_come_after_objectives_and_training_metrics():
    tables = some_runs(4)
    more = [
        {"run_id": i, "key": key, "value": 1.0 + n, "step": 5, "timestamp": 0}
        for n, i in enumerate(tables.run_ids)
        for key in ("train_auc", "duration_s", "acc")
    ]
    plan = planned(replace(tables, metrics=table_of(METRICS, [*tables.metrics.to_pylist(), *more])))
    assert parameters_of(plan)["METRICS"] == ["val_auc", "acc", "train_auc", "duration_s"]


def test_two_places_are_reserved_for_training_metrics_if_there_are_many_objectives():
    tables = some_runs(4)
    keys = ("val_acc", "val_f1", "val_loss", "val_ap", "val_recall", "val_precision", "train_auc", "train_loss")
    more = [
        {"run_id": i, "key": key, "value": 0.1 + n / 10, "step": 5, "timestamp": 0}
        for n, i in enumerate(tables.run_ids)
        for key in keys
    ]
    plan = planned(replace(tables, metrics=table_of(METRICS, [*tables.metrics.to_pylist(), *more])))
    drawn = parameters_of(plan)["CURVES"]
    assert len(drawn) == 6
    assert set(drawn) >= {"val_auc", "train_auc", "train_loss"}
    assert drawn[-2:] == ["train_auc", "train_loss"]


def test_experiments_with_different_objectives_have_no_common_primary_metric():
    tables = some_runs(6)
    experiments = [{"experiment_id": str(n), "name": f"e{n}", "lifecycle_stage": "active"} for n in (1, 2)]
    rows = [row | {"experiment_id": str(1 + place % 2)} for place, row in enumerate(tables.runs.to_pylist())]
    metrics = [row | {"key": "val_auc" if place % 2 else "mse"} for place, row in enumerate(tables.metrics.to_pylist())]
    two = replace(
        tables,
        experiments=table_of(EXPERIMENTS, experiments),
        runs=table_of(RUNS, rows),
        metrics=table_of(METRICS, metrics),
    )
    assert parameters_of(planned(two))["PRIMARY_METRIC"] is None
    candidates = planned(two, template=read_template("select"))
    headings = {cell.key: cell.source for cell in candidates.cells}
    assert "candidates of different experiments are not compared" in headings["candidates:heading"]
    assert headings["decision"].startswith("# The run you choose")


def test_raw_cells_of_a_template_are_copied():
    template = Template("mine", parse_percent("# %% [raw]\n# a: 1\n\n# %%\nx = 1\n"))
    notebook = nbformat.from_dict(build_notebook(planned(some_runs(2), template=template)))
    nbformat.validate(notebook)
    assert [(cell.cell_type, "".join(cell.source)) for cell in notebook.cells[:2]] == [
        ("raw", "a: 1"),
        ("code", "x = 1"),
    ]


def test_cells_of_a_template_keep_their_keys_when_cells_are_added_elsewhere():
    text = '# %% section="title"\n# %%\n"one"\n# %% section="overview"\n# %%\n"two"\n'
    more = text.replace('"one"\n', '"one"\n# %%\n"new"\n')
    keys = [
        {cell.source: cell.key for cell in planned(some_runs(2), template=Template("own", parse_percent(one))).cells}
        for one in (text, more)
    ]
    assert keys[0]['"two"'] == keys[1]['"two"'] == "own:overview:0"
    assert keys[1]['"new"'] == "own:title:1"
