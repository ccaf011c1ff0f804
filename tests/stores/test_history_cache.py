"""Histories of a real `mlflow server` above the limit of its bulk endpoint, and their cache on this machine."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from qualia_lab import schema
from qualia_lab.selection import Query
from qualia_lab.stores.http import history as http_history
from qualia_lab.stores.http import history_cache
from qualia_lab.stores.http.history_cache import HistoryCache, fingerprint_of, open_cache
from qualia_lab.stores.http.rest import RestClient
from qualia_lab.stores.open import open_store
from qualia_lab.stores.uri import split_uri
from tests import servers
from tests.cli.command import QUALIA, run_here
from tests.conftest import running
from tests.stores.empty import new_client

ENDED = 1_760_000_000_000  # in 2025
RUNS, STEPS, LONG = 30, 1000, 26_000
WANTED = {f"run{number:02}" + "0" * 26: STEPS for number in range(RUNS)} | {"long" + "0" * 28: LONG}


SOME = tuple(WANTED)[:4]


def points(run_id: str, steps: int) -> str:
    return (
        f"WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {steps - 1})"
        " INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)"
        f" SELECT 'loss', 1.0 / (n + 1), {ENDED} + n, '{run_id}', n, 0 FROM s"
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Thirty runs with a thousand points each and one with 26,000: both exceed the limit of one response."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("histories")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    experiment = int(new_client(uri).create_experiment("long", artifact_location=str(folder)))
    latest = "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)"
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        for run_id, steps in WANTED.items():
            database.execute(
                "INSERT INTO runs (run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, experiment_id)"
                " VALUES (?, 'run', 'ada', 'FINISHED', ?, ?, 'active', ?)",
                (run_id, ENDED - 1000, ENDED, experiment),
            )
            database.execute(points(run_id, steps))
            database.execute(latest, ("loss", 1.0 / steps, ENDED + steps - 1, steps - 1, run_id))
            database.execute("INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)"
                             " VALUES ('accuracy', 0.5, ?, ?, 0, 0)", (ENDED, run_id))  # fmt: skip
            database.execute(latest, ("accuracy", 0.5, ENDED, 0, run_id))
    with running(servers.mlflow_server(uri, folder)) as address:
        MlflowClient(address).search_runs([str(experiment)], max_results=1)  # the first response takes long
        yield address


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder of the cache, empty."""
    monkeypatch.setenv("QUALIA_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "histories"


@pytest.fixture
def requests(monkeypatch):
    """The (path, query parameters) of every request for JSON, recorded as they are sent."""
    recorded, send = [], RestClient.request_json_with_size

    def recording(self, method, path, **more):
        recorded.append((path, list(more.get("parameters") or ())))
        return send(self, method, path, **more)

    monkeypatch.setattr(RestClient, "request_json_with_size", recording)
    return recorded


def history(store, run_ids, keys=None):
    """All points, sorted."""
    table = pa.Table.from_batches(store.read_metric_history(list(run_ids), keys), schema.METRIC_HISTORY)
    return table.sort_by([(name, "ascending") for name in ("run_id", "key", "step")])


def metric_requests(requests):
    return [parameters for path, parameters in requests if "/metrics/" in path]


# Completeness


def test_histories_above_the_bulk_limit_are_complete_and_match_mlflow(server):
    from mlflow import MlflowClient

    found = history(open_store(server), WANTED, ["loss"])
    counts = {row["values"]: row["counts"] for row in found.column("run_id").value_counts().to_pylist()}
    assert counts == WANTED
    for run_id in ("long" + "0" * 28, "run07" + "0" * 26):
        theirs = MlflowClient(server).get_metric_history(run_id, "loss")
        ours = [row for row in found.to_pylist() if row["run_id"] == run_id]
        assert [(row["step"], row["timestamp"], row["value"]) for row in ours] == [
            (point.step, point.timestamp, point.value) for point in theirs
        ]


def test_a_server_without_the_bulk_endpoint_returns_the_same(server, monkeypatch, requests):
    whole = history(open_store(server), SOME, ["loss"])
    monkeypatch.setattr(http_history, "_BULK", "/ajax-api/2.0/mlflow/metrics/no-such-thing")
    requests.clear()
    assert history(open_store(server), SOME, ["loss"]).equals(whole)
    assert any(path.endswith("/metrics/get-history") for path, _ in requests)


# Caching


def test_histories_of_ended_runs_are_requested_once(server, folder, requests):
    first = history(open_store(server), WANTED)
    assert first.num_rows == sum(WANTED.values()) + len(WANTED)
    assert len(list(folder.iterdir())) == len(WANTED)
    requests.clear()
    assert history(open_store(server), WANTED).equals(first)
    store = open_store(server)
    run_ids = store.read_runs(Query()).column("run_id").to_pylist()
    only = history(store, run_ids, ["accuracy", "no such metric"])
    assert only.num_rows == len(WANTED)
    assert set(only.column("key").to_pylist()) == {"accuracy"}
    assert not metric_requests(requests)


def test_a_remembered_run_state_is_used_for_one_read_only(server, requests):
    store = open_store(server)
    run_ids = store.read_runs(Query(limit=3)).column("run_id").to_pylist()
    requests.clear()
    history(store, run_ids)
    assert not [path for path, _ in requests if path.endswith("runs/search")]
    history(store, run_ids)
    assert [path for path, _ in requests if path.endswith("runs/search")]


def test_only_changed_runs_are_requested_again(server, requests):
    from mlflow import MlflowClient

    store = open_store(server)
    before = history(store, SOME)
    changed = "run03" + "0" * 26
    MlflowClient(server).log_metric(changed, "loss", 7.0, step=STEPS)
    for again in (store, open_store(server)):
        requests.clear()
        after = history(again, SOME)
        assert after.num_rows == before.num_rows + 1
        assert 7.0 in after.column("value").to_pylist()
        if again is store:
            assert {value for one in metric_requests(requests) for name, value in one if name == "run_id"} == {changed}
        else:
            assert not metric_requests(requests)


def test_running_and_just_ended_runs_are_not_cached(server, folder):
    from mlflow import MlflowClient

    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("long").experiment_id
    going_on, just_ended = (client.create_run(experiment).info.run_id for _ in range(2))
    for run_id in (going_on, just_ended):
        client.log_metric(run_id, "loss", 1.0, step=1)
    client.set_terminated(just_ended)
    try:
        assert history(open_store(server), [going_on, just_ended]).num_rows == 2
        assert not folder.exists()
        client.log_metric(
            just_ended, "loss", 2.0, step=0
        )  # a late point, which no other response of the server reveals
        assert history(open_store(server), [going_on, just_ended]).num_rows == 3
    finally:
        client.delete_run(going_on)
        client.delete_run(just_ended)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:40],
        lambda data: data[: len(data) // 2],
        lambda data: data[:900] + bytes([data[900] ^ 1]) + data[901:],
        lambda data: data + b"\0",
    ],
)
def test_a_damaged_cache_file_is_replaced_by_a_new_request(server, folder, requests, damage):
    run_id = "run05" + "0" * 26
    whole = history(open_store(server), [run_id])
    (cached,) = folder.iterdir()
    cached.write_bytes(damage(cached.read_bytes()))
    requests.clear()
    assert history(open_store(server), [run_id]).equals(whole)
    assert metric_requests(requests)
    requests.clear()
    assert history(open_store(server), [run_id]).equals(whole)
    assert not metric_requests(requests)


