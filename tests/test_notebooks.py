"""Notebooks on all stores, including the hostile one: all cells run, and the contents agree with the store."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

from qualia_lab import NotebookGenerator, Query
from qualia_lab.notebook.parameters import read_parameters

from .notebook.cells import run_cells

pytestmark = pytest.mark.usefixtures("quick_kernels")

# A folder and a database, of which notebooks are executed; of the others the cells are run without a kernel.
EXECUTED = ("packt-hyperparameter-tuning/mlruns", "omegaml/mlflow.sqlite")
OTHERS = (
    "promptchain-examples/mlruns",
    "pycaret-tutorials/tutorials/mlruns",
    "stock-quant/mlruns",
    "stock-quant/mlflow.db",
)

# A user's cell at the end, which counts the contents.
COUNT = "print(len(runs), runs.tables.params.num_rows, runs.tables.metrics.num_rows, len(runs.history()))"


def executed(path: Path):
    """Read a notebook; it must be valid and have no error outputs."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error", (cell.source, output.evalue)
            assert output.get("name") != "stderr", (cell.source, output.text)
    return notebook


def with_own_cell(path: Path, source: str) -> None:
    """Append a cell to a notebook that was not executed yet."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    nbformat.write(notebook, path)


@pytest.mark.parametrize("place", EXECUTED)
def test_a_notebook_shows_the_values_of_a_public_store(place, shared_data, tmp_path):
    generator = NotebookGenerator(shared_data / "stores" / place)
    path = generator.create(output=tmp_path / "notebook.ipynb")
    with_own_cell(path, COUNT)
    generator.execute(path)
    notebook = executed(path)
    run_ids = generator.store.read_runs(Query()).column("run_id").to_pylist()
    assert sorted(read_parameters(path)["RUN_IDS"]) == sorted(run_ids)
    assert notebook.cells[-1].outputs[0].text.split() == [str(number) for number in counts_of(generator, run_ids)]
    shown = [cell for cell in notebook.cells if cell.source.startswith("runs.show(") and cell.outputs]
    assert len(shown) == cells_of_runs(run_ids)


@pytest.mark.parametrize("place", OTHERS)
def test_the_cells_of_a_notebook_show_the_values_of_a_public_store(place, shared_data, capsys):
    generator = NotebookGenerator(shared_data / "stores" / place)
    run_ids = generator.store.read_runs(Query()).column("run_id").to_pylist()
    names = {}
    outputs = run_cells(generator.plan(generator.select()), names=names)
    assert sorted(names["RUN_IDS"]) == sorted(run_ids)
    runs = names["runs"]
    counted = [len(runs), runs.tables.params.num_rows, runs.tables.metrics.num_rows, len(runs.history())]
    assert counted == counts_of(generator, run_ids)
    assert sum(bool(output) for key, output in outputs.items() if key.startswith("run:")) == cells_of_runs(run_ids)
    assert capsys.readouterr().err == ""


def counts_of(generator, run_ids) -> list[int]:
    """How many runs, params, metrics and points the store has."""
    tables = generator.store.read(run_ids)
    points = sum(batch.num_rows for batch in generator.store.read_metric_history(run_ids))
    return [len(run_ids), tables.params.num_rows, tables.metrics.num_rows, points]


def cells_of_runs(run_ids) -> int:
    """How many cells show a run: of many runs the first ones, and one cell for the others."""
    return min(len(run_ids), 25) + (len(run_ids) > 25)


def test_all_cells_of_a_hostile_store_s_notebook_run(hostile_notebook, hostile_store):
    path, _ = hostile_notebook
    uri, canary = hostile_store
    notebook = executed(path)
    assert list(canary.iterdir()) == []
    generator = NotebookGenerator(uri)
    runs = generator.store.read_runs(Query())
    assert sorted(read_parameters(path)["RUN_IDS"]) == sorted(runs.column("run_id").to_pylist())
    for cell in notebook.cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)
    headings = [line for c in notebook.cells if c.cell_type == "markdown" for line in c.source.splitlines()]
    assert sum(line.startswith("# ") for line in headings) == 1


def test_each_hostile_run_alone_gives_a_notebook(hostile_store, tmp_path):
    """They are not executed one by one: they differ in strings only, which must not reach code cells."""
    uri, canary = hostile_store
    generator = NotebookGenerator(uri)
    runs = generator.store.read_runs(Query()).to_pylist()
    assert len(runs) > 100
    sources = set()
    for run in runs:
        plan = generator.plan(generator.select(run_ids=[run["run_id"]]))
        sources |= {cell.source for cell in plan.cells if cell.kind == "code" and cell.key != "parameters"}
        for cell in plan.cells:
            if cell.kind == "code":
                ast.parse(cell.source)
    own = {source for source in sources if not re.fullmatch(r"runs\.show\('[0-9a-f]{32}', folded=True\)", source)}
    assert len(own) < 25  # the same few cells for all
    assert list(canary.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("width", [1280, 2560])
def test_the_page_of_a_hostile_store_has_no_active_content(hostile_notebook, open_offline, width):
    _, page = hostile_notebook
    opened = open_offline(page, width=width)
    opened.page.wait_for_timeout(1500)
    assert opened.pwned is None
    assert opened.page.url == page.as_uri()
    assert opened.requests == [page.as_uri()]
    assert opened.complaints == []
    assert opened.page.locator("h1").count() == 1
    assert opened.page.locator("table").count() > 25
    assert opened.page.locator("script:not([type='application/json'])").count() == 1  # the page's own
    widest = opened.page.evaluate("document.documentElement.scrollWidth")
    assert widest <= width


def test_the_files_of_a_hostile_store_are_shown_without_active_content(hostile_store, open_offline, tmp_path):
    uri, canary = hostile_store
    generator = NotebookGenerator(uri)
    of_artifacts = "tags.`hostile.case_id` LIKE 'ART-%'"
    path = generator.create(filter=of_artifacts, output=tmp_path / "notebook.ipynb", execute=True)
    executed(path)
    page = generator.export(path)
    opened = open_offline(page)
    opened.page.wait_for_timeout(1500)
    assert opened.page.locator("iframe").count() == 1  # the page among them
    assert opened.complaints == []  # its script was removed before the browser saw it
    assert opened.pwned is None
    assert opened.page.url == page.as_uri()
    assert opened.requests == [page.as_uri()]
    assert list(canary.iterdir()) == []
