"""`qualia refresh`: a notebook is brought up to date, and what the user wrote in it stays."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace

import pytest

from qualia_lab import NotebookGenerator, __version__
from qualia_lab.errors import NoRunMatches, NotebookError, TemplateError
from qualia_lab.notebook.build import NAMESPACE
from qualia_lab.notebook.generated import cell_key, generated_as_metadata, read_generated
from qualia_lab.refresh.opened import open_notebook
from qualia_lab.refresh.refreshing import refresh_notebook
from tests.cli.command import QUALIA, run_here
from tests.promises.small_store import run_id_of, write_small_store
from tests.stores.mlruns import write, write_run
from tests.stores.test_snapshot import snapshot

pytestmark = pytest.mark.usefixtures("quick_kernels")

TEMPLATE = """\
# %% [markdown] section="title"
# %% section="setup" tags=["hide-input"]
# %% section="configuration" tags=["hide-input"]
# %% section="loading" tags=["hide-input"]
# %% section="headline"
# %% section="findings"
# %% section="overview"
# %% section="each_run"
"""


def write_new_run(store, number, value, *, status="3", name=None) -> str:
    """Add a run to the store of `write_small_store`; its value is that of val_auc."""
    start = 1_770_000_000_000 + 60_000 * number
    write_run(
        store / "1",
        run_id_of(number),
        params={"lr": f"0.{number:04}"},
        metrics={"val_auc": [(start + step, value - (4 - step) / 1000, step) for step in range(5)]},
        run_name=name or f"run {number}",
        start_time=start,
        end_time=start + 30_000,
        status=status,
    )
    return run_id_of(number)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a store of three runs, mlruns, and a template, fast.py; it is the current folder."""
    monkeypatch.chdir(tmp_path)
    write_small_store(tmp_path / "mlruns")
    (tmp_path / "fast.py").write_text(TEMPLATE)
    return tmp_path


