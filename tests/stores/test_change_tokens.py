"""Change tokens of every kind of store: each write changes the token, and without a write it stays."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest
import sqlalchemy as sa
from mlflow.entities import TraceInfo, TraceLocation, TraceState
from mlflow.tracing.client import TracingClient

from qualia_lab.errors import StoreNotFound
from qualia_lab.selection import Query
from qualia_lab.stores import change_tokens
from qualia_lab.stores.http.rest import RestClient
from qualia_lab.stores.open import open_store
from qualia_lab.stores.sql import changes
from tests import servers
from tests.conftest import running
from tests.stores.empty import copy_empty_store, new_client
from tests.stores.mlruns import write, write_experiment, write_run, write_trace
from tests.stores.test_snapshot import snapshot

RUN = "a" * 32
SECONDS_LATE = 15  # PostgreSQL's counters arrive within ten seconds

# The tables that are written here, with the columns that all kinds of databases have.
SCHEMA = sa.MetaData()
for _name, _columns in {
    "experiments": "name lifecycle_stage artifact_location",
    "runs": "run_uuid name status lifecycle_stage",
    "metrics": "run_uuid key",
    "latest_metrics": "run_uuid key",
    "params": "run_uuid key value",
    "tags": "run_uuid key value",
}.items():
    sa.Table(_name, SCHEMA, sa.Column("id", sa.Integer, primary_key=True),
             *(sa.Column(column, sa.String(50)) for column in _columns.split()))  # fmt: skip

WRITES = {
    "an experiment": "INSERT INTO experiments (id, name) VALUES (7, 'churn')",
    "a run": f"INSERT INTO runs (id, run_uuid, status) VALUES (1, '{RUN}', 'RUNNING')",
    "a metric": f"INSERT INTO metrics (id, run_uuid, key) VALUES (1, '{RUN}', 'loss')",
    "a param": f"INSERT INTO params (id, run_uuid, key, value) VALUES (1, '{RUN}', 'lr', '0.1')",
    "a tag": f"INSERT INTO tags (id, run_uuid, key, value) VALUES (1, '{RUN}', 'team', 'one')",
    "another value of the tag": "UPDATE tags SET value = 'two'",
    "the end of the run": "UPDATE runs SET status = 'FINISHED'",
    "a tag of a run that has ended": "UPDATE tags SET value = 'three'",
    "its deletion": "UPDATE runs SET lifecycle_stage = 'deleted'",
}


def check(store, writes, monkeypatch):
    """Each of these writes changes the token, also right after another one, and without one it stays."""
    for what, do in writes[:-1]:
        expect_another_token(store, what, do)
    monkeypatch.setattr(change_tokens.token_of, "__kwdefaults__", {"last_write": None, "unsettled": 0.0})
    monkeypatch.setattr(changes, "SECONDS_OF_A_TRANSACTION", 0.0)
    assert store.change_token() == store.change_token()
    time.sleep(1.1)  # now the last write has to show in what the store says, and not in that it was just now
    expect_another_token(store, *writes[-1])


def expect_another_token(store, what, do):
    before = store.change_token()
    do()
    until = time.monotonic() + SECONDS_LATE
    while store.change_token() == before:
        assert time.monotonic() < until, f"{what} did not change the token"
        time.sleep(0.05)


def check_database(uri, monkeypatch, quote):
    engine = sa.create_engine(uri, poolclass=sa.NullPool)  # whose connections close, so that PostgreSQL counts at once
    SCHEMA.create_all(engine)

    def executed(statement):
        with engine.begin() as connection:
            connection.exec_driver_sql(statement.replace(" key", f" {quote}key{quote}"))

    with open_store(uri) as store:
        check(store, [(what, lambda one=one: executed(one)) for what, one in WRITES.items()], monkeypatch)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_sqlite_file(mode, tmp_path, monkeypatch):
    path = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
        if mode == "wal":
            database.execute("CREATE TABLE kept_open (id)")
        check_database(f"sqlite:///{path}", monkeypatch, '"')
        assert path.with_name("mlflow.db-wal").exists() == (mode == "wal")
    path.unlink()
    with pytest.raises(StoreNotFound):
        open_store(f"sqlite:///{path}").change_token()


@pytest.mark.parametrize("server", [servers.system_postgresql, servers.mariadb])
def test_a_database_server(server, monkeypatch):
    with running(server()) as uri:
        check_database(uri, monkeypatch, "`" if uri.startswith("mysql") else '"')


@pytest.mark.slow
def test_an_mlflow_server(tmp_path, monkeypatch):
    copy_empty_store(tmp_path / "mlflow.db")
    with running(servers.mlflow_server(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)) as uri:
        client = new_client(uri)
        experiment = client.create_experiment("churn")
        run = client.create_run(experiment).info.run_id
        writes = [
            ("an experiment", lambda: client.create_experiment("prices")),
            ("a metric", lambda: client.log_metric(run, "loss", 0.5, step=1)),
            ("the same metric", lambda: client.log_metric(run, "loss", 0.25, step=2)),
            ("a param", lambda: client.log_param(run, "lr", 0.1)),
            ("a tag", lambda: client.set_tag(run, "team", "one")),
            ("another value of the tag", lambda: client.set_tag(run, "team", "two")),
            ("another run", lambda: client.create_run(experiment)),
            ("a run that begins and ends", lambda: client.set_terminated(client.create_run(experiment).info.run_id)),
            ("the end of a run", lambda: client.set_terminated(run, "FAILED")),
            ("a tag of a run that has just ended", lambda: client.set_tag(run, "team", "three")),
            ("the deletion of a run that has just ended", lambda: client.delete_run(run)),
            ("a trace", lambda: TracingClient(uri).start_trace(trace)),
            ("a tag of a trace", lambda: client.set_trace_tag(trace.trace_id, "team", "one")),
        ]
        trace = TraceInfo(
            trace_id="tr-" + "5" * 32,
            trace_location=TraceLocation.from_experiment_id(experiment),
            request_time=1000,
            state=TraceState.OK,
        )
        with open_store(uri) as store:
            check(store, writes, monkeypatch)
            asked = []

            def counted(self, *args, original=RestClient.fetch, **kwargs):
                asked[-1] += 1
                return original(self, *args, **kwargs)

            monkeypatch.setattr(RestClient, "fetch", counted)
            for _ in range(8):
                asked.append(0)
                store.change_token()
            assert sorted(asked) == [1] * 6 + [5] * 2, "at rest, most questions are one request"
            assert asked[:4] == asked[4:]


def test_a_folder_of_files(tmp_path, monkeypatch):
    root = tmp_path / "mlruns"
    experiment = write_experiment(root)
    run, ended = write_run(experiment, RUN, status=1, end_time=None), write_run(experiment, "b" * 32)

    def append(line):
        with (run / "metrics" / "deep" / "loss").open("a") as file:
            file.write(line)

    writes = [
        ("an experiment", lambda: write_experiment(root, 2, "second")),
        ("a run", lambda: write_run(experiment, "c" * 32)),
        ("a metric", lambda: write(run / "metrics" / "deep" / "loss", "1000 0.5 0\n")),
        ("another point", lambda: append("1001 0.25 1\n")),
        ("a param", lambda: write(run / "params" / "lr", "0.1")),
        ("a tag", lambda: write(run / "tags" / "team", "one")),
        ("another value of the tag", lambda: write(run / "tags" / "team", "two")),
        ("a new tag of a run that has ended", lambda: write(ended / "tags" / "team", "one")),
        ("the end of the run", lambda: write_run(experiment, RUN, status=3)),
        ("the removal of a run", lambda: shutil.rmtree(ended)),
        ("a tag of the experiment", lambda: write(experiment / "tags" / "team", "one")),
        ("a trace", lambda: write_trace(experiment, "tr-1", {"trace_id": "tr-1", "state": "OK"}, tags={"a": "1"})),
        ("a tag of a trace", lambda: write(experiment / "traces" / "tr-1" / "tags" / "b", "2")),
        ("an assessment", lambda: write(experiment / "traces" / "tr-1" / "assessments" / "a-1.yaml", "")),
        ("a metric of a model", lambda: write(experiment / "models" / "m-1" / "metrics" / "acc", "1 2 3\n")),
        ("an alias", lambda: write(root / "models" / "net" / "aliases" / "champion", "1")),
    ]
    with open_store(root) as store:
        check(store, writes, monkeypatch)
        assert store.change_token(("1",)) != store.change_token(("2",))


def test_a_snapshot(sqlite_sample, tmp_path, monkeypatch):
    source, folder = f"sqlite:///{sqlite_sample}", tmp_path / "snapshot"
    snapshot(source, folder, Query(limit=2))
    with open_store(f"snapshot:{folder}") as store:
        check(store, [("more runs", lambda: snapshot(source, folder, Query(limit=4)))], monkeypatch)


def test_a_change_in_the_same_moment_as_the_last_one_is_not_missed():
    assert change_tokens.token_of(1, last_write=time.time()) != change_tokens.token_of(1, last_write=time.time())
    assert change_tokens.token_of(1, last_write=0.0) == change_tokens.token_of(1, last_write=0.0)


def test_asking_opens_no_connection_that_stays_and_leaves_no_file(sqlite_sample, tmp_path):
    path = tmp_path / "mlflow.db"
    shutil.copy(sqlite_sample, path)
    script = (
        "import os, sys; from qualia_lab import open_store\n"
        "store = open_store(sys.argv[1]); store.change_token(); before = os.listdir('/proc/self/fd')\n"
        "for _ in range(50): store.change_token()\n"
        "print(len(before) - len(os.listdir('/proc/self/fd')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, f"sqlite:///{path}"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0\n"
    assert list(tmp_path.iterdir()) == [path]


def test_asking_costs_less_than_a_tenth_of_listing_the_runs(sqlite_sample):
    def cpu_of(ask):
        since = time.process_time()
        for _ in range(50):
            ask()
        return time.process_time() - since

    with open_store(f"sqlite:///{sqlite_sample}") as store:
        pairs = [(cpu_of(store.change_token), cpu_of(lambda: store.read_runs(Query()))) for _ in range(4)]
    assert min(asking for asking, _ in pairs[1:]) < min(listing for _, listing in pairs[1:]) / 10, pairs
