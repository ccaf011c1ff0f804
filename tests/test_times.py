"""Impossible times are unknown in every kind of store, and `problems` lists what was recorded."""

import sqlite3
from datetime import UTC, datetime
from itertools import product

import pytest

from qualia_lab import ArtifactExplorer, load_runs
from qualia_lab.schema import RUNS
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.tables import table_of
from qualia_lab.times import FEW, LATEST_TIME, SECONDS, are_usual, possible_runs
from tests.stores.empty import new_client
from tests.stores.mlruns import write_experiment, write_run

from .cli.command import QUALIA, run_here

START = 1_790_000_000_000
# Run name → start, end and status as recorded, and as read.
RECORDED = {
    "plain": ((START, START + 90_000, "FINISHED"), (START, START + 90_000)),
    "without a start": ((0, START + 90_000, "FINISHED"), (None, START + 90_000)),
    "ends before its start": ((START, START - 9_000, "FINISHED"), (START, None)),
    "resumed": ((START, START + 5_000, "RUNNING"), (START, None)),
    "in seconds": ((START // 1000, START // 1000 + 90, "FINISHED"), (None, None)),
    "in microseconds": ((START * 1000, START * 1000 + 9, "FINISHED"), (None, None)),
    "negative": ((-5, -3, "FAILED"), (None, None)),
    "not ended": ((START, None, "RUNNING"), (START, None)),
}
KNOWN = {name: known for name, (_, known) in RECORDED.items()}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A SQLite file with runs with these times, each with a metric."""
    folder = tmp_path_factory.mktemp("times")
    client = new_client(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("odd times", artifact_location=folder.as_uri())
    for name in RECORDED:
        made = client.create_run(experiment, start_time=START, run_name=name).info.run_id
        stamp = START // 1000 if name == "in seconds" else START
        client.log_metric(made, "loss", 0.5, timestamp=stamp, step=1)
    with sqlite3.connect(folder / "mlflow.db") as connection:
        for name, ((start, end, status), _) in RECORDED.items():
            connection.execute(
                "UPDATE runs SET start_time = ?, end_time = ?, status = ? WHERE name = ?", (start, end, status, name)
            )
    return folder / "mlflow.db"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same as an mlruns folder."""
    experiment = write_experiment(tmp_path_factory.mktemp("times") / "mlruns", name="odd times")
    for place, (name, ((start, end, status), _)) in enumerate(RECORDED.items()):
        write_run(
            experiment,
            f"{place:032x}",
            metrics={"loss": [(START // 1000 if name == "in seconds" else START, 0.5, 1)]},
            run_name=name,
            status={"RUNNING": 1, "FINISHED": 3, "FAILED": 4}[status],
            start_time=start,
            end_time=end,
        )
    return experiment.parent


@pytest.fixture(scope="module")
def snapshot(database, tmp_path_factory):
    out = tmp_path_factory.mktemp("times") / "snap"
    assert run_here(QUALIA, "snapshot", f"sqlite:///{database}", out, cwd=out.parent).returncode == 0
    return out


@pytest.fixture(scope="module")
def server(database, tmp_path_factory):
    """An MLflow server on a copy of the database."""
    from . import servers
    from .conftest import running

    folder = tmp_path_factory.mktemp("times")
    (folder / "mlflow.db").write_bytes(database.read_bytes())
    with running(servers.mlflow_server(f"sqlite:///{folder / 'mlflow.db'}", folder)) as uri:
        yield uri


@pytest.fixture(params=["sql", "file", "snapshot", "http"])
def uri(request):
    ways = {
        "sql": ("database", "sqlite:///{}"),
        "file": ("folder", "{}"),
        "snapshot": ("snapshot", "snapshot:{}"),
        "http": ("server", "{}"),
    }
    name, form = ways[request.param]
    return form.format(request.getfixturevalue(name))


def times(table):
    return {row["run_name"]: (row["start_time"], row["end_time"]) for row in table.to_pylist()}


def test_every_store_gives_the_same_times(uri):
    store = open_store(uri)
    listed = store.read_runs(Query())
    assert times(listed) == KNOWN
    assert times(store.read(listed.column("run_id").to_pylist()).runs) == KNOWN


def test_impossible_times_are_problems_of_the_run(uri):
    store = open_store(uri)
    tables = store.read(store.read_runs(Query()).column("run_id").to_pylist())
    names = dict(zip(*(tables.runs.column(name).to_pylist() for name in ("run_id", "run_name")), strict=True))
    said = {(names[row["run_id"]], row["subject"]): row["reason"] for row in tables.problems.to_pylist()}
    assert len(said) == tables.problems.num_rows
    assert set(said) == {
        ("without a start", "start_time"),
        ("ends before its start", "end_time"),
        ("resumed", "end_time"),
        *(
            (name, time)
            for name in ("in seconds", "in microseconds", "negative")
            for time in ("start_time", "end_time")
        ),
        ("in seconds", "timestamps of metrics"),
    }
    assert said["without a start", "start_time"] == "0 was recorded, which is not a possible time of a run"
    assert "seconds, where MLflow has milliseconds" in said["in seconds", "timestamps of metrics"]
    assert f"{START // 1000} was recorded" in said["in seconds", "start_time"]


def test_durations_are_computed_from_known_times(uri):
    store = open_store(uri)
    assert times(store.read_runs(Query(filter="duration IS NOT NULL"))).keys() == {"plain"}
    assert times(store.read_runs(Query(filter="duration > 3600"))) == {}
    assert next(iter(times(store.read_runs(Query(order_by=("duration ASC",)))))) == "plain"


def test_the_last_activity_is_a_possible_time(uri):
    assert open_store(uri).read_experiments().to_pylist()[0]["last_activity"] == START + 90_000


@pytest.mark.parametrize("end", ["soon", b"soon"])
def test_a_text_among_the_times_does_not_hide_the_last_activity(end, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = new_client(uri)
    for name in ("text", "plain"):
        client.create_run("0", start_time=START, run_name=name)
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("UPDATE runs SET end_time = ? WHERE name = 'text'", (end,))
        connection.execute("UPDATE runs SET end_time = ? WHERE name = 'plain'", (START + 90_000,))
    assert open_store(uri).read_experiments().column("last_activity").to_pylist() == [START + 90_000]


def test_overview_and_explorer_give_the_same_duration_in_seconds(database):
    explorer = ArtifactExplorer(f"sqlite:///{database}")
    frame = explorer.search_runs()
    runs = load_runs(f"sqlite:///{database}", list(frame.run_id))
    overview = runs.overview()
    assert overview["duration (s)"].dropna().tolist() == [90.0]
    of_explorer, of_overview = frame.set_index("run_id")["start_time"], overview.set_index("run_id")["start (UTC)"]
    assert of_explorer.notna().sum() == sum(start is not None for start, _ in KNOWN.values())
    assert of_overview.notna().to_dict() == of_explorer.notna().to_dict()
    odd = frame.set_index("run_name").run_id["ends before its start"]
    details = explorer.read_run(odd)
    assert details.duration is None
    assert details.start_time == datetime.fromtimestamp(START / 1000, UTC)


def test_the_listing_shows_no_age_for_unknown_times(database):
    listed = run_here(QUALIA, "runs", "--tracking-uri", f"sqlite:///{database}", cwd=database.parent).stdout
    assert "ends before its start" in listed
    assert "56 years" not in listed
    assert "-9.0 s" not in listed


def test_checking_the_times_of_a_hundred_thousand_runs_is_fast():
    rows = [{"run_id": str(place), "status": "FINISHED", "start_time": START, "end_time": None} for place in range(9)]
    table = table_of(RUNS, rows)
    assert possible_runs(table) is table


def test_few_runs_are_checked_by_the_same_rules_as_many():
    recorded = [None, -1, 0, *SECONDS, SECONDS[1] + 1, START, START + 1, LATEST_TIME - 1, LATEST_TIME]
    for status, start, end in product(["RUNNING", "FINISHED", None], recorded, recorded):
        row = {"run_id": "r", "status": status, "start_time": start, "end_time": end}
        many = table_of(RUNS, [row] * (FEW + 1))
        known = start is not None and not (end is not None and status is None)  # only `possible_runs` takes these
        assert are_usual([(status, start, end)]) == (known and possible_runs(many) is many), row
    assert not are_usual([("FINISHED", float(START), None)])
    assert not are_usual([(b"RUNNING", START, START + 1)])
