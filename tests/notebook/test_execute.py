"""Executing notebooks: progress, timeouts, what is saved on errors, and an environment without secrets."""

from __future__ import annotations

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from qualia_lab.errors import ExecutionFailed, KernelNotStarted, NotebookError, OutputNotWritable
from qualia_lab.notebook.execute import Edit, execute_notebook
from qualia_lab.notebook.kernel_environment import kernel_environment
from qualia_lab.stores.snapshot.hand_over import NAMED_VARIABLE, SNAPSHOT_VARIABLE

SECRET = "s3cr3t-value"


def notebook_of(path: Path, *sources: str) -> Path:
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Title"), *map(new_code_cell, sources)]), path)
    return path


def outputs_of(path: Path) -> list[str]:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return [
        "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_every_cell_runs_and_progress_is_reported(tmp_path):
    path = notebook_of(tmp_path / "n.ipynb", "x = 20", "", "print(x + 22)")
    progress = []
    execute_notebook(path, on_cell=lambda done, total: progress.append((done, total)))
    assert outputs_of(path) == ["", "", "42\n"]
    assert progress == [(0, 2), (1, 2), (2, 2)]


def test_the_kernel_is_the_current_python_and_runs_in_the_folder_of_the_notebook(tmp_path):
    (tmp_path / "deep").mkdir()
    path = notebook_of(tmp_path / "deep" / "n.ipynb", "import os, sys; print(sys.prefix); print(os.getcwd())")
    execute_notebook(path)
    assert outputs_of(path)[0].split() == [sys.prefix, str(tmp_path / "deep")]


def test_the_error_of_a_cell_is_reported_and_earlier_outputs_are_saved(tmp_path):
    path = notebook_of(tmp_path / "n.ipynb", "print('ran')", "1 / 0", "print('not run')")
    with pytest.raises(ExecutionFailed) as error:
        execute_notebook(path)
    assert "Cell 3" in error.value.message
    assert "ZeroDivisionError: division by zero" in error.value.message
    assert "1 / 0" in error.value.message
    assert outputs_of(path) == ["ran\n", "", ""]


def test_a_hanging_cell_is_stopped_after_the_timeout(tmp_path):
    path = notebook_of(tmp_path / "n.ipynb", "print('ran')", "import time; time.sleep(600)")
    started = time.monotonic()
    with pytest.raises(ExecutionFailed, match="ran longer than 1 seconds"):
        execute_notebook(path, timeout=1)
    assert time.monotonic() - started < 60
    assert outputs_of(path)[0] == "ran\n"


def test_a_dead_kernel_is_reported_and_earlier_outputs_are_saved(tmp_path):
    path = notebook_of(tmp_path / "n.ipynb", "print('ran')", "import os; os._exit(9)")
    with pytest.raises(ExecutionFailed, match=r"Cell 3 .* killed its kernel"):
        execute_notebook(path)
    assert outputs_of(path)[0] == "ran\n"


def test_very_long_output_is_truncated_with_a_note(tmp_path):
    path = notebook_of(tmp_path / "n.ipynb", "print('x' * 3_000_000)")
    execute_notebook(path)
    assert outputs_of(path)[0].endswith("[cut by qualia-lab: showing 1,000,000 of 3,000,001 characters]\n")
    assert path.stat().st_size < 1_100_000


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 3, "nbformat": 4}', "not json"])
def test_a_file_that_is_not_a_notebook_is_not_changed(tmp_path, text):
    path = tmp_path / "n.ipynb"
    path.write_text(text)
    with pytest.raises(NotebookError):
        execute_notebook(path)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


SECRETS = {
    "MLFLOW_TRACKING_PASSWORD": SECRET,
    "MLFLOW_TRACKING_USERNAME": "bob-" + SECRET,
    "MLFLOW_TRACKING_TOKEN": SECRET,
    "MLFLOW_TRACKING_URI": f"postgresql://bob:{SECRET}@db/mlflow",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "PGPASSWORD": SECRET,
    "DATABRICKS_TOKEN": SECRET,
    "HTTPS_PROXY": f"http://bob:{SECRET}@proxy:3128",
    "OPENAI_API_KEY": SECRET,
    "MY_DB": f"mysql://root:{SECRET}@h/x?ssl=1",
}