def new(place, *args):
    """Make a notebook, n.ipynb, with `qualia new`."""
    done = run_here(
        QUALIA,
        "new",
        "--tracking-uri",
        "mlruns",
        "--template",
        "fast.py",
        "--output",
        "n.ipynb",
        "--yes",
        *args,
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    return place / "n.ipynb"


def change(path, function):
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    function(notebook["cells"])
    path.write_text(json.dumps(notebook))


def by_key(path) -> dict:
    return {cell_key(cell) or cell["id"]: cell for cell in json.loads(path.read_text())["cells"]}


def source_of(path, key) -> str:
    return "".join(by_key(path)[key]["source"])


def set_value(path, before, after):
    """Change a line of the parameters cell."""

    def edit(cells):
        for cell in cells:
            if cell_key(cell) == "parameters":
                assert before in cell["source"]
                cell["source"] = cell["source"].replace(before, after)

    change(path, edit)


def test_a_notebook_takes_up_new_runs_and_keeps_what_was_written_in_it(place):
    path = new(place, "--by", "val_auc:max", "--top", "3", "--execute", "--to", "html")
    made, page = path.read_bytes(), (place / "n.html").read_bytes()

    unchanged = run_here(QUALIA, "refresh", "n.ipynb", cwd=place)
    assert unchanged.returncode == 0
    assert "no run and no cell changed since its cells ran. Nothing was written." in unchanged.stderr
    assert (path.read_bytes(), (place / "n.html").read_bytes()) == (made, page)
    assert not (place / ".qualia").exists()

    def edit(cells):
        cells.append({"cell_type": "code", "id": "mine", "metadata": {}, "outputs": [], "execution_count": None,
                      "source": "print('seen', len(runs))"})  # fmt: skip
        for cell in cells:
            if cell_key(cell) == "title":
                cell["source"] += "\n\nFor the team."

    change(path, edit)
    edited = path.read_bytes()
    write_new_run(place / "mlruns", 4, 0.9, name="the new one")
    done = run_here(QUALIA, "refresh", "n.ipynb", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    [report] = json.loads(done.stdout)
    assert report["runs"]["new"] == {run_id_of(4): "the new one"}
    assert report["runs"]["gone"] == {run_id_of(1): "run 1"}
    assert "the new one" not in str(report["headline"]["before"])
    assert report["headline"]["before"] != report["headline"]["now"]
    assert report["cells"]["kept"] == ["title"]
    assert report["cells"]["added"] == ["changes:1", f"run:{run_id_of(4)}"]
    assert report["cells"]["removed"] == [f"run:{run_id_of(1)}"]
    assert report["cells"]["your_own"] == 1
    assert report["exports"] == ["html"]

    assert by_key(path)["mine"]["outputs"][0]["text"] in ("seen 3\n", ["seen 3\n"])
    assert source_of(path, "title").endswith("For the team.")
    assert f"'{run_id_of(4)}'" in source_of(path, "parameters")
    changes = source_of(path, "changes:1")
    assert changes.startswith("## What changed since 20")
    assert "**1 run new**: the new one" in changes
    assert "**1 run no longer selected**: run 1" in changes
    assert "What changed since" in (place / "n.html").read_text()
    assert list(by_key(path))[list(by_key(path)).index("headline:chart") + 1] == "changes:1"

    refreshed = path.read_bytes()
    assert "Nothing was written" in run_here(QUALIA, "refresh", "n.ipynb", cwd=place).stderr
    assert path.read_bytes() == refreshed

    undone = run_here(QUALIA, "refresh", "n.ipynb", "--undo", cwd=place)
    assert undone.returncode == 0
    assert undone.stdout.splitlines() == ["n.ipynb", "n.html"]
    assert (path.read_bytes(), (place / "n.html").read_bytes()) == (edited, page)
    assert (place / ".qualia/n.ipynb/undone-1.ipynb").read_bytes() == refreshed
    assert (place / ".qualia/.gitignore").read_text() == "*\n"
    again = run_here(QUALIA, "refresh", "n.ipynb", "--undo", cwd=place)
    assert again.returncode == NotebookError.exit_code
    assert "There is nothing to undo for n.ipynb." in again.stderr

    compared = run_here(QUALIA, "changes", "n.ipynb", ".qualia/n.ipynb/undone-1.ipynb", cwd=place)
    assert compared.stdout.splitlines()[:2] == ["1 run new: the new one", "1 run no longer selected: run 1"]


def test_a_file_that_was_changed_meanwhile_is_kept(place):
    path = new(place)

    def write_meanwhile(done, _):
        if done == 1:
            path.write_text("somebody else's notebook")

    with pytest.raises(NotebookError, match="was changed while its cells were running; the changed file is kept"):
        refresh_notebook(path, executing=lambda: nullcontext(write_meanwhile))
    assert path.read_text() == "somebody else's notebook"
    assert [file.name for file in place.iterdir() if file.name.startswith(".") or file.suffix == ".tmp"] == []


# What a refresh would do, without running cells


def would_be(path, **arguments):
    before = path.read_bytes()
    result = refresh_notebook(path, dry_run=True, **arguments)
    assert path.read_bytes() == before
    return result


def parameters_after(path, **arguments) -> str:
    cells = would_be(path, **arguments).merged.cells
    return next(cell["source"] for cell in cells if cell_key(cell) == "parameters")


def test_picked_runs_stay(place):
    path = new(place, "--run", run_id_of(2), "--run", run_id_of(1))
    write_new_run(place / "mlruns", 4, 0.9)
    result = would_be(path)
    assert (result.changes.new_runs, result.changes.gone_runs) == ({}, {})


def test_all_runs_of_an_experiment_take_up_new_ones_and_drop_deleted_ones(place):
    path = new(place, "--experiment", "small")
    write_new_run(place / "mlruns", 4, 0.9)
    shutil.rmtree(place / "mlruns/1" / run_id_of(1))
    result = would_be(path)
    assert result.changes.new_runs == {run_id_of(4): "run 4"}
    assert list(result.changes.gone_runs) == [run_id_of(1)]


def test_run_ids_that_the_user_changed_win_over_the_conditions(place):
    path = new(place, "--experiment", "small")
    set_value(
        path,
        f"    '{run_id_of(1)}',\n"
        if f"    '{run_id_of(1)}',\n" in source_of(path, "parameters")
        else f", '{run_id_of(1)}'",
        "",
    )
    result = would_be(path)
    assert run_id_of(1) not in next(cell["source"] for cell in result.merged.cells if cell_key(cell) == "parameters")
    assert "run_ids" in next(cell["source"] for cell in result.merged.cells if cell_key(cell) == "parameters")


def test_conditions_that_the_user_changed_are_used(place):
    path = new(place, "--experiment", "small")
    set_value(path, "CHOSEN_BY = {'experiments': ['small']}", "CHOSEN_BY = {'where': ['val_auc>0.52']}")
    assert would_be(path).changes.gone_runs == {run_id_of(1): run_id_of(1)[:8]}


@pytest.mark.parametrize(
    ("before", "after", "flag"),
    [
        ("PRIMARY_METRIC = 'val_auc'", "PRIMARY_METRIC = 'val_auc'\nMINE = 1", None),
        ("GREATER_IS_BETTER = None", "GREATER_IS_BETTER = False", "GREATER_IS_BETTER = False"),
        ("SEEDS = None", "SEEDS = ['lr']", "SEEDS = ['lr']"),
        ("FACTORS = []", "FACTORS = ['lr']", "FACTORS = ['lr']"),
        ("POOL = False", "POOL = True", "POOL = True"),
    ],
)
def test_values_that_the_user_changed_are_given_to_the_study_and_stay(place, before, after, flag):
    path = new(place)
    set_value(path, before, after)
    given = open_notebook(path).settings()
    if flag is None:
        assert given.metric is None
    else:
        name = {"GREATER_IS_BETTER": "better"}.get(flag.split()[0], flag.split()[0].lower())
        assert getattr(given, name) in ({"val_auc": "lower"}, ("lr",), True)
    assert after in parameters_after(path)


def test_flags_that_were_given_are_given_again(place):
    path = new(place, "--metric", "val_auc:min", "--seeds", "lr", "--title", "Ours")
    given = open_notebook(path)
    assert (given.settings().metric, given.settings().better, given.settings().seeds) == (
        "val_auc",
        {"val_auc": "lower"},
        ("lr",),
    )
    write_new_run(place / "mlruns", 4, 0.9)
    title = next(cell["source"] for cell in would_be(path).merged.cells if cell_key(cell) == "title")
    assert title.startswith("# Ours\n")
    assert "--metric val_auc:min --seeds lr" in title


def test_another_template_moves_the_notebook(place):
    path = new(place)
    set_value(path, "POOL = False", "POOL = False\nMINE = 1")
    result = would_be(path, template="debug")
    keys = [cell_key(cell) for cell in result.merged.cells]
    assert "failures" in " ".join(keys)
    assert "MINE = 1" in parameters_after(path, template="debug")
    (place / "fast.py").unlink()
    with pytest.raises(TemplateError, match=r"There is no template at fast\.py"):
        refresh_notebook(path)


def test_a_condition_with_a_masked_secret_keeps_the_runs(place):
    path = new(place, "--experiment", "small")
    set_value(path, "{'experiments': ['small']}", "{'filter': \"params.api_key = '‹masked›'\"}")
    write_new_run(place / "mlruns", 4, 0.9)
    result = would_be(path)
    assert result.changes.new_runs == {}
    assert result.notes == ("The runs were chosen by a value that is masked here, so they stay the same.",)


def test_a_notebook_of_the_first_version_is_brought_to_this_one(place):
    path = new(place)
    notebook = json.loads(path.read_text())
    generated = read_generated(notebook)
    notebook["metadata"][NAMESPACE] = {"version": "0.0.9", "template": "observe", "base": dict(generated.base)}
    path.write_text(json.dumps(notebook))
    write_new_run(place / "mlruns", 4, 0.9)
    result = would_be(path)
    assert result.changes.new_runs == {run_id_of(4): "run 4"}
    assert result.merged.keys("offered") == ()
    assert result.notes == (f"It was made by qualia-lab 0.0.9: its generated cells become those of {__version__}.",)


def test_a_removed_record_is_said(place):
    path = new(place)
    notebook = json.loads(path.read_text())
    del notebook["metadata"][NAMESPACE]
    path.write_text(json.dumps(notebook))
    assert would_be(path, template="fast.py").notes == (
        (
            "A tool removed the record of what was generated: cells that you edited stay, and the template is observe "
            "unless --template names another."
        ),
    )


def test_a_relative_store_is_found_from_any_folder(place, monkeypatch):
    path = new(place)
    set_value(path, f"TRACKING_URI = {source_of(path, 'parameters').split()[2]}", "TRACKING_URI = 'mlruns'")
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    write(place / "elsewhere/fast.py", TEMPLATE)
    assert parameters_after(path).startswith("TRACKING_URI = 'mlruns'\n")


# What is refused, in a sentence each


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "There is no notebook at"),
        (lambda path: path.write_text("{"), "cannot be read as a notebook"),
        (lambda path: path.write_text(json.dumps({"nbformat": 4, "metadata": {}, "cells": []})), "was not made by qualia-lab"),
        (lambda path: set_value(path, "TRACKING_URI = ", "TRACKING = "), "has no TRACKING_URI in a cell tagged parameters"),
        (lambda path: set_value(path, "CHOSEN_BY = {", "CHOSEN_BY = {'nothing': 1, "), "CHOSEN_BY in the parameters cell"),
        (lambda path: set_value(path, "RUN_IDS = [", "RUN_IDS = sorted(["), "is not valid Python"),
    ],
)  # fmt: skip
def test_what_is_no_notebook_of_ours_is_refused(place, damage, message):
    path = new(place)
    damage(path)
    with pytest.raises(NotebookError, match=message) as raised:
        refresh_notebook(path)
    assert raised.value.hint