def test_cache_entries_expire_after_a_week(server, folder, requests):
    history(open_store(server), ["run05" + "0" * 26])
    (cached,) = folder.iterdir()
    os.utime(cached, (time.time() - 8 * 86_400,) * 2)
    requests.clear()
    history(open_store(server), ["run05" + "0" * 26])
    assert metric_requests(requests)


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_the_cache_is_private_and_a_world_writable_cache_is_ignored(server, folder, requests):
    history(open_store(server), ["run05" + "0" * 26])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    folder.chmod(0o770)
    requests.clear()
    history(open_store(server), ["run05" + "0" * 26])
    assert metric_requests(requests)
    assert len(list(folder.iterdir())) == 1


def test_the_cache_can_be_turned_off_by_the_environment(server, folder, monkeypatch):
    monkeypatch.setenv("QUALIA_LAB_CACHE", "off")
    assert history(open_store(server), ["run05" + "0" * 26]).num_rows == STEPS + 1
    assert not folder.exists()


def test_the_cache_is_off_with_the_flag_and_a_snapshot_has_its_own_histories(server, folder, tmp_path):
    cached = {"QUALIA_LAB_CACHE": str(folder.parent)}
    args = ("snapshot", server, "--filter", "run_id IN ('{}', '{}')".format(*SOME))
    assert run_here(QUALIA, *args, "one", "--no-cache", cwd=tmp_path, **cached).returncode == 0
    assert not folder.exists()
    assert run_here(QUALIA, *args, "two", cwd=tmp_path, **cached).returncode == 0
    assert len(list(folder.iterdir())) == 2
    assert history(open_store(f"snapshot:{tmp_path / 'one'}"), SOME).equals(history(open_store(server), SOME[:2]))


# The cache itself


def table(run_id, count=100):
    values = {"run_id": [run_id] * count, "key": ["loss"] * count, "step": range(count), "timestamp": range(count)}
    return pa.table({**values, "value": [float(one) for one in os.urandom(count)]}, schema=schema.METRIC_HISTORY)


