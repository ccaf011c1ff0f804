"""Ctrl-C and SIGTERM at every stage of an execution leave old or new files only, no processes and no temporary files."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.counting import record_count
from tests.forked import client_of, socket_of

EXECUTE = """
import os, sys, threading, time
from pathlib import Path
from qualia_lab import console
from qualia_lab.generator import NotebookGenerator
from qualia_lab.notebook import execute
from qualia_lab.stores.snapshot import hand_over

uri, path, stage, number = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])

def interrupt():
    os.kill(os.getpid(), number)

def then_interrupt(function):
    def called(*args, **named):
        result = function(*args, **named)
        interrupt()
        return result
    return called

if stage == "handing over":
    hand_over.write_snapshot = then_interrupt(hand_over.write_snapshot)
elif stage == "exporting":
    execute.exported_files = then_interrupt(execute.exported_files)
elif stage == "replacing":
    replace = Path.replace
    Path.replace = lambda old, new: (replace(old, new), Path(new) == path and interrupt())

def on_cell(done, total):
    if stage.startswith("starting") and not done:
        threading.Timer(float(stage.split()[1]), interrupt).start()
    elif stage == "running" and done == 2:
        threading.Timer(0.2, interrupt).start()

console.run(lambda: NotebookGenerator(uri).execute(path, formats=["html"], on_cell=on_cell))
"""


def execute_interrupted(uri, path, stage, number):
    """Return exit code and stderr; assert that no process and no temporary folder is left."""
    temporary = path.parent.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    mark = f"MARK_OF_THIS_TEST={path}"
    done = subprocess.run(
        [*client_of(socket_of("command")), "-c", EXECUTE, uri, path, stage, str(int(number))],
        env=os.environ | dict([mark.split("=", 1)]) | {"TMPDIR": str(temporary)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert not processes_with(mark), "a kernel is still running"
    assert not list(temporary.glob("qualia*"))
    # A slow start is reported after a second.
    return done.returncode, "\n".join(line for line in done.stderr.splitlines() if not line.endswith(" ..."))


def processes_with(mark):
    """Return the processes with this in their environment, after a short wait for those being stopped."""
    for _ in range(20):
        processes = [process for process in Path("/proc").glob("[0-9]*") if mark.encode() in environment_of(process)]
        if not processes:
            break
        time.sleep(0.05)
    return processes


def environment_of(process):
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def store_and_notebook(sqlite_sample, tmp_path):
    """A store, and a notebook of it next to an old page."""
    uri = f"sqlite:///{sqlite_sample}"
    path = tmp_path / "notebooks" / "n.ipynb"
    path.parent.mkdir()
    from qualia_lab.selection import Query
    from qualia_lab.stores.open import open_store

    ids = open_store(uri).read_runs(Query()).column("run_id").to_pylist()[:2]
    parameters = new_code_cell(f"TRACKING_URI = {uri!r}\nRUN_IDS = {ids!r}", metadata={"tags": ["parameters"]})
    cells = [parameters, new_code_cell("print('new')"), new_code_cell("WAIT")]
    nbformat.write(new_notebook(cells=cells), path)
    path.with_suffix(".html").write_text("the old page")
    return uri, path


def files_of(path):
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


def cell_that(path, source):
    path.write_text(path.read_text().replace("WAIT", source))
    return files_of(path)


STAGES = [
    ("handing over", signal.SIGTERM),
    ("starting 0.02", signal.SIGINT),
    ("starting 0.3", signal.SIGTERM),
    ("starting 0.9", signal.SIGINT),
    ("running", signal.SIGINT),
    ("running", signal.SIGTERM),
    ("exporting", signal.SIGINT),
]


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "number"), STAGES)
def test_an_interruption_leaves_only_the_old_notebook_and_page(store_and_notebook, stage, number):
    uri, path = store_and_notebook
    before = cell_that(path, "1" if stage == "exporting" else "import time; time.sleep(600)")
    code, stderr = execute_interrupted(uri, path, stage, number)
    expected = (130, ["", "interrupted"]) if number == signal.SIGINT else (143, ["", "terminated"])
    after = files_of(path)
    record_count(5, "executions interrupted", 1, int((code, stderr.splitlines()) != expected or after != before))
    assert (code, stderr.splitlines()) == expected
    assert after == before


@pytest.mark.slow
def test_an_interruption_between_the_two_renames_waits_until_both_files_are_new(store_and_notebook):
    uri, path = store_and_notebook
    before = cell_that(path, "1")
    code, _ = execute_interrupted(uri, path, "replacing", signal.SIGINT)
    after = files_of(path)
    assert code == 130
    assert set(after) == set(before)
    assert [output.name for output in nbformat.read(path, 4).cells[1].outputs] == ["stdout"]
    assert b"the old page" not in after["n.html"]