def test_no_run_that_matches_leaves_the_notebook_as_it_is(place):
    path = new(place, "--where", "val_auc>0.5")
    for number in (1, 2, 3):
        shutil.rmtree(place / "mlruns/1" / run_id_of(number))
    write_new_run(place / "mlruns", 4, 0.1)
    before = path.read_bytes()
    with pytest.raises(NoRunMatches):
        refresh_notebook(path)
    assert path.read_bytes() == before


def test_a_folder_is_refreshed_and_one_fault_does_not_stop_the_rest(place):
    path = new(place)
    shutil.copy(path, place / "a.ipynb")
    set_value(place / "a.ipynb", "CHOSEN_BY = {", "CHOSEN_BY = {'nothing': 1, ")
    write(place / "other.ipynb", json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}))
    write_new_run(place / "mlruns", 4, 0.9)
    done = run_here(QUALIA, "refresh", "--all", ".", "--dry-run", cwd=place)
    assert done.returncode == NotebookError.exit_code
    assert "CHOSEN_BY in the parameters cell of a.ipynb is invalid" in done.stderr
    assert "1 run new: run 4" in done.stderr
    assert "1 of 2 notebooks could not be refreshed" in done.stderr


@pytest.fixture
def planned(monkeypatch):
    """The dates that plans were made with; a list that grows."""
    dates = []

    def recorded(self, *args, original=NotebookGenerator.plan, **options):
        dates.append(options.get("written"))
        return original(self, *args, **options)

    monkeypatch.setattr(NotebookGenerator, "plan", recorded)
    return dates