def test_the_cache_stays_below_its_size_limit_and_keeps_the_newest_files(folder, monkeypatch):
    monkeypatch.setattr(history_cache, "_MAX_BYTES", 60_000)
    monkeypatch.setattr(history_cache, "_RESERVED_BYTES", 10_000)
    cache = HistoryCache(folder, "store")
    for number in range(100):
        cache.write(f"run {number}", "mark", table(f"run {number}"))
        moment = ENDED / 1000 + number
        newest = max(folder.iterdir(), key=lambda file: file.stat().st_mtime)
        os.utime(newest, (moment, moment))
        assert sum(file.stat().st_size for file in folder.iterdir()) <= 60_000
    monkeypatch.setattr(history_cache, "_MAX_AGE_SECONDS", float("inf"))
    left = [number for number in range(100) if cache.read(f"run {number}", "mark") is not None]
    assert left == list(range(100 - len(left), 100))
    assert len(left) > 10


def test_old_temporary_files_are_removed_and_recent_ones_are_kept(folder):
    folder.mkdir(mode=0o700, parents=True)
    left, now = folder / "a.tmp", folder / "b.tmp"
    left.touch()
    now.touch()
    os.utime(left, (time.time() - 86_400,) * 2)
    HistoryCache(folder, "store").write("run", "mark", table("run"))
    assert (left.exists(), now.exists()) == (False, True)


def test_cache_entries_differ_by_store_run_and_fingerprint(folder):
    cached = table("run")
    HistoryCache(folder, "store").write("run", "mark", cached)
    assert HistoryCache(folder, "store").read("run", "mark").equals(cached)
    assert HistoryCache(folder, "store").read("run", "another") is None
    assert HistoryCache(folder, "store").read("run 2", "mark") is None
    assert HistoryCache(folder, "elsewhere").read("run", "mark") is None


def test_errors_of_the_disk_are_ignored(tmp_path):
    (tmp_path / "file").touch()
    cache = HistoryCache(tmp_path / "file" / "histories", "store")
    cache.write("run", "mark", table("run"))
    assert cache.read("run", "mark") is None


def test_the_cache_is_in_the_user_cache_folder_of_the_system(monkeypatch, tmp_path):
    monkeypatch.delenv("QUALIA_LAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert open_cache("store").folder == tmp_path / "qualia-lab" / "histories"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("sys.platform", "linux")
    assert open_cache("store").folder == Path.home() / ".cache" / "qualia-lab" / "histories"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the specification says to ignore it
    assert open_cache("store").folder == Path.home() / ".cache" / "qualia-lab" / "histories"


def test_no_secret_is_cached(server, folder):
    uri = server.replace("//", "//ada:hunter2@")
    history(open_store(uri), ["run05" + "0" * 26])
    assert "hunter2" not in split_uri(uri).safe
    for file in folder.iterdir():
        assert b"hunter2" not in file.read_bytes() + file.name.encode()


RUN = {
    "info": {"run_id": "r", "status": "FINISHED", "start_time": 1, "end_time": ENDED, "lifecycle_stage": "active"},
    "data": {"metrics": [{"key": "a", "value": 1.0, "timestamp": 5, "step": 2}, {"key": "b", "value": 2.0}]},
}


@pytest.mark.parametrize(
    ("info", "metrics"),
    [
        ({"end_time": ENDED + 1}, None),
        ({"status": "KILLED"}, None),
        ({"lifecycle_stage": "deleted"}, None),
        ({}, [{"key": "a", "value": 1.0, "timestamp": 5, "step": 3}, {"key": "b", "value": 2.0}]),
        ({}, [{"key": "a", "value": 1.5, "timestamp": 5, "step": 2}, {"key": "b", "value": 2.0}]),
        ({}, [{"key": "a", "value": 1.0, "timestamp": 6, "step": 2}, {"key": "b", "value": 2.0}]),
        ({}, [{"key": "a", "value": 1.0, "timestamp": 5, "step": 2}]),
        ({}, []),
    ],
)
def test_a_fingerprint_changes_with_any_value_of_a_run(info, metrics):
    changed = {"info": RUN["info"] | info, "data": RUN["data"] if metrics is None else {"metrics": metrics}}
    assert fingerprint_of(RUN) == fingerprint_of({**RUN, "data": {"metrics": RUN["data"]["metrics"][::-1]}})
    assert fingerprint_of(changed) not in (None, fingerprint_of(RUN))


@pytest.mark.parametrize(
    "info",
    [
        {"status": "RUNNING"},
        {"status": None},
        {"end_time": None},
        {"end_time": 0},
        {"end_time": "soon"},
        {"end_time": 2**62},
        {"end_time": (time.time() + 3600) * 1000},
    ],
)
def test_a_run_that_may_still_change_has_no_fingerprint(info):
    assert fingerprint_of({**RUN, "info": RUN["info"] | info}) is None
    assert fingerprint_of({}) is None


@pytest.mark.parametrize("end", [1e999, float("nan"), "soon", None, [], {}])
def test_a_run_whose_end_is_no_time_is_not_cached(end):
    """JSON of a server may hold numbers that no integer can be."""
    assert fingerprint_of({"info": {"status": "FINISHED", "end_time": end}, "data": {}}) is None
