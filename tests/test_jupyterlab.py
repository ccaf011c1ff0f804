"""JupyterLab in a real browser: cells can be rerun, and nothing in a hostile store is executed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

from qualia_lab import NotebookGenerator
from qualia_lab.notebook.undo import undo
from qualia_lab.refresh.refreshing import refresh_notebook

from .promises.small_store import run_id_of, write_small_store
from .promises.test_hostile_values import values  # noqa: F401 - a fixture
from .servers import free_port
from .test_genai_pages import hostile_notebooks  # noqa: F401 - a fixture
from .test_refresh import TEMPLATE, write_new_run

TOKEN = "for-this-test"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab of this Python, and its folder."""
    folder, port = tmp_path_factory.mktemp("lab"), free_port()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", "--ip=127.0.0.1", f"--port={port}"),
        *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}", "--expose-app-in-browser"),
        "--LabApp.news_url=None",
    ]
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(folder / ".config")}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/api?token={TOKEN}"):
                break
            assert server.poll() is None, "JupyterLab ended"
            time.sleep(0.2)
        yield url, folder
        server.terminate()


@pytest.fixture
def page(chromium):
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    yield context.new_page()
    context.close()


def opened(page, url, name):
    """Open the notebook in JupyterLab; the URLs of requests to other hosts."""
    elsewhere = []
    page.on("request", lambda request: request.url.startswith((url, "data:", "blob:")) or elsewhere.append(request.url))
    page.goto(f"{url}/doc/tree/{name}?token={TOKEN}&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    return elsewhere


def run_all_and_save(page, path) -> list:
    """Run all cells by the menu and save; return the non-empty code cells."""
    page.wait_for_function("window.jupyterapp && window.jupyterapp.shell.currentWidget", timeout=60_000)
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')", None)
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    for _ in range(600):
        notebook = nbformat.read(path, as_version=4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
        if all(cell.execution_count for cell in code):
            return code
        time.sleep(0.2)
        page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    pytest.fail(f"not run: {[cell.source for cell in code if not cell.execution_count]}")


def test_every_cell_can_be_rerun_in_jupyterlab(lab, page, sqlite_sample):
    url, folder = lab
    path = NotebookGenerator(f"sqlite:///{sqlite_sample}").create(output=folder / "sample.ipynb")
    elsewhere = opened(page, url, "sample.ipynb")
    code = run_all_and_save(page, path)
    assert len(code) > 15
    errors = [(cell.source, out.evalue) for cell in code for out in cell.outputs if out.output_type == "error"]
    assert errors == []
    assert page.locator(".jp-OutputArea-output img, .jp-OutputArea-output .js-plotly-plot").count() > 0
    assert elsewhere == []


def test_a_notebook_of_a_hostile_store_runs_no_script_in_jupyterlab(lab, page, hostile_notebook):
    url, folder = lab
    (folder / "hostile.ipynb").write_bytes(hostile_notebook[0].read_bytes())
    elsewhere = opened(page, url, "hostile.ipynb")
    code = run_all_and_save(page, folder / "hostile.ipynb")  # outputs of cells run by the user are trusted and rendered
    assert [out.evalue for cell in code for out in cell.outputs if out.output_type == "error"] == []
    page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTo(0, 1e9)")
    page.wait_for_timeout(1000)
    assert page.evaluate("document.documentElement.getAttribute('data-pwned')") is None
    assert page.url.startswith(url)
    assert elsewhere == []


def test_a_notebook_of_hostile_traces_runs_no_script_in_jupyterlab(lab, page, hostile_notebooks):  # noqa: F811
    url, folder = lab
    name = "evaluate.ipynb"  # which has the sections of traces, too
    (folder / name).write_bytes((hostile_notebooks / name).read_bytes())
    elsewhere = opened(page, url, name)
    code = run_all_and_save(page, folder / name)
    assert [out.evalue for cell in code for out in cell.outputs if out.output_type == "error"] == []
    for _ in range(4):  # outputs are drawn when they come into sight
        page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollBy(0, 2500)")
        page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.getAttribute('data-pwned')") is None
    assert page.url.startswith(url)
    assert elsewhere == []


def test_a_notebook_edited_in_jupyterlab_is_refreshed_and_undone(lab, page, tmp_path):
    """Generate, edit in the browser, save, add runs, refresh, edit again, refresh, undo."""
    url, folder = lab
    write_small_store(tmp_path / "mlruns")
    (tmp_path / "fast.py").write_text(TEMPLATE)
    path = folder / "refreshed.ipynb"
    with NotebookGenerator(tmp_path / "mlruns") as generator:
        plan = generator.plan(generator.select(by="val_auc:max", top=2), template=str(tmp_path / "fast.py"))
        generator.write(plan, path)
    opened(page, url, path.name)
    page.wait_for_function("window.jupyterapp && window.jupyterapp.shell.currentWidget", timeout=60_000)
    type_in_new_cell(page, "print('first note')")
    page.keyboard.press("c")
    page.keyboard.press("v")
    save(page)
    wait_until(lambda: path.read_text().count("first note") == 2)

    write_new_run(tmp_path / "mlruns", 4, 0.9)
    refreshed = refresh_notebook(path)
    assert refreshed.changes.new_runs == {run_id_of(4): "run 4"}
    assert refreshed.merged.own == 2
    assert path.read_text().count("print('first note')") == 2
    page.evaluate("window.jupyterapp.shell.currentWidget.context.revert()")  # as File > Reload from Disk does
    model = "JSON.stringify(window.jupyterapp.shell.currentWidget.content.model.toJSON())"
    page.wait_for_function(f"{model}.includes('## What changed')", timeout=60_000)
    type_in_new_cell(page, "print('second note')")
    save(page)
    wait_until(lambda: "second note" in path.read_text())
    edited = path.read_bytes()

    write_new_run(tmp_path / "mlruns", 5, 0.95)
    refresh_notebook(path)
    sources = ["".join(cell.source) for cell in nbformat.read(path, 4).cells]
    assert sources.count("print('first note')") == 2
    assert sources.count("print('second note')") == 1
    assert undo(path, ()).left == 1
    assert path.read_bytes() == edited


def type_in_new_cell(page, source):
    """Click the first cell, insert one below it by the keyboard, and type into it."""
    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.type(source)
    page.keyboard.press("Escape")


def save(page):
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")


def wait_until(is_so):
    for _ in range(100):
        if is_so():
            return
        time.sleep(0.1)
    pytest.fail("the notebook was not saved")
