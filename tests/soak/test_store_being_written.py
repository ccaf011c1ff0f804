"""Reading for as long as QUALIA_TEST_SECONDS says while another process writes all the while: `make soak` says more."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest

from qualia_lab import Query, open_store
from qualia_lab.errors import StoreUnreachable
from tests.stores.mlruns import write_experiment, write_run
from tests.stores.test_concurrent_writers import writer

SECONDS = float(os.environ.get("QUALIA_TEST_SECONDS", "1"))
RUN = "c" * 32

# Appends a line in two pieces, so that a reader may see a half.
FILE_WRITER = """
import sys, threading, time
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
print("ready", flush=True)
step = 0
with open(sys.argv[1], "a") as file:
    while not ended.is_set():
        line = f"{1000 + step} {step * 0.25!r} {step}" + chr(10)
        for piece in (line[:len(line) // 2], line[len(line) // 2:]):
            file.write(piece)
            file.flush()
            time.sleep(0.0005)
        step += 1
print(step)
"""


def live_points(store, run_ids, key):
    """(step, value) of one metric, as a reader has them."""
    batches = store.read_metric_history(run_ids, [key])
    return [(row["step"], row["value"]) for batch in batches for row in batch.to_pylist()]


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 3 + 120)
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_sqlite_file_being_written_is_read_whole_and_keeps_nobody_waiting(
    mode, sqlite_sample, tmp_path, record_counts
):
    path = tmp_path / "mlflow.db"
    shutil.copy(sqlite_sample, path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
    uri, until, reads, wrong, before = f"sqlite:///{path}", time.monotonic() + SECONDS, 0, [], 0
    with writer(uri, 0.0 if mode == "wal" else 5.0) as end:
        while reads < 3 or time.monotonic() < until:
            try:
                with open_store(uri) as store:
                    ids = store.read_runs(Query(view="all")).column("run_id").to_pylist()
                    tables = store.read(ids)
                    found = live_points(store, ids, "live")
            except StoreUnreachable as error:  # without a log a writer that never rests may keep a reader out
                assert mode == "delete" and "locked by another program" in error.message, error
                continue
            reads += 1
            if (
                len(found) < before
                or any(step != value for step, value in found)
                or tables.problems.num_rows
                or tables.runs.num_rows != len(ids)
            ):
                wrong.append((reads, before, len(found), tables.problems.to_pylist()))
            before = len(found)
            time.sleep(0.02)
        met = end()
    record_counts(promise=1, kind="commits beside a reader", tried=met["commits"], failed=met["failed"])
    record_counts(promise=6, kind="reads of a database being written", tried=reads, failed=len(wrong))
    assert wrong == []
    assert met["failed"] == 0, met
    assert met["commits"] > 0


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 3 + 120)
def test_an_mlruns_folder_being_written_is_read_without_half_numbers(tmp_path, record_counts):
    folder = write_run(write_experiment(tmp_path / "mlruns"), RUN, status=1, end_time=None)
    (folder / "metrics").mkdir()
    file, until, reads, wrong, before = folder / "metrics" / "live", time.monotonic() + SECONDS, 0, [], 0
    command = [sys.executable, "-c", FILE_WRITER, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        while reads < 3 or time.monotonic() < until:
            with open_store(tmp_path / "mlruns") as store:
                runs = store.read([RUN]).runs.num_rows  # that a last line is half written is named among its problems
                found = live_points(store, [RUN], "live")
            reads += 1
            is_whole = all(
                step == place and math.isclose(value, 0.25 * step) for place, (step, value) in enumerate(found)
            )
            if len(found) < before or not is_whole or runs != 1:
                wrong.append((reads, before, len(found), runs, found[-2:]))
            before = len(found)
            time.sleep(0.01)
        written = int(process.communicate()[0])
    record_counts(promise=6, kind="reads of a folder being written", tried=reads, failed=len(wrong))
    assert wrong == []
    assert written >= before
