"""SQLite stores are never changed by reading, whatever their state; errors, invalid cells and old schemas."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from qualia_lab import schema
from qualia_lab.errors import StoreError, StoreNotFound, StoreUnreachable, StoreUnreadable
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.stores.sql import sqlite
from tests.cli.command import QUALIA, run_here
from tests.conftest import missing

from .old_schemas import CHILD, LATEST, PARENT, POINTS, REVISIONS, write_old_store


def state(folder: Path) -> dict[str, tuple]:
    """Contents and modification time of every file, and the time of the folder: everything a reader could change."""
    files = {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")  # shared memory with the locks of readers
    }
    names = sorted(path.name for path in folder.iterdir())
    return files | {".": (folder.stat().st_mtime_ns, names)}


def read_everything(uri: str) -> tuple[int, int, int]:
    """The numbers of runs, params and points."""
    store = open_store(uri)
    with contextlib.closing(store):
        store.read_experiments("all")
        run_ids = store.read_runs(Query(view="all")).column("run_id").to_pylist()
        tables = store.read(run_ids)
        points = sum(batch.num_rows for batch in store.read_metric_history(run_ids))
        return tables.runs.num_rows, tables.params.num_rows, points


@pytest.fixture
def folder(sqlite_sample, tmp_path) -> Path:
    """A folder that contains only a copy of the sample, an hour old."""
    folder = tmp_path / "store"
    folder.mkdir()
    shutil.copy(sqlite_sample, folder / "mlflow.db")
    os.utime(folder / "mlflow.db", (time.time() - 3600,) * 2)
    return folder


@pytest.fixture
def database(folder) -> Path:
    return folder / "mlflow.db"


@pytest.fixture(scope="session")
def content(sqlite_sample):
    return read_everything(f"sqlite:///{sqlite_sample}")


def in_wal_mode(database: Path) -> sqlite3.Connection:
    """A writer that has the database open in WAL mode, with a param that is only in the log."""
    writer = sqlite3.connect(database)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("INSERT INTO params SELECT 'only in the log', '1', run_uuid FROM runs LIMIT 1")
    writer.commit()
    return writer


# Unchanged files


def test_reading_changes_no_file_and_leaves_none_behind(folder, database, content):
    before = state(folder)
    assert read_everything(f"sqlite:///{database}") == content
    assert state(folder) == before


def test_reading_an_unopened_wal_database_changes_nothing(folder, database, content):
    in_wal_mode(database).close()
    assert list(state(folder)) == ["mlflow.db", "."]
    before = state(folder)
    runs, params, points = read_everything(f"sqlite:///{database}")
    assert (runs, params, points) == (content[0], content[1] + 1, content[2])
    assert state(folder) == before


def test_reading_during_a_write_in_wal_mode_changes_nothing(folder, database, content):
    writer = in_wal_mode(database)
    before = state(folder)
    assert read_everything(f"sqlite:///{database}")[1] == content[1] + 1
    assert state(folder) == before
    writer.close()


def test_reading_a_wal_left_by_a_dead_writer_changes_nothing(folder, database, tmp_path, content):
    writer = in_wal_mode(database)
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("mlflow.db", "mlflow.db-wal"):
        shutil.copy(folder / name, crashed)
    writer.close()
    before = state(crashed)
    assert read_everything(f"sqlite:///{crashed / 'mlflow.db'}")[1] == content[1] + 1
    assert state(crashed) == before


@pytest.mark.parametrize("log", ["none", "wal", "journal"])
def test_a_database_in_a_read_only_folder_is_read(folder, database, content, log, tmp_path):
    expected = content[1]
    if log == "wal":
        writer = in_wal_mode(database)
        crashed = tmp_path / "crashed"
        shutil.copytree(folder, crashed)
        (crashed / "mlflow.db-shm").unlink()
        writer.close()
        folder, expected = crashed, expected + 1
    if log == "journal":  # a transaction that was interrupted during the write
        writer = sqlite3.connect(database, isolation_level=None)
        writer.execute("PRAGMA cache_spill = 1")
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN")
        writer.executemany(
            "INSERT INTO params SELECT ?, ?, run_uuid FROM runs", [(f"p{n}", "x" * 500) for n in range(500)]
        )
        crashed = tmp_path / "crashed"
        shutil.copytree(folder, crashed)
        writer.execute("ROLLBACK")
        writer.close()
        assert (crashed / "mlflow.db-journal").stat().st_size
        folder = crashed
    assert read_where_nothing_can_be_written(folder) == expected


def read_where_nothing_can_be_written(folder: Path) -> int:
    """The number of params read by another process, for which this folder is read-only."""
    program = (
        "import sys\n"
        "from tests.stores.test_sqlite import read_everything\n"
        "print(read_everything('sqlite:///' + sys.argv[1])[1])"
    )
    command = [sys.executable, "-c", program, str(folder / "mlflow.db")]
    if os.geteuid() == 0:  # permissions do not apply to root
        mount = f'mount --bind "{folder}" "{folder}" && mount -o remount,ro,bind "{folder}" && exec "$@"'
        command = ["unshare", "-m", "sh", "-c", mount, "sh", *command]
        if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
            missing("no read-only folder: this root may not mount")
    before = state(folder)
    folder.chmod(0o555)
    try:
        answer = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    finally:
        folder.chmod(0o755)
    assert answer.returncode == 0, answer.stderr
    assert state(folder)["mlflow.db"] == before["mlflow.db"]
    assert state(folder)["."][1] == before["."][1]
    return int(answer.stdout)


def test_a_run_can_log_while_its_history_is_read(database):
    store = open_store(f"sqlite:///{database}")
    run_ids = store.read_runs(Query()).column("run_id").to_pylist()
    stream = store.read_metric_history(run_ids)
    next(stream)
    trainer = sqlite3.connect(database, timeout=0)
    trainer.execute("UPDATE params SET value = 'changed'")
    trainer.commit()
    trainer.close()
    stream.close()


def test_a_connection_cannot_write(database):
    store = open_store(f"sqlite:///{database}")
    with pytest.raises(StoreUnreadable, match="readonly"), store.stored._database.connected() as connection:
        connection.sql.exec_driver_sql("DELETE FROM runs")


# Locks and errors


def error_of(path: Path | str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        read_everything(f"sqlite:///{path}")
    assert caught.value.hint
    return caught.value


def descriptors(database: Path) -> int:
    """The number of descriptors of this file in this process."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.exists()]
    return sum(link.resolve() == database for link in links)