def test_a_notebook_of_today_is_planned_once_and_an_older_one_gets_the_date_of_today(place, planned):
    path = new(place)
    today = read_generated(json.loads(path.read_text())).given["date"]
    planned.clear()
    refresh_notebook(path, dry_run=True)
    assert planned == [today]
    planned.clear()
    notebook = json.loads(path.read_text())
    generated = read_generated(notebook)
    notebook["metadata"][NAMESPACE] = generated_as_metadata(
        replace(generated, given={**generated.given, "date": "2026-01-02"})
    )
    path.write_text(json.dumps(notebook))
    merged = refresh_notebook(path, dry_run=True).merged
    assert planned == ["2026-01-02", None]
    assert f"Written on {today}" in merged.cells[0]["source"]


def test_a_notebook_of_an_engine_says_that_its_cells_run_each_time_and_claims_no_new_runs(place, planned):
    snapshot("mlruns", place / "snap")
    with NotebookGenerator(f"snapshot:{place / 'snap'}") as generator:
        plan = generator.plan(generator.select(experiments=["1"]), engine="duckdb")
        path = generator.write(plan, place / "n.ipynb")
    planned.clear()
    refreshed = refresh_notebook(path, dry_run=True)
    assert planned == [None]
    assert refreshed.is_changed
    assert refreshed.changes.is_empty
    assert refreshed.notes == ("An engine does not tell whether its runs changed, so its cells run each time.",)
