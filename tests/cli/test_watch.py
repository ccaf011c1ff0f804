"""`qualia watch` beside a store that changes: what it says, when it refreshes, how it ends, and what it leaves."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from qualia_lab import NotebookGenerator
from qualia_lab.errors import NotebookError
from qualia_lab.notebook.formats.format import Options
from qualia_lab.notebook.page.render import seconds_to_reload
from qualia_lab.notebook.undo import undo
from qualia_lab.refresh import watching
from qualia_lab.refresh.refreshing import refresh_notebook
from qualia_lab.stores.sql.store import SqlStore
from tests.cli.command import QUALIA, environment, run_here
from tests.stores.empty import new_client

pytestmark = pytest.mark.usefixtures("quick_kernels")

LONG_AGO = 1_770_000_000_000


def log_run(client, experiment, name, auc, status="FINISHED", losses=(1.0, 0.5, 0.3), start=None):
    run = client.create_run(experiment, start_time=start, run_name=name).info.run_id
    client.log_metric(run, "val_auc", auc, step=1)
    for step, loss in enumerate(losses):
        client.log_metric(run, "train_loss", loss, step=step)
    if status != "RUNNING":
        client.set_terminated(run, status, end_time=start and start + 30_000)
    return run


def fill(folder):
    """Write a store of three runs that ended long ago, and their notebook, which is up to date."""
    client = new_client(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("churn", artifact_location=(folder / "artifacts").as_uri())
    log_run(client, experiment, "first", 0.7, start=LONG_AGO)
    log_run(client, experiment, "second", 0.8, start=LONG_AGO + 60_000)
    diverged = (1.0, 0.5, 0.4, float("nan"), float("nan"))
    log_run(client, experiment, "lost", 0.6, losses=diverged, start=LONG_AGO + 120_000)
    with NotebookGenerator(f"sqlite:///{folder / 'mlflow.db'}") as generator:
        plan = generator.plan(generator.select(experiments=["churn"]))
        generator.make(plan, folder / "live.ipynb", formats=["html"])


@pytest.fixture
def folder(made_once, tmp_path):
    """A folder with a notebook that is up to date with a store, which must not be written to."""
    for path in made_once("trained", fill).glob("live.*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_it_ends_at_once_on_a_finding_and_says_where_the_notebook_is(folder):
    before = (folder / "live.ipynb").read_bytes()
    done = run_here(QUALIA, "watch", "live.ipynb", "--fail-on", "diverged", cwd=folder)
    assert done.returncode == 55
    assert "lost diverged at step 3" in done.stdout
    assert "second: val_auc 0.8, the best of 2 finished runs compared" in done.stdout
    assert done.stdout.splitlines()[-2:] == ["live.ipynb", "live.html"]
    assert "that --fail-on forbids: diverged" in done.stderr
    assert (folder / "live.ipynb").read_bytes() == before  # nothing had changed, so no cell ran
    assert seconds_to_reload((folder / "live.html").read_bytes()) == 0


def test_until_finished_ends_when_no_run_is_running_and_each_event_is_a_line_of_json(folder):
    done = run_here(QUALIA, "watch", "live.ipynb", "--until", "finished", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["kind"] for event in events] == ["runs", "diverged", "best", "ended"]
    assert events[2]["value"] == 0.8
    assert events[2]["of"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["live.ipynb", "--top", "3", "--by", "auc"], "are those of NOTEBOOK already"),
        ([], "Name a NOTEBOOK, or select runs"),
        (["--experiment", "churn", "--output", "live.ipynb"], "already exists"),
        (["missing.ipynb"], "There is no notebook at missing.ipynb"),
        (["live.ipynb", "--fail-on", "nonsense"], "'nonsense' is none of"),
    ],
)
def test_wrong_usage_is_one_sentence_and_nothing_is_written(folder, arguments, said):
    before = (folder / "live.html").read_bytes()
    done = run_here(QUALIA, "watch", *arguments, "--tracking-uri", "sqlite:///mlflow.db", cwd=folder)
    assert done.returncode not in (0, 70)
    assert said in done.stderr
    assert "missing.ipynb" not in done.stdout
    assert (folder / "live.html").read_bytes() == before


def test_a_notebook_of_an_engine_is_refused(folder):
    path = folder / "live.ipynb"
    path.write_text(path.read_text().replace("RUN_IDS = [", "ENGINE = 'duckdb'\\nRUN_IDS = ["))
    done = run_here(QUALIA, "watch", "live.ipynb", cwd=folder)
    assert done.returncode == 30
    assert "aggregates its runs with an engine" in done.stderr


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_ends_it_cleanly(folder, sign, code):
    command = [*QUALIA, "watch", "live.ipynb", "--every", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    temporary = folder / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        command, cwd=folder, env=environment(TMPDIR=str(temporary)), text=True, start_new_session=True, **pipes
    ) as process:
        process.stdout.readline()
        until = time.monotonic() + 60
        while seconds_to_reload((folder / "live.html").read_bytes()) != 1:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert list(temporary.rglob("*.parquet"))  # histories of ended runs
        process.send_signal(sign)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert out.splitlines()[-2:] == ["live.ipynb", "live.html"]
    assert seconds_to_reload((folder / "live.html").read_bytes()) == 0
    assert list(temporary.iterdir()) == []
    with pytest.raises(ProcessLookupError):  # no kernel is left
        os.killpg(process.pid, 0)


class Ended(Exception):
    """Ends a watch from a step."""


def watched(folder, monkeypatch, steps):
    """Watch with these steps in place of the pauses; return the kinds of events, and what was said."""
    events, pauses = [], iter(steps)

    def pause(_seconds):
        step = next(pauses, None)
        if step is None:
            raise Ended
        step()

    monkeypatch.setattr(watching, "sleep", pause)
    with pytest.raises(Ended):
        watching.watch_notebook(folder / "live.ipynb", watching.Watching(every=1.0), events.append)
    return [(event.kind, event.sentence) for event in events]


def test_a_store_that_is_gone_for_a_while_and_writes_that_do_not_matter(tmp_path, monkeypatch):
    folder = tmp_path
    fill(folder)
    store, elsewhere = folder / "mlflow.db", folder / "elsewhere"
    descriptors = []
    reads = []
    original = watching.refresh_notebook
    monkeypatch.setattr(watching, "refresh_notebook", lambda *a, **k: (reads.append(1), original(*a, **k))[1])

    def write_elsewhere():
        with contextlib.closing(sqlite3.connect(store)) as database, database:
            database.execute("INSERT OR REPLACE INTO experiment_tags (key, value, experiment_id) VALUES ('a', 'b', 0)")
        descriptors.append(len(list(Path("/proc/self/fd").iterdir())))

    def nothing():
        pass

    events = watched(
        folder,
        monkeypatch,
        [nothing, nothing, lambda: store.rename(elsewhere), nothing, lambda: elsewhere.rename(store), nothing,
         *[write_elsewhere] * 20],
    )  # fmt: skip
    assert [kind for kind, _ in events] == ["runs", "diverged", "best", "store_gone", "store_back"]
    assert f"There is no file {store}." in events[3][1]
    assert len(reads) == 1 + 20  # without a write nothing is read
    assert len(set(descriptors)) == 1
    assert not (folder / ".qualia").exists()  # nothing was written, so there is nothing to undo


def test_a_cell_that_fails_is_said_and_the_watch_goes_on_and_one_undo_takes_all_back(tmp_path, monkeypatch):
    """Histories of ended runs are read once, and what it writes is what a refresh would write."""
    fill(tmp_path)
    path = tmp_path / "live.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"].append(
        {"cell_type": "code", "id": "mine", "metadata": {}, "execution_count": None, "outputs": [],
         "source": "assert len(runs) < 4, 'too many'"}
    )  # fmt: skip
    path.write_text(json.dumps(notebook))
    before = path.read_bytes()
    client = new_client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("churn").experiment_id
    run, read, at_last = [], [], {}

    def recorded(self, run_ids, keys=None, original=SqlStore.read_metric_history):
        read.append(sorted(client.get_run(run_id).info.run_name for run_id in run_ids))
        return original(self, run_ids, keys)

    def train():
        read.clear()
        run.append(log_run(client, experiment, "third", 0.9))
        (lost,) = client.search_runs([experiment], "attributes.run_name = 'lost'")
        client.log_metric(lost.info.run_id, "val_auc", 0.61, step=7)

    def delete():
        client.delete_run(run[0])
        at_last.update({file: file.read_bytes() for file in (path, path.with_suffix(".html"))})

    with monkeypatch.context() as patch:
        patch.setattr(SqlStore, "read_metric_history", recorded)
        events = watched(tmp_path, patch, [train, delete])
    assert read == [["lost"], ["third"], ["third"]]
    by_watch = cells_and_page(path)
    kinds = [kind for kind, _ in events]
    assert kinds[3:] == ["refreshed", "ended", "best", "cell_failed", "gone", "leads", "refreshed"]
    assert events[4][1] == "third is new and finished"
    assert events[5][1] == "third: val_auc 0.9, new best of 3 finished runs compared"
    assert "too many" in events[6][1]
    assert seconds_to_reload(path.with_suffix(".html").read_bytes()) == 0
    undo(path, [path.with_suffix(".html")])
    assert path.read_bytes() == before
    with pytest.raises(NotebookError, match="nothing to undo"):
        undo(path, [])
    for file, data in at_last.items():
        file.write_bytes(data)
    refresh_notebook(path, options=Options(reload=0.0))
    assert cells_and_page(path) == by_watch


def cells_and_page(path):
    """The cells of a notebook and its page, without times of day."""
    texts = (json.dumps(json.loads(path.read_text())["cells"]), path.with_suffix(".html").read_text())
    return [re.sub(r"[0-9-]{10}T[0-9:.]{8,15}(Z|[+-][0-9:]{5})?", "", text) for text in texts]
