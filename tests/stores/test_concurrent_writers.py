"""Reading during writes: reads are complete, do not change the store, and never block a writer."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qualia_lab import Query, open_store
from qualia_lab.stores.sql import adbc as sql_adbc
from qualia_lab.stores.sql import connection as sql_connection
from qualia_lab.stores.sql import reading as sql
from qualia_lab.stores.sql.background_read import BackgroundRead
from tests import servers
from tests.conftest import filled

# Writes and commits continuously until stdin ends; it records an error if a lock is held.
WRITER = """
import json, sys, threading, time
import sqlalchemy as sa
uri, timeout = sys.argv[1], float(sys.argv[2])
kind = uri.partition(":")[0].partition("+")[0]
engine = sa.create_engine(uri, connect_args={"timeout": timeout} if kind == "sqlite" else {})
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
commits, errors, longest = 0, [], 0.0
with engine.connect() as connection:
    for setting in {"postgresql": ["SET lock_timeout = 1"], "mysql": ["SET SESSION innodb_lock_wait_timeout = 1"]}.get(kind, []):
        connection.exec_driver_sql(setting)
    connection.commit()
    [run] = connection.execute(sa.text("SELECT run_uuid FROM runs ORDER BY start_time LIMIT 1")).fetchone()
    connection.commit()
    print("ready", flush=True)
    metrics = sa.table("metrics", *map(sa.column, ("key", "value", "timestamp", "run_uuid", "step", "is_nan")))
    first = time.time_ns() // 1000
    begun = time.time_ns() // 1_000_000
    while not ended.is_set():
        started = time.perf_counter()
        try:
            n = first + commits
            row = {"key": "live", "value": n, "timestamp": n, "run_uuid": run, "step": n, "is_nan": False}
            connection.execute(metrics.insert().values(row))
            connection.execute(sa.text("UPDATE params SET value = :n WHERE run_uuid = :run"), {"n": str(commits), "run": run})
            connection.execute(sa.text("UPDATE runs SET end_time = :n WHERE run_uuid = :run"), {"n": begun + commits, "run": run})
            connection.commit()
            commits += 1
        except sa.exc.DBAPIError as error:
            connection.rollback()
            errors.append(str(error.orig))
        longest = max(longest, time.perf_counter() - started)
        time.sleep(0.001)
print(json.dumps({"commits": commits, "errors": errors[:3], "failed": len(errors), "longest": longest}))
"""


@contextlib.contextmanager
def writer(uri: str, timeout: float = 0.0):
    """A process that writes continuously; yields a function that ends it and returns its statistics."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, uri, str(timeout)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"

    def end() -> dict:
        output, _ = process.communicate(timeout=30)
        return json.loads(output)

    try:
        yield end
    finally:
        process.kill()
        process.wait()


def read_for(seconds: float, uri: str) -> None:
    """Read everything repeatedly, at least three times, with an open history stream in between."""
    deadline = time.monotonic() + seconds
    for count in itertools.count(1):
        store = open_store(uri)
        store.read_experiments()
        ids = store.read_runs(Query(view="all", order_by=("metrics.loss DESC",))).column("run_id").to_pylist()
        stream = store.read_metric_history(ids)
        first = next(stream)
        tables = store.read(ids)
        assert tables.runs.num_rows == len(ids)
        assert not tables.problems.num_rows
        time.sleep(0.05)  # the stream stays open without being read
        assert first.num_rows + sum(batch.num_rows for batch in stream) > 0
        store.close()
        if count >= 3 and time.monotonic() > deadline:
            return


@pytest.fixture(params=["arrow", "cursor"])
def way(request, monkeypatch):
    """Read everything through ADBC, or nothing."""
    if request.param == "arrow":
        monkeypatch.setattr(sql_connection, "is_alone", lambda: True)  # the writer is another process
        monkeypatch.setattr(sql, "MANY_RUNS", dict.fromkeys(sql.MANY_RUNS, 1))
    else:
        monkeypatch.setattr(sql_adbc.ArrowSource, "begin", lambda *_: BackgroundRead.without_rows())


def add_long_history(path: Path) -> None:
    """Add a history that is too long to be fetched at once."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        [run] = database.execute("SELECT run_uuid FROM runs ORDER BY start_time DESC LIMIT 1").fetchone()
        database.executemany(
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('long', 1.5, ?, ?, ?, 0)",
            ((n, run, n) for n in range(70_000)),
        )


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_sqlite_writers_never_wait_for_a_reader(mode, sqlite_sample, tmp_path):
    path = tmp_path / "mlflow.db"
    shutil.copy(sqlite_sample, path)
    add_long_history(path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
    # Without WAL there is a single lock, so the writer waits for it, as sqlite3 and MLflow do by default.
    timeout = 0.0 if mode == "wal" else 5.0
    with writer(f"sqlite:///{path}", timeout) as end:
        read_for(1, f"sqlite:///{path}")
        statistics = end()
    assert statistics["failed"] == 0, statistics
    assert statistics["commits"] > 20
    assert statistics["longest"] < 3


@pytest.fixture(scope="module", params=["system_postgresql", "mariadb"])
def written_to(request, tmp_path_factory):
    """The URI of a database on a server with its own sample, since the shared one must not be written to."""
    with filled(getattr(servers, request.param)(), tmp_path_factory) as uri:
        yield uri


@pytest.mark.usefixtures("way")
def test_writers_on_a_database_server_never_wait_for_a_reader(written_to):
    with writer(written_to) as end:
        read_for(1, written_to)
        statistics = end()
    assert statistics["failed"] == 0, statistics
    assert statistics["commits"] > 20


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_suspended_stream_holds_no_lock_that_blocks_a_writer(mode, sqlite_sample, tmp_path):
    path = tmp_path / "mlflow.db"
    shutil.copy(sqlite_sample, path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
    store = open_store(f"sqlite:///{path}")
    stream = store.read_metric_history(store.read_runs(Query()).column("run_id").to_pylist())
    next(stream)
    with writer(f"sqlite:///{path}", 0.0) as end:
        time.sleep(0.5)
        statistics = end()
    assert statistics["failed"] == 0, statistics
    assert statistics["commits"] > 20
    stream.close()


def test_reading_in_wal_mode_changes_neither_database_nor_log(sqlite_sample, tmp_path):
    """In WAL mode, database and log change only by what the writer adds."""
    path = tmp_path / "mlflow.db"
    shutil.copy(sqlite_sample, path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        [run] = database.execute("SELECT run_uuid FROM runs LIMIT 1").fetchone()
        [points] = database.execute("SELECT count(*) FROM metrics WHERE run_uuid = ?", (run,)).fetchone()
        for n in range(5):
            with database:
                database.execute("INSERT INTO params (key, value, run_uuid) VALUES (?, 'x', ?)", (f"live {n}", run))
            before = (path.read_bytes(), (tmp_path / "mlflow.db-wal").read_bytes())
            times = (path.stat().st_mtime_ns, (tmp_path / "mlflow.db-wal").stat().st_mtime_ns)
            store = open_store(f"sqlite:///{path}")
            keys = store.read([run]).params.column("key").to_pylist()
            assert f"live {n}" in keys
            assert sum(batch.num_rows for batch in store.read_metric_history([run])) == points
            store.close()
            assert before == (path.read_bytes(), (tmp_path / "mlflow.db-wal").read_bytes())
            assert times == (path.stat().st_mtime_ns, (tmp_path / "mlflow.db-wal").stat().st_mtime_ns)
