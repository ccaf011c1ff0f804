"""Promise 5: files are replaced whole or not at all, whatever call of the system fails, and whenever it is cut short.

A kernel is started by none of these: notebook and page are written in the same way without one. How an executing kernel
is interrupted is in tests/notebook/test_interrupted.py, a killed `qualia snapshot` in tests/stores/test_snapshot.py.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from qualia_lab.cli import new as cli_new  # noqa: F401 - imported before the calls are counted
from qualia_lab.errors import OutputNotWritable
from qualia_lab.files import write_files_atomically
from qualia_lab.notebook import execute
from qualia_lab.notebook.page.render import render_page
from tests.cli.command import CHECKOUT, QUALIA, environment, run_here
from tests.stores.content import content

from .faulty_os import ERRORS, Disk
from .small_store import words_of, write_small_store

# How often a command is cut short at a random moment: `make soak` sets more.
KILLS = int(os.environ.get("QUALIA_TEST_KILLS", "24"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("store") / "mlruns"
    write_small_store(root)
    return root


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def leftovers(folder: Path) -> list[str]:
    return [name for name in files_of(folder) if name.endswith(".tmp")]


def is_one_sentence(done: subprocess.CompletedProcess) -> bool:
    """Whether a failed command says in one sentence what cannot be written, and in another what to do."""
    labels = re.findall(r"(?m)^(error|hint): .+\.$", done.stderr)
    return (
        done.returncode == OutputNotWritable.exit_code
        and labels == ["error", "hint"]
        and "Cannot write" in done.stderr
        and "bug" not in done.stderr
        and "Traceback" not in done.stderr
    )


def places_of(calls: list[str]) -> list[int]:
    """The calls at which something is to fail: of many writes to one file the first and the last."""
    between = ["write"] * 3
    return [place for place in range(len(calls)) if calls[max(place - 1, 0) : place + 2] != between]


def every_call(folder: Path, once, reset, errors=ERRORS):
    """Do something with each of its calls failing in turn, each error once and lasting, or of many calls in turns; yields (where, result).

    once: does it.  reset: puts the folder back.
    """
    reset()
    with Disk(folder).refusing() as disk:
        once()
    calls = disk.calls
    for place in places_of(calls):
        for error in errors:
            for lasting in (False, True) if len(calls) < 60 else (place % 2 == 0,):
                reset()
                with Disk(folder, place, error, lasting=lasting).refusing():
                    result = once()
                yield f"{calls[place]} ({place} of {len(calls)}), {os.strerror(error)}, lasting={lasting}", result


# The writer itself


def write_or_say(files):
    try:
        write_files_atomically(files)
    except OutputNotWritable as error:
        return error
    return None


@pytest.mark.parametrize("there", ["nothing", "old files", "a link", "no folder"])
def test_every_call_of_the_writer_may_fail(there, out, record_counts):
    target, page = out / "deep" / "n.ipynb", out / "deep" / "n.html"
    elsewhere = out / "elsewhere"

    def reset():
        shutil.rmtree(out)
        elsewhere.mkdir(parents=True)
        if there != "no folder":
            target.parent.mkdir()
        if there == "a link":
            (elsewhere / "real.ipynb").write_bytes(b"old notebook")
            target.symlink_to(elsewhere / "real.ipynb")
        if there == "old files":
            target.write_bytes(b"old notebook")
        if there in ("old files", "a link"):
            page.write_bytes(b"old page")

    reset()
    old = files_of(out)
    new = {"n.ipynb": b"new notebook" * 1000, "n.html": b"new page" * 1000}
    tried, wrong = 0, []
    for where, error in every_call(out, lambda: write_or_say({target: new["n.ipynb"], page: new["n.html"]}), reset):
        tried += 1
        found = files_of(out)
        if error is None:
            whole = (target.read_bytes(), page.read_bytes()) == (new["n.ipynb"], new["n.html"])
            whole = whole and (there != "a link" or target.is_symlink())
        elif "is new already" in error.message:
            # Where all is refused from the second rename on, what the first one did cannot be taken back.
            whole = "lasting=True" in where and target.read_bytes() == new["n.ipynb"]
            whole = whole and found.get("deep/n.html") == old.get("deep/n.html")
        else:
            whole = found == old and error.message.startswith("Cannot write") and bool(error.hint)
        if not whole or leftovers(out):
            wrong.append((where, str(error), {name: data[:12] for name, data in found.items()}))
    record_counts(promise=5, kind="calls of the writer that fail", tried=tried, failed=len(wrong))
    assert tried >= 90
    assert not wrong, wrong


# The commands


@pytest.fixture
def quick(monkeypatch):
    """What comes before the writing takes no time: no kernel, and the page is made once."""
    page = functools.cache(lambda: render_page(nbformat.v4.new_notebook(cells=[]), title="a page").encode())
    monkeypatch.setattr(execute, "run_cells", lambda *_, **__: None)
    monkeypatch.setattr(execute, "exported_files", lambda _notebook, _fmt, target, *_options: {target: page()})


COMMANDS = {
    "new": ("new", "--tracking-uri", "STORE", "--yes", "--force", "--output", "OUT/n.ipynb"),
    "new, executed and exported": (
        *("new", "--tracking-uri", "STORE", "--yes", "--force", "--execute", "--to", "html", "--output", "OUT/n.ipynb"),
    ),
    "execute": ("execute", "OUT/n.ipynb", "--to", "html"),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", COMMANDS)
def test_every_call_of_a_command_may_fail(name, store, out, record_counts):
    words = words_of(COMMANDS[name], store, out)
    made = run_here(QUALIA, *COMMANDS["new"][:2], store, "--yes", "--output", out / "n.ipynb", cwd=out)
    assert made.returncode == 0, made.stderr
    notebook = (out / "n.ipynb").read_text()
    # What a person has written, which only the new notebook of `new --force` may replace.
    old = {"n.ipynb": notebook.replace('"cells": [', '"cells":  [').encode(), "n.html": b"the old page"}

    def reset():
        for one in out.iterdir():
            one.unlink()
        for file, data in old.items():
            (out / file).write_bytes(data)

    tried, wrong = 0, []
    errors = ERRORS if name == "new" else ERRORS[:1]
    for where, done in every_call(out, lambda: run_here(QUALIA, *words, cwd=out), reset, errors):
        tried += 1
        found = files_of(out)
        if done.returncode == 0:
            nbformat.validate(nbformat.reads(found["n.ipynb"].decode(), 4))
            whole = found["n.ipynb"] != old["n.ipynb"] and set(found) == set(old)
            whole = whole and (name == "new" or b"</html>" in found["n.html"])
        elif "is new already" in done.stderr:
            # Where all is refused from the second rename on, what the first one did cannot be undone.
            whole = "lasting=True" in where and found["n.html"] == old["n.html"] and is_one_sentence(done)
        else:
            whole = found == old and is_one_sentence(done)
        if not whole:
            wrong.append((where, done.returncode, done.stderr, sorted(found)))
    record_counts(promise=5, kind=f"calls of qualia {name} that fail", tried=tried, failed=len(wrong))
    assert tried >= 14
    assert not wrong, wrong


@pytest.fixture(scope="module")
def two_snapshots(store, tmp_path_factory):
    """A snapshot of two runs, and what is in it and in one of all runs."""
    folder = tmp_path_factory.mktemp("snapshots")
    for name, more in (("old", ("--limit", "2")), ("new", ())):
        done = run_here(QUALIA, "snapshot", store, folder / name, "--artifacts", *more, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder / "old", content(f"snapshot:{folder / 'old'}"), content(f"snapshot:{folder / 'new'}")


def test_every_call_of_a_snapshot_may_fail(store, two_snapshots, out, record_counts):
    old, before, after = two_snapshots
    place = out / "kept"

    def reset():
        shutil.rmtree(out)
        shutil.copytree(old, place)

    def take():
        return run_here(QUALIA, "snapshot", store, place, "--artifacts", "--force", "--again", cwd=CHECKOUT)

    tried, wrong = 0, []
    for where, done in every_call(out, take, reset, ERRORS[:1]):
        tried += 1
        found = content(f"snapshot:{place}")
        whole = found == after if done.returncode == 0 else found in (before, after) and is_one_sentence(done)
        if not whole or leftovers(out):
            wrong.append((where, done.returncode, done.stderr, len(found), leftovers(out)))
    record_counts(promise=5, kind="calls of qualia snapshot that fail", tried=tried, failed=len(wrong))
    assert tried >= 50
    assert not wrong, wrong
    # What the last failed one left beside the old one is used or removed by the next.
    assert take().returncode == 0
    manifest = json.loads((place / "manifest.json").read_text())
    named = {file["file"] for part in [manifest, *manifest["parts"]] for file in part.get("tables", part.get("files"))}
    assert set(files_of(place)) == named | {"manifest.json"}


def test_a_disk_that_is_full_after_so_many_bytes(store, two_snapshots, out, record_counts):
    """By the system's own limit of a file's size, which Arrow's writer meets as Python's does."""
    old, before, after = two_snapshots
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    tried, wrong = 0, []
    for limit in (0, 1, 100, 500, 1000, 2000, 3000, 5000, 10_000_000):
        place = out / "kept"
        shutil.rmtree(out)
        shutil.copytree(old, place)
        (out / "n.ipynb").write_bytes(b"old")
        for words in (
            ("snapshot", store, place, "--force", "--again"),
            ("new", "--tracking-uri", store, "--yes", "--force", "--output", out / "n.ipynb"),
        ):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            try:
                done = run_here(QUALIA, *words, cwd=CHECKOUT)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            tried += 1
            found = {"snapshot": content(f"snapshot:{place}"), "new": (out / "n.ipynb").read_bytes()}[words[0]]
            old_one = {"snapshot": before, "new": b"old"}[words[0]]
            if done.returncode:
                whole = found == old_one and is_one_sentence(done)
            else:
                whole = found == after if words[0] == "snapshot" else found.rstrip().endswith(b"}")
            if not whole or leftovers(out):
                wrong.append((limit, words[0], done.returncode, done.stderr))
    gc.collect()  # files that could not be closed
    record_counts(promise=5, kind="files past the largest size", tried=tried, failed=len(wrong))
    assert done.returncode == 0, "the last limit is none"
    assert not wrong, wrong


# Cut short

FORKING = """
import importlib, json, os, pkgutil, signal, sys, time
from pathlib import Path
import nbformat, pyarrow.compute, pyarrow.parquet
import qualia_lab
from qualia_lab.cli.main import main
for module in pkgutil.walk_packages(qualia_lab.__path__, "qualia_lab."):
    if module.name.split(".")[1] in ("cli", "generator", "notebook", "sections", "stores", "study"):
        importlib.import_module(module.name)
