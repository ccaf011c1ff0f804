"""How many runs a server's experiments have, found without listing them: a real `mlflow server`, at times changed."""

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
from .relay import relayed

# Experiments enough for portions of several, with large ones among small ones.
ACTIVE = [0, 1, 2, 3, 99, 100, 101, 1003, *[0, 1, 5, 2] * 6, 40, 400]
DELETED = [0, 0, 1, 2, 0, 3, 1, 101, *[0, 2, 0, 1] * 6, 0, 7]
COLUMNS = "run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id"
STARTED = 1_760_000_000_000
HALVES, LISTING = 100.0, 1e-9  # seconds that a listing is taken to need for a run: what is then quicker


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A SQLite store; some runs have not ended, and the latest end is of an early run.  A server gives none without start."""
    path = tmp_path_factory.mktemp("counts") / "mlflow.db"
    with contextlib.chdir(path.parent):  # where MLflow says that artifacts are
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
    return sorted(rows, key=lambda row: int(row["experiment_id"]))  # stores differ where the last activity is the same


def offset_of(question):
    return json.loads(b64decode(question["page_token"]))["offset"] if question.get("page_token") else 0


def largest(rows):
    return next(row["run_count"] for row in rows if row["name"] == f"experiment {len(ACTIVE) - 1}")


@pytest.mark.parametrize("seconds", [counts._RUN_SECONDS, HALVES, LISTING])
@pytest.mark.parametrize("view", ["active", "deleted", "all"])
def test_the_counts_are_those_of_the_database(server, database, monkeypatch, view, seconds):
    monkeypatch.setattr(counts, "_RUN_SECONDS", seconds)
    rows = found(server, view)
    assert rows == found(f"sqlite:///{database}", view)
    numbers = {"active": ACTIVE, "deleted": DELETED, "all": [sum(pair) for pair in zip(ACTIVE, DELETED, strict=True)]}
    assert len(rows) > 3
    for row in rows:
        if row["name"] != "Default":
            assert row["run_count"] == numbers[view][int(row["experiment_id"]) - 1]


@pytest.mark.parametrize("count", [*range(9), 15, 16, 17, 63, 64, 65])
def test_every_count_is_found_by_halves(server, database, monkeypatch, count):
    """Each around a page, a half and the end of what is asked for."""
    monkeypatch.setattr(counts, "_RUN_SECONDS", HALVES)
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


def test_few_runs_are_looked_at(server, monkeypatch):
    monkeypatch.setattr(counts, "_RUN_SECONDS", HALVES)
    with relayed(server) as relay:
        assert largest(found(relay.uri)) == ACTIVE[-1]
    assert relay.runs.total() < sum(ACTIVE) / 10
    assert all(len(answer.get("runs", [])) <= 10 for _, _, answer in relay.asked)


def test_small_experiments_are_listed_together(server):
    with relayed(server) as relay:
        found(relay.uri)
    assert relay.runs.total() < sum(ACTIVE)
    large = sum(number > 20 for number in ACTIVE)
    assert relay.ends["runs/search"] < 40 * large + 10 < len(ACTIVE) * 12


def test_where_single_questions_are_slow_each_run_is_listed_once(server, monkeypatch):
    """As over a folder, where the server reads every run for each question."""
    monkeypatch.setattr(counts, "_RUN_SECONDS", LISTING)
    with relayed(server) as relay:
        found(relay.uri)
    assert relay.runs.total() <= sum(ACTIVE) + 1
    assert sum(times > 1 for times in relay.runs.values()) <= 1  # the one that was asked for to see how long it takes


def test_a_token_of_another_form_is_handed_back_and_nothing_else(server, database, monkeypatch):
    monkeypatch.setattr(counts, "_RUN_SECONDS", HALVES)

    def question(asked):
        if "page_token" not in asked:
            return asked
        kind, _, offset = asked["page_token"].partition("-")
        assert kind == "after"
        return {**asked, "page_token": b64encode(json.dumps({"offset": int(offset)}).encode()).decode()}

    def answer(asked, told):
        token = told.get("next_page_token")
        return {**told, "next_page_token": f"after-{offset_of({'page_token': token})}"} if token else told

    with relayed(server, question, answer) as relay:
        assert found(relay.uri) == found(f"sqlite:///{database}")
    assert relay.runs.total() <= sum(ACTIVE) + 1


@pytest.mark.parametrize(
    "written", ['{"offset":%d}', '{"offset": %d, "of": 3}', '{"offset": "%d"}', " %d", '["offset", %d]']
)
def test_only_a_token_that_is_the_same_bytes_is_the_known_form(server, database, monkeypatch, written):
    monkeypatch.setattr(counts, "_RUN_SECONDS", HALVES)

    def question(asked):
        if "page_token" in asked:
            text = b64decode(asked["page_token"]).decode()
            offset = next(n for n in range(5000) if written % n == text)
            asked = {**asked, "page_token": b64encode(json.dumps({"offset": offset}).encode()).decode()}
        return asked

    def answer(asked, told):
        token = told.get("next_page_token")
        return {**told, "next_page_token": b64encode((written % offset_of({"page_token": token})).encode()).decode()} \
            if token else told  # fmt: skip

    with relayed(server, question, answer) as relay:
        assert found(relay.uri) == found(f"sqlite:///{database}")
    assert relay.runs.total() <= sum(ACTIVE) + 1


def refuses(asked, told):
    return None if asked.get("page_token") and asked.get("max_results") == 1 else told


def gives_one_too_many(asked, told):
    return {**told, "runs": told["runs"] * 2} if offset_of(asked) > 50 and asked["max_results"] == 1 else told


def gives_those_of_another(asked, told):
    if offset_of(asked) <= 50 or asked["max_results"] > 1 or not told.get("runs"):
        return told
    (run,) = told["runs"]
    return {**told, "runs": [{**run, "info": {**run["info"], "experiment_id": "77"}}]}


def gives_a_token_of_another_place(asked, told):
    first = b64encode(json.dumps({"offset": 1}).encode()).decode()
    return {**told, "next_page_token": first} if offset_of(asked) > 50 and asked["max_results"] == 1 else told


def gives_a_token_and_no_run(asked, told):
    if offset_of(asked) <= 50 or asked["max_results"] > 1:
        return told
    return {"next_page_token": b64encode(json.dumps({"offset": offset_of(asked) + 1}).encode()).decode()}


def always_has_more(asked, told):
    if offset_of(asked) <= 50 or asked["max_results"] > 1:
        return told
    run = {"info": {"run_id": "0" * 32, "experiment_id": asked["experiment_ids"][0]}}
    return {"runs": [run], "next_page_token": b64encode(json.dumps({"offset": offset_of(asked) + 1}).encode()).decode()}


@pytest.mark.parametrize(
    "answer",
    [
        refuses,
        gives_one_too_many,
        gives_those_of_another,
        gives_a_token_of_another_place,
        gives_a_token_and_no_run,
        always_has_more,
    ],
)
def test_a_server_that_contradicts_itself_is_listed(server, database, monkeypatch, answer):
    monkeypatch.setattr(counts, "_RUN_SECONDS", HALVES)

    def of_experiments_too(asked, told):
        return answer(asked, told) if "experiment_ids" in asked else told

    with relayed(server, answer=of_experiments_too) as relay:
        assert found(relay.uri) == found(f"sqlite:///{database}")


@pytest.mark.parametrize("change", ["added", "deleted"])
def test_runs_that_come_or_go_meanwhile_end_it_all_the_same(server, database, monkeypatch, change):
    monkeypatch.setattr(counts, "_RUN_SECONDS", HALVES)
    number, before = len(ACTIVE), ACTIVE[-1]
    added = itertools.count()

    def question(asked):
        if asked.get("experiment_ids") == [str(number)]:
            with closing(sqlite3.connect(database, timeout=30)) as changing:
                n = next(added)
                if change == "added":
                    add_run(changing, f"ffff{n:028x}", number, "active", STARTED * 2 + n, None)
                else:
                    run_id = f"{number:04x}{n:028x}"
                    changing.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", [run_id])
                changing.commit()
        return asked

    try:
        with relayed(server, question) as relay:
            count = largest(found(relay.uri))
        changes = next(added)
        assert 5 < changes < 100
        low, high = (before, before + changes) if change == "added" else (before - changes, before)
        assert low <= count <= high
        assert all(len(answer.get("runs", [])) < 100 for _, _, answer in relay.asked)
    finally:
        with closing(sqlite3.connect(database, timeout=30)) as changing:
            changing.execute("DELETE FROM runs WHERE run_uuid LIKE 'ffff%'")
            changing.execute("UPDATE runs SET lifecycle_stage = 'active' WHERE experiment_id = ? AND "
                             "start_time < ?", [number, STARTED + number * 1000 + before])  # fmt: skip
            changing.commit()
    assert found(server) == found(f"sqlite:///{database}")


def test_a_server_over_a_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    folder = tmp_path_factory.mktemp("folder")
    fill_folder(folder / "mlruns", Size(150, params=1, metrics=1, steps=1))
    with running(servers.mlflow_server(str(folder / "mlruns"), folder)) as uri:
        for seconds in (counts._RUN_SECONDS, HALVES, LISTING):
            monkeypatch.setattr(counts, "_RUN_SECONDS", seconds)
            assert found(uri) == found(str(folder / "mlruns"))
