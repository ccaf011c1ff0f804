"""The templates: each has its own first and last sections, and runs on any store without errors."""

from __future__ import annotations

import nbformat
import pytest
from bs4 import BeautifulSoup
from mlflow import MlflowClient

from qualia_lab import NotebookGenerator, load_runs
from qualia_lab.charts.log_card import LogCard, LogTail
from qualia_lab.notebook.build import build_notebook, notebook_bytes
from qualia_lab.notebook.page.render import render_page
from qualia_lab.notebook.template import read_template

from .notebook.cells import run_cells
from .notebook.test_plan import sections_of
from .test_notebooks import executed

pytestmark = pytest.mark.usefixtures("quick_kernels")

# The first section after the findings, and the last one before the list of sections left out.
ENDS = {
    "observe": ("study", "exploration"),
    "select": ("candidates", "exploration"),
    "debug": ("failures", "exploration"),
    "report": ("study", "appendix"),
}
FOLDED = ("setup", "parameters", "client", "loading")
STRANGERS = {
    "observe": "cr21-hpo/logs/mlruns",
    "select": "pycaret-tutorials/tutorials/mlruns",
    "debug": "promptchain-examples/mlruns",
    "report": "stock-quant/mlruns",
}


@pytest.fixture(scope="module")
def demo(demo_store):
    return f"sqlite:///{demo_store}"


@pytest.fixture(scope="module")
def runs(demo):
    selection = NotebookGenerator(demo).select(experiments=["churn"])
    return load_runs(demo, selection.run_ids, primary_metric="val_auc")


@pytest.mark.parametrize("template", ENDS)
def test_each_template_starts_with_the_answer_and_has_its_own_first_and_last_sections(demo, template):
    generator = NotebookGenerator(demo)
    plan = generator.plan(generator.select(experiments=["churn"]), template=template)
    sections = sections_of(plan)
    first, last = ENDS[template]
    after_loading = sections.index("loading") + 1
    assert sections[after_loading : after_loading + 3] == ["headline", "findings", first]
    assert sections[-2:] == [last, "not_shown"]
    cells = {cell["metadata"]["qualia_lab"]["key"]: cell for cell in build_notebook(plan)["cells"]}
    assert all(cells[key]["metadata"]["jupyter"] == {"source_hidden": True} for key in FOLDED)


@pytest.mark.slow
@pytest.mark.parametrize("template", ENDS)
def test_a_notebook_of_each_template_runs_on_the_demo(demo, template, tmp_path):
    generator = NotebookGenerator(demo)
    path = generator.create(experiments=["churn"], template=template, output=tmp_path / "n.ipynb", execute=True)
    notebook = executed(path)
    assert sum(bool(cell.outputs) for cell in notebook.cells if cell.cell_type == "code") > 12
    page = generator.export(path).read_text()
    read = BeautifulSoup(page, "html.parser")
    assert read.select("details.code[open]") == []  # no code is expanded
    assert read.select("main > section")[-1]["id"] == "how-this-was-made"
    assert "import pandas" in read.select("#how-this-was-made #setup")[0].text
    assert len(read.select("main > section#headline")) == 1


@pytest.mark.parametrize("template", ENDS)
def test_the_cells_of_each_template_run_on_a_public_store(template, shared_data, capsys):
    generator = NotebookGenerator(shared_data / "stores" / STRANGERS[template])
    plan = generator.plan(generator.select(), template=template)
    assert sum(map(bool, run_cells(plan).values())) > 5
    assert capsys.readouterr().err == ""


def test_sections_are_left_out_only_with_a_reason(sqlite_sample):
    generator = NotebookGenerator(sqlite_sample)
    selection = generator.select(limit=1)
    for template in ENDS:
        plan = generator.plan(selection, template=template)
        named = [cell.section for cell in read_template(template).cells if cell.section]
        there = sections_of(plan)
        assert len(plan.left_out) == len([name for name in named if name not in {*there, "configuration"}])
        assert all(reason for _, reason in plan.left_out)


def test_tags_of_a_template_s_cell_fold_the_code_of_its_section(demo, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        '# %% section="setup" tags=["hide-cell"]\n\n# %% section="overview" tags=["hide-input"]\n\n# %%\n1 + 1\n'
    )
    generator = NotebookGenerator(demo)
    notebook = build_notebook(generator.plan(generator.select(limit=2), template=str(mine)))
    folded = {cell["id"]: cell["metadata"].get("jupyter") for cell in notebook["cells"] if cell["cell_type"] == "code"}
    assert list(folded.values()) == [{"source_hidden": True}, {"source_hidden": True}, None]
    page = render_page(nbformat.reads(notebook_bytes(notebook).decode(), as_version=4), title="t")
    [made] = BeautifulSoup(page, "html.parser").select("#how-this-was-made")
    assert "import pandas" in made.text
    assert "runs.overview" not in made.text