def test_the_file_stays_open_between_queries_without_blocking_others(folder, database):
    with contextlib.closing(open_store(f"sqlite:///{database}")) as store:
        before = store.read_runs(Query(view="all")).num_rows
        opened = store.stored._database._idle[0]
        with contextlib.closing(sqlite3.connect(database, timeout=0)) as writer, writer:
            writer.execute("BEGIN EXCLUSIVE")
            writer.execute("UPDATE runs SET lifecycle_stage = 'deleted'")
        assert store.read_runs(Query(view="deleted")).num_rows == before
        assert store.stored._database._idle[0] is opened
        with contextlib.closing(sqlite3.connect(database, timeout=0)) as writer:
            assert writer.execute("PRAGMA journal_mode = WAL").fetchall() == [("wal",)]
        assert store.read_runs(Query(view="deleted")).num_rows == before
        assert [path.name for path in folder.iterdir()] == ["mlflow.db"]
        assert not store.stored._database._idle  # in WAL mode, an open connection would prevent a writer's checkpoint
    assert descriptors(database) <= 1  # the one for reading the first bytes while MLflow is loaded


def test_a_replaced_or_upgraded_file_is_reopened(folder, database, tmp_path):
    with contextlib.closing(open_store(f"sqlite:///{database}")) as store:
        tables = store.read(store.read_runs(Query(view="all")).column("run_id").to_pylist())
        assert tables.metrics.num_rows
        with contextlib.closing(sqlite3.connect(database)) as writer, writer:
            writer.execute("ALTER TABLE latest_metrics RENAME TO latest_metrics_of_before")
        again = store.read(tables.runs.column("run_id").to_pylist())  # computed from all points
        assert again.metrics.select(["run_id", "key", "step"]) == tables.metrics.select(["run_id", "key", "step"])

        write_old_store(tmp_path / "other.db", next(iter(REVISIONS)))
        (tmp_path / "other.db").replace(database)
        assert set(store.read_runs(Query(view="all")).column("run_id").to_pylist()) >= {PARENT, CHILD}
        database.unlink()
        with pytest.raises(StoreNotFound):
            store.read_experiments()