def test_the_kernel_environment_has_no_secrets(tmp_path, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("A_HARMLESS_ONE", "not kept")  # not on the allow-list
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    path = notebook_of(tmp_path / "n.ipynb", "import os; print(dict(os.environ))")
    execute_notebook(path)
    assert SECRET not in path.read_text()
    assert "A_HARMLESS_ONE" not in path.read_text()
    assert "OMP_NUM_THREADS" in path.read_text()
    environment = kernel_environment({"PATH": "/bin", SNAPSHOT_VARIABLE: "of another command"}, {NAMED_VARIABLE: "x"})
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert (environment.get(SNAPSHOT_VARIABLE), environment[NAMED_VARIABLE]) == (None, "x")


@pytest.mark.parametrize("from_file", [True, False])
def test_the_error_for_a_missing_kernel_lists_the_installed_ones(tmp_path, from_file):
    path = notebook_of(tmp_path / "n.ipynb", "1")
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["kernelspec"] = {"name": "julia-1.9", "display_name": "Julia", "language": "julia"}
    nbformat.write(notebook, path)
    before = path.read_bytes()
    with pytest.raises(KernelNotStarted, match=r"requests the kernel julia-1\.9, which is not installed") as error:
        execute_notebook(path, edit=None if from_file else Edit(before))
    assert "Installed: python3" in error.value.hint
    assert "ipykernel" not in str(error.value)
    assert path.read_bytes() == before


def test_a_notebook_saved_during_execution_is_not_overwritten(tmp_path):
    path = notebook_of(tmp_path / "n.ipynb", "print('new')")
    with pytest.raises(NotebookError, match="was changed while its cells were running"):
        execute_notebook(path, on_cell=lambda done, _: done and path.write_text("a person's cell"))
    assert path.read_text() == "a person's cell"
    assert list(tmp_path.iterdir()) == [path]


def test_a_notebook_is_run_in_a_folder_that_did_not_exist(tmp_path):
    there = notebook_of(tmp_path / "n.ipynb", "import os; print(os.getcwd())")
    path = tmp_path / "new" / "folder" / "n.ipynb"
    execute_notebook(path, edit=Edit(there.read_bytes()))
    assert outputs_of(path)[0].strip() == str(path.parent)


def test_a_folder_that_was_made_goes_again_when_nothing_was_written(tmp_path):
    path = tmp_path / "new" / "folder" / "n.ipynb"
    notebook = nbformat.read(notebook_of(tmp_path / "n.ipynb", "1"), as_version=4)
    notebook.metadata["kernelspec"] = {"name": "no-such-kernel", "display_name": "None", "language": "python"}
    with pytest.raises(KernelNotStarted):
        execute_notebook(path, edit=Edit(nbformat.writes(notebook).encode()))
    assert not (tmp_path / "new").exists()


def test_an_unwritable_export_is_reported_before_any_cell_runs(tmp_path):
    path = notebook_of(tmp_path / "n.ipynb", "print('new')")
    before = path.read_bytes()
    (tmp_path / "n.html").mkdir()
    progress = []
    with pytest.raises(OutputNotWritable, match="it is a folder"):
        execute_notebook(path, formats=["html"], on_cell=lambda *done: progress.append(done))
    assert (path.read_bytes(), progress) == (before, [])


def test_the_exported_page_has_the_failing_cell_and_earlier_outputs(tmp_path):
    path = notebook_of(tmp_path / "n.ipynb", "print('ran')", "1 / 0")
    (tmp_path / "n.html").write_text("old")
    with pytest.raises(ExecutionFailed):
        execute_notebook(path, formats=["html"])
    assert "ZeroDivisionError" in (tmp_path / "n.html").read_text()
    assert outputs_of(path)[0] == "ran\n"


def test_executing_works_inside_a_running_event_loop(tmp_path):
    path = notebook_of(tmp_path / "n.ipynb", "print(6 * 7)")

    async def in_a_notebook():
        execute_notebook(path)

    # In a thread of its own: a browser that another test has open runs a loop in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, in_a_notebook()).result()
    assert outputs_of(path) == ["42\n"]
