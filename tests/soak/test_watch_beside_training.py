"""`qualia watch` beside a training loop for as long as QUALIA_TEST_SECONDS says: every word true, nothing leaked."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from qualia_lab import Query, open_store
from qualia_lab.analysis.findings.finding import number
from qualia_lab.notebook.page.render import seconds_to_reload
from tests.cli.command import QUALIA, environment
from tests.stores.empty import copy_empty_store

SECONDS = max(30.0, float(os.environ.get("QUALIA_TEST_SECONDS", "1")))
EVERY = 2.0 if SECONDS < 300 else 10.0  # seconds between two questions

# Some runs diverge and some fail; one starts in the middle of another, so that always one is running.
TRAINING = """
import math, sys, time
from mlflow import MlflowClient
client, until, pause = MlflowClient(sys.argv[1]), time.monotonic() + float(sys.argv[2]), float(sys.argv[3])
experiment = client.create_experiment("churn", artifact_location=sys.argv[4])
running = []
number = 0
def log(number, run, step):
    is_bad = number % 5 == 3 and step >= 2
    client.log_metric(run, "train_loss", math.nan if is_bad else 1 / (step + 1), step=step)
    client.log_metric(run, "val_auc", 0.5 + 0.4 * ((number * 7919 % 101) / 101) + step / 1000, step=step)
while time.monotonic() < until or running:
    if time.monotonic() < until and all(one[2] == 3 for one in running):
        run = client.create_run(experiment, run_name=f"run-{number}").info.run_id
        client.log_param(run, "lr", 0.1 * (number % 3 + 1))
        client.log_param(run, "depth", number % 4)
        running.append([number, run, 0])
        number += 1
    for one in list(running):
        log(*one)
        one[2] += 1
        if one[2] == 6:
            client.set_terminated(one[1], "FAILED" if one[0] % 5 == 4 else "FINISHED")
            running.remove(one)
        if number == 1 and one[2] == 1:
            print("ready", flush=True)
            sys.stdin.readline()
            until = time.monotonic() + float(sys.argv[2])
        time.sleep(pause)
