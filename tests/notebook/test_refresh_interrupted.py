"""Refreshes that are cut short at any moment, or run beside each other: the files are old or new, and nothing is left."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time

import pytest

from tests.cli.command import QUALIA, environment
from tests.counting import record_count
from tests.notebook.test_interrupted import processes_with
from tests.promises.small_store import write_small_store
from tests.test_refresh import TEMPLATE, new, write_new_run

# How often a refresh is cut short at a random moment: `make soak` sets more.
KILLS = int(os.environ.get("QUALIA_TEST_REFRESH_KILLS", "4"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a notebook and a page of a store that has a new run since."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write_small_store(folder / "mlruns")
    (folder / "fast.py").write_text(TEMPLATE)
    new(folder, "--execute", "--to", "html")
    write_new_run(folder / "mlruns", 4, 0.9)
    return folder


def started(folder, mark):
    """Start a refresh in a process of its own."""
    temporary = folder.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    return subprocess.Popen(
        [*QUALIA, "refresh", "n.ipynb"],
        cwd=folder,
        env=environment(MARK_OF_THIS_TEST=mark, TMPDIR=str(temporary)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def files_of(folder):
    return {name: (folder / name).read_bytes() for name in ("n.ipynb", "n.html")}


def is_new(folder):
    """Whether notebook and page are those of a complete refresh."""
    notebook = json.loads((folder / "n.ipynb").read_text())
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    return (
        any(source.startswith("## What changed") for source in sources) and b"run 4" in (folder / "n.html").read_bytes()
    )


@pytest.mark.slow
def test_a_refresh_that_is_cut_short_leaves_old_or_new_files(place):
    old = files_of(place)
    mark = f"{place}"
    since = time.monotonic()
    with started(place, mark) as process:
        process.communicate(timeout=120)
    seconds = time.monotonic() - since
    assert process.returncode == 0
    assert is_new(place)
    chance = random.Random(7)
    ends, wrong = {}, []
    for turn in range(KILLS):
        for name, data in old.items():
            (place / name).write_bytes(data)
        number = SIGNALS[turn % len(SIGNALS)]
        with started(place, mark) as process:
            time.sleep(chance.uniform(0.05, 1.0) * seconds)
            process.send_signal(number)
            process.communicate(timeout=60)
        ends[process.returncode] = ends.get(process.returncode, 0) + 1
        faults = [] if files_of(place) == old or is_new(place) else ["files that are neither old nor new"]
        faults += ["a kernel is still running"] if processes_with(f"MARK_OF_THIS_TEST={mark}") else []
        # SIGKILL leaves no time to remove what was being written; its name says that it is temporary.
        faults += [str(one) for one in place.rglob("*.tmp") if number != signal.SIGKILL]
        for one in place.rglob("*.tmp"):
            one.unlink()
        if faults:
            wrong.append((number.name, process.returncode, faults))
    record_count(5, "refreshes cut short at a random moment", tried=KILLS, failed=len(wrong))
    assert wrong == []
    assert set(ends) - {0}, "some were cut short"


@pytest.mark.slow
def test_of_two_refreshes_at_once_one_writes_and_the_other_says_why_not(place):
    with started(place, str(place)) as one, started(place, str(place)) as other:
        messages = [process.communicate(timeout=120)[1] for process in (one, other)]
    codes = sorted((one.returncode, other.returncode))
    assert is_new(place)
    assert codes in ([0, 0], [0, 30])  # one may have ended before the other read the file
    if codes == [0, 30]:
        assert any("was changed while its cells were running; the changed file is kept" in text for text in messages)
    assert len(list((place / ".qualia/n.ipynb").glob("*.zip"))) == 1
    assert list(place.rglob("*.tmp")) == []
