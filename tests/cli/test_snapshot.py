"""`qualia snapshot` on the command line, and all commands on a snapshot."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys

import pexpect
import pytest

from tests.forked import client_of, socket_of
from tests.stores.content import content
from tests.stores.test_snapshot import KILLED_COMMAND, large_store, snapshot

from .command import CREATE, QUALIA, environment, run, run_here, tree

pytestmark = pytest.mark.usefixtures("quick_kernels")


@pytest.fixture(scope="module")
def folder(sqlite_sample, tmp_path_factory):
    """A folder with the sample as `mlflow.db`, a snapshot of it with a space in its name, and the output."""
    folder = tmp_path_factory.mktemp("somewhere")
    (folder / "mlflow.db").symlink_to(sqlite_sample)
    return folder, run(QUALIA, "snapshot", "sqlite:///mlflow.db", "my runs", cwd=folder)


def test_the_output_says_what_was_written_and_what_to_do_next(folder):
    folder, done = folder
    assert (done.returncode, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    assert lines[0] == f"reading sqlite:///{folder}/mlflow.db ... 15 runs"
    assert lines[1].startswith("writing  15/15 runs  ")
    assert lines[2].startswith("15 runs of 5 experiments, 267 metric points: ")
    assert lines[3] == "15 read, 0 unchanged, 0 removed"
    assert lines[4] == f"next: qualia new --tracking-uri 'snapshot:{folder}/my runs'"
    words = shlex.split(lines[4].removeprefix("next: qualia "))
    assert run_here(QUALIA, *words, "--yes", "--dry-run", cwd=folder.parent).returncode == 0


def test_a_second_call_reports_how_much_was_read(folder):
    folder, _ = folder
    done = run_here(QUALIA, "snapshot", "mlflow.db", "snapshot:my runs", "--json", cwd=folder)
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert said["tracking_uri"] == f"sqlite:///{folder}/mlflow.db"
    assert (said["runs"], said["runs_read"], said["runs_kept"], said["missing"]) == (15, 1, 14, {})


@pytest.mark.parametrize(
    "words",
    [
        ["experiments", "--csv"],
        ["runs", "--json"],
        ["runs", "--filter", "metrics.loss.min < 0.1 OR params.lr = '0.5'", "--order-by", "metrics.loss", "--csv"],
        ["new", "--experiment", "churn", "--dry-run"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_commands_show_the_same_for_a_snapshot_as_for_its_store(words, folder):
    folder, _ = folder
    theirs = run_here(QUALIA, *words, "--tracking-uri", "mlflow.db", cwd=folder)
    relative = run_here(QUALIA, *words, "--tracking-uri", "snapshot:my runs", cwd=folder)
    assert theirs.returncode == 0
    assert len(theirs.stdout) > 50
    assert re.sub(r"_URI = .*", "", relative.stdout) == re.sub(r"_URI = .*", "", theirs.stdout)
    (folder / "below").mkdir(exist_ok=True)
    by_environment = run_here(QUALIA, *words, cwd=folder / "below", MLFLOW_TRACKING_URI="snapshot:../my runs")
    assert by_environment.stdout == relative.stdout.replace("/my runs", "/below/../my runs")


@pytest.mark.slow
def test_a_notebook_on_a_snapshot_can_be_executed_again_elsewhere(folder, tmp_path):
    folder, _ = folder
    before = tree(folder / "my runs")
    words = ("--tracking-uri", "snapshot:my runs", "--experiment", "churn", "--output", tmp_path / "n.ipynb")
    made = run_here(CREATE, *words, "--execute", cwd=folder)
    assert made.returncode == 0, made.stderr
    again = run_here(QUALIA, "execute", tmp_path / "n.ipynb", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    cells = json.loads((tmp_path / "n.ipynb").read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert "hello there.txt" in str(outputs), "local artifacts are shown as of the store"
    assert tree(folder / "my runs") == before, "a snapshot is only read"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["sqlite:///nosuch.db", "out"], 4, "There is no file"),
        (["nosuch", "out"], 4, "There is nothing at"),
        (["mlflow.db", "mlflow.db"], 32, "mlflow.db is a file"),
        (["mlflow.db", "mlflow.db/below"], 32, "mlflow.db is a file"),
        (["mlflow.db", "/proc/nosuch"], 32, "Cannot write /proc/nosuch"),
        (["mlflow.db", "."], 31, "is not empty, and holds no snapshot"),
        (["mlflow.db", "my runs", "--experiment", "churn"], 31, "was made with a different choice of runs: all runs"),
        (["mlflow.db", "out", "--experiment", "nosuch"], 12, "nosuch"),
        (["mlflow.db", "out", "--filter", "params.lr ="], 15, "params.lr ="),
        (["mlflow.db", "out", "--filter", "params.lr = 'no'"], 14, "None of the 13 runs matches"),
        (["mlflow.db", "nosuch://x/y"], 4, "Protocol not known: nosuch"),
        (["mlflow.db"], 2, "OUT"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_invalid_arguments_are_reported_and_nothing_is_written(words, code, said, folder):
    folder, _ = folder
    before = tree(folder)
    done = run_here(QUALIA, "snapshot", *words, cwd=folder)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "bug" not in done.stderr
    assert tree(folder) == before


def test_a_snapshot_of_a_query_contains_only_its_runs(folder):
    folder, _ = folder
    words = ("mlflow.db", "some", "--filter", "run_name LIKE 'child%'", "--order-by", "run_name", "--limit", "2")
    assert run_here(QUALIA, "snapshot", *words, cwd=folder).returncode == 0
    assert "2 unchanged" in run_here(QUALIA, "snapshot", *words, cwd=folder).stderr
    listed = run_here(QUALIA, "runs", "--tracking-uri", "snapshot:some", "--json", cwd=folder)
    assert {row["run_name"] for row in json.loads(listed.stdout)} == {"child 0", "child 1"}
    assert "some is of" in run_here(QUALIA, "snapshot", "snapshot:my runs", "some", cwd=folder).stderr


def test_ctrl_c_leaves_the_previous_snapshot_intact(folder, tmp_path):
    folder, _ = folder
    out = tmp_path / "out"
    snapshot(f"sqlite:///{folder}/mlflow.db", out)
    before = content(f"snapshot:{out}")
    interrupted = KILLED_COMMAND.replace("os.kill(os.getpid(), 9)", f"os.kill(os.getpid(), {int(signal.SIGINT)})")
    for moment in (0, 5, 40, 100):
        words = ["-c", interrupted, "any", str(moment), f"sqlite:///{folder}/mlflow.db", out, "--again"]
        done = subprocess.run(
            [*client_of(socket_of("command")), *words], capture_output=True, text=True, env=environment(), check=False
        )
        assert done.returncode == 130, done.stderr
        assert done.stderr.endswith("interrupted\n")
        assert content(f"snapshot:{out}") == before
    assert "15 read" in run_here(QUALIA, "snapshot", "mlflow.db", out, "--again", cwd=folder).stderr


def test_progress_is_shown_on_a_terminal(tmp_path):
    uri = large_store(tmp_path / "large.db")
    at_once = "from qualia_lab import console; console.PROGRESS_DELAY = 0; from qualia_lab.cli.main import main; main()"
    child = pexpect.spawn(
        sys.executable, ["-c", at_once, "snapshot", uri, str(tmp_path / "out")],
        env=os.environ | environment(TERM="xterm"), dimensions=(50, 160), encoding="utf-8", timeout=60,
    )  # fmt: skip
    child.expect(r"[1-9]\d*/123 runs")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (errno.ENOLCK, 0, "does not support locks: let no other command write to it"),
        (errno.EBADF, 0, "does not support locks"),  # a network file system, where a lock needs a writable file
        (errno.EWOULDBLOCK, 32, "Another command is writing to "),
        (errno.EIO, 32, "Input/output error"),
    ],
)
def test_without_a_lock_the_true_reason_is_printed(number, code, said, sqlite_sample, tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)  # as file systems without locks answer
    done = run_here(QUALIA, "snapshot", sqlite_sample, "kept", cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert (tmp_path / "kept" / "manifest.json").exists() == (code == 0)