def test_troubled_lists_runs_with_their_problems(runs):
    trouble = runs.failures.troubled()["trouble"]
    assert trouble["mlp-large-batch-seed1"] == "failed"
    assert trouble["mlp-large-batch-seed0"] == "failed; no metric"
    assert trouble["gbm-new-data"].startswith("running, silent for")
    assert trouble["mlp-lr-too-high"] == "train_loss diverges from step 3 and 5 more"
    assert len(trouble) == 4
    assert runs.failures.troubled()["error"].iloc[0].startswith("CUDA out of memory")


def test_the_first_bad_step_equals_that_of_the_mlflow_client(runs, demo):
    client = MlflowClient(demo)
    run_id = runs.failures.troubled()["run_id"]["mlp-lr-too-high"]
    for key, step in runs.failures.first_bad_steps().set_index("metric")["not finite at"].items():
        points = client.get_metric_history(run_id, key)
        assert step == min(p.step for p in points if not abs(p.value) < 1.79e308), key


def test_what_sets_apart_agrees_with_the_finding(runs):
    apart = runs.failures.what_sets_apart()
    assert apart.index[0] == "param batch_size"
    assert apart["value"].iloc[0] == "= 4096"
    assert apart["p"].iloc[0] == pytest.approx(runs.failures.by_value().loc["batch_size", "p"].iloc[0])
    assert apart["p (corrected)"].iloc[0] < 0.05 <= apart["p (corrected)"].iloc[1]


def test_logs_of_failed_runs_come_first_and_end_with_the_error(runs):
    card = runs.failures.log_tails(lines=3)
    assert [tail.status for tail in card.tails][:4] == ["FAILED"] * 4
    log = card.tails[1]
    assert log.path == "logs/train.log"
    assert log.lines[-1].startswith("RuntimeError: CUDA out of memory")
    assert "last 3 of 6 lines" in log.title


def test_without_problems_each_method_gives_a_message(demo):
    selection = NotebookGenerator(demo).select(where=["model=gbm"], status=["FINISHED"])
    well = load_runs(demo, selection.run_ids)
    assert repr(well.failures.troubled()).startswith(f"None of the {len(well)} runs failed")
    assert repr(well.failures.first_bad_steps()).startswith("No metric of 7 runs")
    assert "too few to tell" in repr(well.failures.what_sets_apart())
    assert "has a problem" in repr(well.failures.log_tails())
    assert repr(well.failures.system_at_the_end()) == "No run failed, and no metric went bad."


def test_log_lines_are_shown_literally():
    bad = "<script>alert(1)</script> \x1b[2J $x$ \u202e"
    card = LogCard([LogTail(bad, "FAILED", bad, (bad,), 1, bad)], "one")
    html = card._repr_html_()
    assert "<script" not in html
    assert "\x1b" not in html + repr(card)
    assert "\u202e" not in html + repr(card)


def test_candidates_extend_the_groups(runs):
    table, groups = runs.candidates(["val_loss"]), runs.groups("val_auc")
    assert table["mean val_auc"].dropna().tolist() == pytest.approx(groups["mean val_auc"].dropna().tolist())
    assert table["n"].tolist() == groups["n"].tolist()
    best = table.iloc[0]
    members = runs.metrics.loc[[label for label in runs.metrics.index if label.startswith("mlp-01")]]
    assert best["mean val_loss"] == pytest.approx(members["val_loss"].mean())
    assert best["with model"] == "1 of 3"
    assert runs.tables.run_ids[runs.metrics.index.get_loc(best["best run"])] == best["run_id"]
    assert table.attrs["showing"] == "9 of 9"
    assert runs.candidates(limit=2).attrs["showing"] == "2 of 9"


def test_provenance_counts_runs_by_tags(runs):
    facts = runs.origins.provenance({"experiments": ["churn"], "filter": "", "limit": 24})
    commits = runs.tags["mlflow.source.git.commit"].value_counts().to_dict()
    said = facts.loc[["git commit"]].set_index("value")["runs"].to_dict()
    assert said == commits
    assert facts.loc["dataset (training)", "runs"].tolist() == [23, 1]
    assert facts.loc["chosen by", "value"].tolist() == ["experiments: churn", "limit: 24"]
    assert facts.loc["store", "value"].startswith("sqlite:///")
    picked = runs.origins.provenance({"run_ids": runs.tables.run_ids[:2]})
    assert picked.loc["chosen by", "value"] == "picked one by one"
