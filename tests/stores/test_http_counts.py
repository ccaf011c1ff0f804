"""Run counts of experiments on a real `mlflow server`, found without listing all runs; a proxy changes responses."""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
from base64 import b64decode, b64encode
from contextlib import closing

import pytest

from benchmarks.stores import Size, fill_folder
from qualia_lab.stores.http import counts
from qualia_lab.stores.open import open_store
from tests import servers
from tests.conftest import running

from .empty import new_client
from .recording_proxy import recording_proxy

# Enough experiments for batches of several, with both large and small ones.
ACTIVE = [0, 1, 2, 3, 99, 100, 101, 1003, *[0, 1, 5, 2] * 6, 40, 400]
DELETED = [0, 0, 1, 2, 0, 3, 1, 101, *[0, 2, 0, 1] * 6, 0, 7]
COLUMNS = "run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id"
STARTED = 1_760_000_000_000
BISECTING, LISTING = 100.0, 1e-9  # _RUN_SECONDS (time to list one run) with which each of the two is faster


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A SQLite store in which some runs have not ended, and early runs end last. Servers omit runs without a start."""
    path = tmp_path_factory.mktemp("counts") / "mlflow.db"
    with contextlib.chdir(path.parent):  # MLflow's default for artifacts is the working directory
        client = new_client(f"sqlite:///{path}")
        for n in range(len(ACTIVE)):
            client.create_experiment(f"experiment {n}")
    with closing(sqlite3.connect(path)) as database:
        for number, (active, deleted) in enumerate(zip(ACTIVE, DELETED, strict=True), 1):
            for n in range(active + deleted):
                stage = "active" if n < active else "deleted"
                start = STARTED + number * 1000 + n
                end = None if n % 3 == 0 or number % 5 == 0 else start + 10_000_000 - 2 * n
                add_run(database, f"{number:04x}{n:028x}", number, stage, start, end)
        database.execute("UPDATE experiments SET lifecycle_stage = 'deleted' WHERE experiment_id % 7 = 5")
        database.commit()
    return path


@pytest.fixture(scope="module")
def server(database):
    with running(servers.mlflow_server(f"sqlite:///{database}", database.parent)) as uri:
        yield uri


def add_run(database, run_id, experiment, stage, start, end):
    status = "RUNNING" if end is None else "FINISHED"
    row = (run_id, run_id, "ada", status, start, end, stage, f"file:///nowhere/{run_id}", experiment)
    database.execute(f"INSERT INTO runs ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def found(uri, view="active"):
    with contextlib.closing(open_store(uri)) as store:
        rows = store.read_experiments(view).to_pylist()
    # Stores order experiments with the same last activity differently.
    return sorted(rows, key=lambda row: int(row["experiment_id"]))


def offset_of(request):
    return json.loads(b64decode(request["page_token"]))["offset"] if request.get("page_token") else 0


def largest(rows):
    return next(row["run_count"] for row in rows if row["name"] == f"experiment {len(ACTIVE) - 1}")


@pytest.mark.parametrize("seconds", [counts._RUN_SECONDS, BISECTING, LISTING])
@pytest.mark.parametrize("view", ["active", "deleted", "all"])
def test_the_counts_match_the_database(server, database, monkeypatch, view, seconds):
    monkeypatch.setattr(counts, "_RUN_SECONDS", seconds)
    rows = found(server, view)
    assert rows == found(f"sqlite:///{database}", view)
    numbers = {"active": ACTIVE, "deleted": DELETED, "all": [sum(pair) for pair in zip(ACTIVE, DELETED, strict=True)]}
    assert len(rows) > 3
    for row in rows:
        if row["name"] != "Default":
            assert row["run_count"] == numbers[view][int(row["experiment_id"]) - 1]


@pytest.mark.parametrize("count", [*range(9), 15, 16, 17, 63, 64, 65])
def test_every_count_is_found_by_binary_search(server, database, monkeypatch, count):
    """Counts around a page, a half and the end of the search interval."""
    monkeypatch.setattr(counts, "_RUN_SECONDS", BISECTING)
    with closing(sqlite3.connect(database)) as changing:
        changing.execute("UPDATE runs SET experiment_id = 0 WHERE experiment_id = 8 AND name IN ("
                         "SELECT name FROM runs WHERE experiment_id = 8 AND lifecycle_stage = 'active' LIMIT ?)", [count])  # fmt: skip
        changing.commit()
        try:
            rows = found(server)
        finally:
            changing.execute("UPDATE runs SET experiment_id = 8 WHERE experiment_id = 0")
            changing.commit()
    assert next(row["run_count"] for row in rows if row["name"] == "Default") == count


def test_counting_reads_few_runs(server, monkeypatch):
    monkeypatch.setattr(counts, "_RUN_SECONDS", BISECTING)
    with recording_proxy(server) as proxy:
        assert largest(found(proxy.uri)) == ACTIVE[-1]
    assert proxy.runs.total() < sum(ACTIVE) / 10
    assert all(len(answer.get("runs", [])) <= 10 for _, _, answer in proxy.requests)


def test_small_experiments_are_listed_together(server):
    with recording_proxy(server) as proxy:
        found(proxy.uri)
    assert proxy.runs.total() < sum(ACTIVE)
    large = sum(number > 20 for number in ACTIVE)
    assert proxy.endpoints["runs/search"] < 40 * large + 10 < len(ACTIVE) * 12


def test_each_run_is_listed_once_if_requests_are_slow(server, monkeypatch):
    """As over a folder, where the server reads every run for each request."""
    monkeypatch.setattr(counts, "_RUN_SECONDS", LISTING)
    with recording_proxy(server) as proxy:
        found(proxy.uri)
    assert proxy.runs.total() <= sum(ACTIVE) + 1
    # One run is requested a second time, to measure the time of a request.
    assert sum(times > 1 for times in proxy.runs.values()) <= 1


def test_unknown_page_tokens_are_passed_back_unchanged(server, database, monkeypatch):
    monkeypatch.setattr(counts, "_RUN_SECONDS", BISECTING)

    def change_request(request):
        if "page_token" not in request:
            return request
        kind, _, offset = request["page_token"].partition("-")
        assert kind == "after"
        return {**request, "page_token": b64encode(json.dumps({"offset": int(offset)}).encode()).decode()}

    def answer(request, response):
        token = response.get("next_page_token")
        return {**response, "next_page_token": f"after-{offset_of({'page_token': token})}"} if token else response

    with recording_proxy(server, change_request, answer) as proxy:
        assert found(proxy.uri) == found(f"sqlite:///{database}")
    assert proxy.runs.total() <= sum(ACTIVE) + 1


@pytest.mark.parametrize(
    "written", ['{"offset":%d}', '{"offset": %d, "of": 3}', '{"offset": "%d"}', " %d", '["offset", %d]']
)
def test_page_tokens_are_recognized_only_if_byte_for_byte_equal(server, database, monkeypatch, written):
    monkeypatch.setattr(counts, "_RUN_SECONDS", BISECTING)

    def change_request(request):
        if "page_token" in request:
            text = b64decode(request["page_token"]).decode()
            offset = next(n for n in range(5000) if written % n == text)
            request = {**request, "page_token": b64encode(json.dumps({"offset": offset}).encode()).decode()}
        return request

    def answer(request, response):
        token = response.get("next_page_token")
        return {**response, "next_page_token": b64encode((written % offset_of({"page_token": token})).encode()).decode()} \
            if token else response  # fmt: skip

    with recording_proxy(server, change_request, answer) as proxy:
        assert found(proxy.uri) == found(f"sqlite:///{database}")
    assert proxy.runs.total() <= sum(ACTIVE) + 1


def rejects(request, response):
    return None if request.get("page_token") and request.get("max_results") == 1 else response


def returns_one_run_too_many(request, response):
    return (
        {**response, "runs": response["runs"] * 2}
        if offset_of(request) > 50 and request["max_results"] == 1
        else response
    )


def returns_runs_of_another_experiment(request, response):
    if offset_of(request) <= 50 or request["max_results"] > 1 or not response.get("runs"):
        return response
    (run,) = response["runs"]
    return {**response, "runs": [{**run, "info": {**run["info"], "experiment_id": "77"}}]}


def returns_a_token_of_another_offset(request, response):
    first = b64encode(json.dumps({"offset": 1}).encode()).decode()
    return (
        {**response, "next_page_token": first} if offset_of(request) > 50 and request["max_results"] == 1 else response
    )


def returns_a_token_without_runs(request, response):
    if offset_of(request) <= 50 or request["max_results"] > 1:
        return response
    return {"next_page_token": b64encode(json.dumps({"offset": offset_of(request) + 1}).encode()).decode()}


def always_has_more(request, response):
    if offset_of(request) <= 50 or request["max_results"] > 1:
        return response
    run = {"info": {"run_id": "0" * 32, "experiment_id": request["experiment_ids"][0]}}
    return {
        "runs": [run],
        "next_page_token": b64encode(json.dumps({"offset": offset_of(request) + 1}).encode()).decode(),
    }


@pytest.mark.parametrize(
    "answer",
    [
        rejects,
        returns_one_run_too_many,
        returns_runs_of_another_experiment,
        returns_a_token_of_another_offset,
        returns_a_token_without_runs,
        always_has_more,
    ],
)
def test_the_runs_of_an_inconsistent_server_are_listed(server, database, monkeypatch, answer):
    monkeypatch.setattr(counts, "_RUN_SECONDS", BISECTING)

    def with_experiments(request, response):
        return answer(request, response) if "experiment_ids" in request else response

    with recording_proxy(server, change_response=with_experiments) as proxy:
        assert found(proxy.uri) == found(f"sqlite:///{database}")


@pytest.mark.parametrize("change", ["added", "deleted"])
def test_counting_ends_if_runs_are_added_or_removed_meanwhile(server, database, monkeypatch, change):
    monkeypatch.setattr(counts, "_RUN_SECONDS", BISECTING)
    number, before = len(ACTIVE), ACTIVE[-1]
    added = itertools.count()

    def change_request(request):
        if request.get("experiment_ids") == [str(number)]:
            with closing(sqlite3.connect(database, timeout=30)) as changing:
                n = next(added)
                if change == "added":
                    add_run(changing, f"ffff{n:028x}", number, "active", STARTED * 2 + n, None)
                else:
                    run_id = f"{number:04x}{n:028x}"
                    changing.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", [run_id])
                changing.commit()
        return request

    try:
        with recording_proxy(server, change_request) as proxy:
            count = largest(found(proxy.uri))
        changes = next(added)
        assert 5 < changes < 100
        low, high = (before, before + changes) if change == "added" else (before - changes, before)
        assert low <= count <= high
        assert all(len(answer.get("runs", [])) < 100 for _, _, answer in proxy.requests)
    finally:
        with closing(sqlite3.connect(database, timeout=30)) as changing:
            changing.execute("DELETE FROM runs WHERE run_uuid LIKE 'ffff%'")
            changing.execute("UPDATE runs SET lifecycle_stage = 'active' WHERE experiment_id = ? AND "
                             "start_time < ?", [number, STARTED + number * 1000 + before])  # fmt: skip
            changing.commit()
    assert found(server) == found(f"sqlite:///{database}")


def test_counts_on_a_server_over_a_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    folder = tmp_path_factory.mktemp("folder")
    fill_folder(folder / "mlruns", Size(150, params=1, metrics=1, steps=1))
    with running(servers.mlflow_server(str(folder / "mlruns"), folder)) as uri:
        for seconds in (counts._RUN_SECONDS, BISECTING, LISTING):
            monkeypatch.setattr(counts, "_RUN_SECONDS", seconds)
            assert found(uri) == found(str(folder / "mlruns"))