def test_two_threads_read_one_store_concurrently(database, content):
    with contextlib.closing(open_store(f"sqlite:///{database}")) as store:
        run_ids = store.read_runs(Query(view="all")).column("run_id").to_pylist()
        first, second = store.read_metric_history(run_ids), store.read_metric_history(run_ids)
        begun = [next(first).num_rows, next(second).num_rows]
        for rows, rest in zip(begun, (first, second), strict=True):
            assert rows + sum(batch.num_rows for batch in rest) == content[2]
        assert len(store.stored._database._idle) == 1


def test_opening_the_file_keeps_locks_of_this_process(database):
    """The operating system releases a process's locks on a file as soon as it closes any descriptor of it."""
    assert not sqlite.is_alone()  # MLflow is loaded, and could be writing
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as logging:
        logging.execute("BEGIN IMMEDIATE")
        with contextlib.closing(open_store(f"sqlite:///{database}")) as store:
            assert store.read_experiments().num_rows
        code = f"import sqlite3; sqlite3.connect({str(database)!r}, timeout=0).execute('BEGIN IMMEDIATE')"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "database is locked" in other.stderr


def test_a_missing_file_raises_an_error_and_is_not_created(tmp_path):
    error = error_of(tmp_path / "deep" / "no.db")
    assert isinstance(error, StoreNotFound)
    assert "no.db" in error.message
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_a_store_raises_an_error_and_is_unchanged(tmp_path, database):
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("not a database, but long enough to be mistaken for one")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE mine (x)").connection.close()
    whole = database.read_bytes()
    (tmp_path / "cut.db").write_bytes(whole[: len(whole) // 3])
    before = state(tmp_path)
    for name, word in {
        "": "no file",
        "empty.db": "empty",
        "text.db": "no SQLite database",
        "other.db": "no tables of MLflow",
        "cut.db": "damaged",
    }.items():
        error = error_of(tmp_path / name)
        assert isinstance(error, StoreUnreadable)
        assert word in error.message
    assert state(tmp_path) == before


def test_an_in_memory_database_raises_store_not_found():
    assert isinstance(error_of(":memory:"), StoreNotFound)
    assert isinstance(error_of(""), StoreNotFound)


def test_a_persistent_lock_raises_an_error(database, monkeypatch):
    monkeypatch.setattr(sqlite, "_SECONDS_TO_WAIT_FOR_A_LOCK", 0.2)
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    error = error_of(database)
    other.close()
    assert isinstance(error, StoreUnreachable)
    assert "locked" in error.message


def test_a_temporary_lock_is_waited_for(database, content):
    other = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.5, other.close)
    release.start()
    assert read_everything(f"sqlite:///{database}") == content
    release.join()


@pytest.mark.parametrize(
    "name", ["with space.db", "a?b=c.db", "a#b.db", "100%.db", "%20.db", "naïve Ω🐙.db", "a&b'c;.db"]
)
def test_any_file_name_can_be_opened(database, name, content, monkeypatch):
    odd = database.parent / name
    database.rename(odd)
    assert read_everything(f"sqlite:///{odd}") == content
    assert read_everything(str(odd)) == content
    monkeypatch.chdir(odd.parent)
    assert read_everything(f"sqlite:///{name}") == content
    assert state(odd.parent)["."][1] == [name]


def test_alternative_forms_of_a_sqlite_uri(database, content):
    assert read_everything(f"sqlite+pysqlite:///{database}?timeout=5") == content
    assert read_everything(f"sqlite:///{database.as_uri()}?mode=ro&uri=true") == content
    assert read_everything(f"sqlite:///file:{database}?mode=rwc&uri=true") == content


# Invalid cells


def test_invalid_cells_are_reported_and_the_run_is_read(database):
    store = open_store(f"sqlite:///{database}")
    run = {row["run_name"]: row["run_id"] for row in store.read_runs(Query()).to_pylist()}["child 0"]
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for statement in (
        "UPDATE params SET value = CAST(x'666f6fff' AS TEXT) WHERE key = 'lr' AND run_uuid = ?",
        "UPDATE latest_metrics SET step = 1.5 WHERE key = 'loss' AND run_uuid = ?",
        "UPDATE latest_metrics SET value = 'abc' WHERE key = 'val/auc' AND run_uuid = ?",
        "UPDATE metrics SET step = 1.5 WHERE key = 'loss' AND step = 1 AND run_uuid = ?",
        "UPDATE runs SET end_time = 'tomorrow', status = NULL, user_id = x'ff' WHERE run_uuid = ?",
        "INSERT INTO params VALUES ('surrogate', CAST(x'eda080' AS TEXT), ?)",
    ):
        connection.execute(statement, (run,))
    connection.commit()
    connection.close()

    tables = store.read([run])
    [row] = tables.runs.to_pylist()
    assert (row["status"], row["end_time"], row["user_id"]) == (None, None, "\\xff")
    params = {row["key"]: row["value"] for row in tables.params.to_pylist()}
    assert params["lr"] == "foo\\xff"
    assert params["surrogate"] == "\\xed\\xa0\\x80"
    assert params["depth"] == "3"
    metrics = {row["key"]: row for row in tables.metrics.to_pylist()}
    assert metrics["loss"]["step"] == 1
    assert metrics["val/auc"]["value"] is None
    problems = {row["subject"]: row["reason"] for row in tables.problems.to_pylist() if row["run_id"] == run}
    assert set(problems) == {
        "end_time",
        "user_id",
        "value of param lr",
        "value of param surrogate",
        "step of metric loss",
        "value of metric val/auc",
    }
    assert all(problems.values())
    assert run in store.read_runs(Query()).column("run_id").to_pylist()
    points = pa.Table.from_batches(store.read_metric_history([run], ["loss"]))
    assert points.num_rows == 40


def test_a_run_without_start_time_is_last(database):
    connection = sqlite3.connect(database)
    [run] = connection.execute("SELECT run_uuid FROM runs WHERE name = 'empty'").fetchone()
    connection.execute("UPDATE runs SET start_time = NULL WHERE run_uuid = ?", (run,))
    connection.commit()
    connection.close()
    assert open_store(f"sqlite:///{database}").read_runs(Query()).column("run_id")[-1].as_py() == run


# Sizes


def test_a_long_history_is_read_in_bounded_batches(database):
    store = open_store(f"sqlite:///{database}")
    names = {row["run_name"]: row["run_id"] for row in store.read_runs(Query()).to_pylist()}
    long, wide = names["empty"], names["running"]
    connection = sqlite3.connect(database)
    insert = "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, 0)"
    connection.executemany(insert, (("loss", -step, step, long, step) for step in reversed(range(150_000))))
    connection.executemany(insert, (("few", step, step, long, step) for step in range(10)))
    connection.executemany(insert, ((f"m{k}", step, 0, wide, step) for k in range(10) for step in range(10_000)))
    connection.commit()
    connection.close()
    batches = list(store.read_metric_history(list(names.values())))
    assert max(batch.num_rows for batch in batches) <= 65_536
    table = pa.Table.from_batches(batches, schema.METRIC_HISTORY)
    counts = {(row["run_id"], row["key"]): 0 for row in table.group_by(["run_id", "key"]).aggregate([]).to_pylist()}
    for run_id, key in zip(table.column("run_id").to_pylist(), table.column("key").to_pylist(), strict=True):
        counts[run_id, key] += 1
    assert counts[long, "loss"] == 150_000
    assert counts[long, "few"] == 10
    assert {counts[wide, f"m{k}"] for k in range(10)} == {10_000}
    of_long = table.filter(pa.compute.equal(table.column("run_id"), long))
    steps = of_long.filter(pa.compute.equal(of_long.column("key"), "loss")).column("step").to_pylist()
    assert steps == list(range(150_000))


def test_many_runs_are_read_in_the_requested_order(database):
    connection = sqlite3.connect(database)
    run_ids = [f"{number:032x}" for number in range(5_000)]
    connection.executemany(
        "INSERT INTO runs (run_uuid, name, lifecycle_stage, experiment_id, status) VALUES (?, ?, 'active', 1, 'FINISHED')",
        [(run_id, f"run {run_id[-4:]}") for run_id in run_ids],
    )
    connection.executemany("INSERT INTO params VALUES ('lr', ?, ?)", [(run_id[-4:], run_id) for run_id in run_ids])
    connection.commit()
    connection.close()
    wanted = run_ids[::-1]
    tables = open_store(f"sqlite:///{database}").read([*wanted, "f" * 32])
    assert list(tables.run_ids) == wanted
    assert tables.params.column("run_id").to_pylist() == wanted
    assert tables.params.column("value").to_pylist() == [run_id[-4:] for run_id in wanted]
    assert tables.missing.column("run_id").to_pylist() == ["f" * 32]


# Old schemas


def tables_of(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


@pytest.mark.parametrize("version", REVISIONS)
def test_an_old_schema_is_read_and_not_upgraded(tmp_path, version):
    write_old_store(tmp_path / "old.db", version)
    before = state(tmp_path)
    store = open_store(f"sqlite:///{tmp_path / 'old.db'}")
    assert store.stored.read_schema_revision() == REVISIONS[version]
    old, default = store.read_experiments().to_pylist()
    assert (old["experiment_id"], old["run_count"], old["last_activity"]) == ("7", 2, 2050)
    assert (default["name"], default["run_count"], default["last_activity"]) == ("Default", 0, None)
    assert old["creation_time"] == (None if version in ("1.0.0", "1.9.1") else 500)
    child, parent = store.read_runs(Query()).to_pylist()
    assert (child["run_id"], child["parent_run_id"], child["run_name"]) == (CHILD, PARENT, None)
    assert (parent["run_id"], parent["parent_run_id"], parent["run_name"]) == (PARENT, None, "the parent")
    tables = store.read([PARENT, CHILD])
    is_nan = version != "1.0.0"
    assert [(row["key"], repr(row["value"]), row["step"], row["timestamp"]) for row in tables.metrics.to_pylist()] == [
        (key, "nan" if nan and is_nan else repr(value), step, timestamp)
        for key, (value, step, timestamp, nan) in sorted(LATEST.items())
    ]
    assert tables.params.num_rows == 1
    assert tables.tags.num_rows == 2
    assert tables.experiment_tags.num_rows == (0 if version == "1.0.0" else 1)
    assert ("logged_models" in tables_of(tmp_path / "old.db")) == (version == "3.0")
    assert tables.datasets.num_rows == tables.logged_models.num_rows == tables.problems.num_rows == 0
    assert sum(batch.num_rows for batch in store.read_metric_history([CHILD])) == len(POINTS)
    assert store.read_runs(Query(filter="metrics.loss = 1.0 AND params.lr = '0.1'")).num_rows == 1
    assert state(tmp_path) == before


@pytest.mark.parametrize("experiment", ["99", "NULL"])
def test_a_run_of_a_missing_experiment_is_reported_as_missing(experiment, sqlite_sample, tmp_path):
    path = tmp_path / "mlflow.db"
    shutil.copy(sqlite_sample, path)
    before = open_store(f"sqlite:///{path}").read_runs(Query()).column("run_id").to_pylist()
    with closing(sqlite3.connect(path)) as writing:
        writing.execute(f"UPDATE runs SET experiment_id = {experiment} WHERE run_uuid = ?", (before[0],))
        writing.commit()
    reason = (
        "the store has no experiment 99"
        if experiment == "99"
        else "the store does not say which experiment it belongs to"
    )
    for command in (["runs", "--json"], ["findings"], ["study"]):
        done = run_here(QUALIA, *command, "--tracking-uri", f"sqlite:///{path}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"run {before[0]} is missing: {reason}" in done.stderr
        if "--json" in command:
            assert {row["run_id"] for row in json.loads(done.stdout)} == set(before[1:])
    snapshot = run_here(QUALIA, "snapshot", f"sqlite:///{path}", tmp_path / "kept", cwd=tmp_path)
    assert snapshot.returncode == 0, snapshot.stderr
    assert f"run {before[0]} was not read: " in snapshot.stderr
    tables = open_store(f"snapshot:{tmp_path / 'kept'}").read(before)
    assert set(tables.run_ids) == set(before[1:])
    assert tables.missing.column("run_id").to_pylist() == before[:1]