print("ended", flush=True)
"""


class Leaks:
    """Descriptors and memory of a process, each time that it refreshed."""

    def __init__(self, process: int) -> None:
        self._folder = Path(f"/proc/{process}")
        self.descriptors: list[int] = []
        self.kilobytes: list[int] = []

    def look(self) -> None:
        self.descriptors.append(len(list((self._folder / "fd").iterdir())))
        status = (self._folder / "status").read_text()
        self.kilobytes.append(int(re.search(r"VmRSS:\s+(\d+)", status)[1]))


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 3 + 240)
def test_every_word_of_a_watch_beside_training_is_true_and_nothing_leaks(tmp_path, record_counts):
    copy_empty_store(tmp_path / "mlflow.db")
    uri, path = f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "live.ipynb"
    pause = 0.25 if SECONDS < 300 else 2.0
    train = [sys.executable, "-c", TRAINING, uri, str(SECONDS), str(pause), (tmp_path / "artifacts").as_uri()]
    watch = [*QUALIA, "watch", "--experiment", "churn", "--tracking-uri", uri, "--output", path.name]
    watch += ["--every", str(EVERY), "--until", "finished", "--json"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment()}
    with (
        (tmp_path / "said").open("w") as messages,
        subprocess.Popen(train, stderr=messages, **pipes) as training,
    ):
        assert training.stdout.readline() == "ready\n", (tmp_path / "said").read_text()
        with subprocess.Popen(watch, stderr=messages, cwd=tmp_path, **pipes) as watching:
            leaks, lines = Leaks(watching.pid), []
            for line in watching.stdout:
                lines.append(json.loads(line))
                if len(lines) == 1:
                    training.stdin.write("go\n")
                    training.stdin.flush()
                if lines[-1]["kind"] == "refreshed":
                    leaks.look()
            assert watching.wait(60) == 0, (tmp_path / "said").read_text()
        assert training.wait(60) == 0
    wrong = [*untrue(uri, lines[:-1]), *missed(uri, lines)]
    record_counts(promise=6, kind="sentences of a watch beside training", tried=len(lines), failed=len(wrong))
    assert wrong == []
    assert lines[-1]["kind"] == "ended"
    assert seconds_to_reload(path.with_suffix(".html").read_bytes()) == 0
    assert len(leaks.descriptors) >= 4
    assert max(leaks.descriptors[1:]) - min(leaks.descriptors[1:]) <= 2, leaks.descriptors
    early = leaks.kilobytes[: max(3, len(leaks.kilobytes) // 3)]
    assert max(leaks.kilobytes) < max(early) * 1.1 + 20_000, leaks.kilobytes
    print(f"{len(lines)} lines, descriptors {leaks.descriptors[-1]}, kB {leaks.kilobytes[0]} to {leaks.kilobytes[-1]}")


def truth(uri):
    """What the store says of each run at the end: its row, the first bad step of its loss, and its last val_auc."""
    with open_store(uri) as store:
        runs = {run["run_id"]: run for run in store.read_runs(Query(view="all")).to_pylist()}
        for run in runs.values():
            run |= {"bad": None, "auc": None}
        for batch in store.read_metric_history(list(runs), ["train_loss", "val_auc"]):
            for point in batch.to_pylist():
                run = runs[point["run_id"]]
                if point["key"] == "val_auc":
                    run["auc"] = point["value"]
                elif math.isnan(point["value"]) and run["bad"] is None:
                    run["bad"] = point["step"]
    return runs


def untrue(uri, lines):
    """The events that the store contradicts."""
    runs, ended, diverged, best, wrong = truth(uri), {}, set(), None, []
    for line in lines:
        kind, sentence = line["kind"], line["sentence"]
        run = runs.get(line.get("run_id"))
        at = datetime.fromisoformat(line["time"]).timestamp() * 1000 + 1000
        if kind == "started":
            is_true = sentence == f"{run['run_name']} started" and run["start_time"] <= at
        elif kind == "ended":
            ended[run["run_id"]] = run["status"]
            words = {"FINISHED": "finished", "FAILED": "failed"}[run["status"]]
            is_true = run["end_time"] <= at and sentence in (
                f"{run['run_name']} {words}", f"{run['run_name']} is new and {words}"
            )  # fmt: skip
        elif kind == "diverged":
            diverged.add(run["run_id"])
            is_true = sentence == f"{run['run_name']} diverged at step {run['bad']}" and line["step"] == run["bad"]
        elif kind == "best":
            compared = [one for one, status in ended.items() if status == "FINISHED" and one not in diverged]
            values = [runs[one]["auc"] for one in compared]
            words = "the best" if best is None else "new best"
            of = f"{len(compared)} finished run" + "s" * (len(compared) != 1)
            is_true = (
                line["value"] == run["auc"] == max(values)
                and line["of"] == len(compared)
                and (best is None or run["auc"] > best)
                and sentence == f"{run['run_name']}: val_auc {number(run['auc'])}, {words} of {of} compared"
            )
            best = run["auc"]
        else:
            is_true = kind in ("runs", "refreshed")
        if not is_true:
            wrong.append(line)
    return wrong


def missed(uri, lines):
    """The runs of which something was not said, or was said twice; all but the first began while it was watched."""
    runs = truth(uri)
    said = Counter((line["kind"], line.get("run_id")) for line in lines)
    for run_id, run in runs.items():
        if said["ended", run_id] != 1:
            yield "ended", run["run_name"]
        if said["started", run_id] + (run["run_name"] == "run-0") > 1:
            yield "started", run["run_name"]
        if run["bad"] is not None and said["diverged", run_id] != 1:
            yield "diverged", run["run_name"]
    compared = [run for run in runs.values() if run["status"] == "FINISHED" and run["bad"] is None]
    last = [line for line in lines if line["kind"] == "best"][-1]
    if last["value"] != max(run["auc"] for run in compared):
        yield "best", last