from qualia_lab.notebook import execute
from qualia_lab.notebook.page.render import render_page
from tests.cli.command import QUALIA, run_here
from tests.promises.faulty_os import Disk

execute.run_cells = lambda *_, **__: None
page = render_page({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, title="a page").encode()
execute.exported_files = lambda _notebook, _fmt, target, *_options: {target: page}

def started(words):
    child = os.fork()
    if child:
        return child
    sys.argv = ["qualia", *words]
    # What is said is nobody's concern here.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    disk = Disk(Path(folder), at, None).refusing() if at is not None else None
    try:
        if disk is not None:
            disk.__enter__()
        main()
    except SystemExit as end:
        os._exit(end.code or 0)
    os._exit(99)

at = folder = None
for line in sys.stdin:
    asked = json.loads(line)
    at, folder = asked.get("at"), asked["folder"]
    begun = time.monotonic()
    child = started(asked["words"])
    if "after" in asked:
        time.sleep(asked["after"])
        try:
            os.kill(child, asked["signal"])
        except ProcessLookupError:
            pass
    _, status = os.waitpid(child, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), time.monotonic() - begun]), flush=True)
"""


@pytest.fixture(scope="module")
def forking():
    """A process that has imported everything and forks for each command: `forking(words, folder, ...)`.

    at: the call at which SIGKILL ends the command.  after, signal: seconds after which it gets that signal.
    Gives the exit code and the seconds it took.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", FORKING], cwd=CHECKOUT, env=environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def ask(words, folder, **how):
        process.stdin.write(json.dumps({"words": [str(word) for word in words], "folder": str(folder)} | how) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.stdin.close()
    process.wait(30)


SNAPSHOT = ("snapshot", "STORE", "OUT/kept", "--artifacts", "--force", "--again")


class Pages:
    """An old notebook, page and snapshot in a folder, and whether they are whole."""

    def __init__(self, out: Path, store: Path, two_snapshots) -> None:
        self.out, self.store = out, store
        self.old_snapshot, *self.snapshots = two_snapshots
        made = run_here(QUALIA, *COMMANDS["new"][:2], store, "--yes", "--output", out / "n.ipynb", cwd=out)
        assert made.returncode == 0, made.stderr
        self.notebook = (out / "n.ipynb").read_bytes().replace(b'"cells": [', b'"cells":  [')

    def words(self, template) -> list[str]:
        return words_of(template, self.store, self.out)

    def reset(self) -> None:
        shutil.rmtree(self.out)
        self.out.mkdir()
        shutil.copytree(self.old_snapshot, self.out / "kept")
        (self.out / "n.ipynb").write_bytes(self.notebook)
        (self.out / "n.html").write_bytes(b"the old page</html>")

    def faults(self, code: int) -> list[str]:
        """What is wrong after a command that ended in this way."""
        nbformat.reads((self.out / "n.ipynb").read_text(), 4)
        found = []
        if not (self.out / "n.html").read_bytes().rstrip().endswith(b"</html>"):
            found.append("half a page")
        if content(f"snapshot:{self.out / 'kept'}") not in self.snapshots:
            found.append("neither the old snapshot nor the new one")
        if code != -signal.SIGKILL and leftovers(self.out):
            found.append(f"left behind: {leftovers(self.out)}")
        if code not in (0, 130, 143, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
            found.append(f"exit code {code}")
        return found


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_killed_at_every_call(forking, store, two_snapshots, out, record_counts):
    pages = Pages(out, store, two_snapshots)
    tried = killed = 0
    wrong = []
    for template in (COMMANDS["new, executed and exported"], SNAPSHOT):
        words = pages.words(template)
        pages.reset()
        with Disk(out).refusing() as disk:
            assert run_here(QUALIA, *words, cwd=out).returncode == 0
        for place in places_of(disk.calls)[:: 4 if template is SNAPSHOT else 1]:
            pages.reset()
            code, _ = forking(words, out, at=place)
            tried += 1
            killed += code == -signal.SIGKILL
            if found := pages.faults(code):
                wrong.append((words[0], place, found))
    record_counts(promise=5, kind="killed at a call", tried=tried, failed=len(wrong))
    assert killed >= 25
    assert not wrong, wrong


@pytest.mark.slow
def test_interrupted_at_random_moments(forking, store, two_snapshots, out, record_counts):
    pages = Pages(out, store, two_snapshots)
    chance = random.Random(5)
    commands = [pages.words(one) for one in (*COMMANDS.values(), SNAPSHOT)]
    seconds = []
    for words in commands:
        pages.reset()
        code, took = forking(words, out)
        assert code == 0
        seconds.append(took)
    wrong, ends = [], {}
    for turn in range(KILLS):
        which = turn % len(commands)
        sign = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[turn % 3]
        pages.reset()
        code, _ = forking(commands[which], out, after=chance.uniform(0, 1.1 * seconds[which]), signal=int(sign))
        ends[code] = ends.get(code, 0) + 1
        if found := pages.faults(code):
            wrong.append((commands[which][0], sign.name, found))
    record_counts(promise=5, kind="interrupted at a random moment", tried=KILLS, failed=len(wrong))
    assert not wrong, (wrong, ends)
    assert len(ends) > 1, "some were cut short"
