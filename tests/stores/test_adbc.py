"""Reading through ADBC: the same tables as through a cursor, for any values, without changing the file."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pyarrow as pa
import pytest

from qualia_lab import Query, open_store, schema
from qualia_lab.stores.sql import adbc as sql_adbc
from qualia_lab.stores.sql import connection as sql_connection
from qualia_lab.stores.sql import reading as sql
from qualia_lab.stores.sql.background_read import BackgroundRead

from .contract import StoreContract


@pytest.fixture
def always_adbc(monkeypatch):
    """Use ADBC for every read, however small. That is safe here, because nothing is logged during the reads."""
    monkeypatch.setattr(sql_connection, "is_alone", lambda: True)
    monkeypatch.setattr(sql, "MANY_RUNS", dict.fromkeys(sql.MANY_RUNS, 1))


@pytest.fixture
def reads(always_adbc, monkeypatch):
    """A boolean for each read through ADBC: whether it returned a table."""
    attempts = []
    take = BackgroundRead.result

    def recording(self):
        table = take(self)
        attempts.append(table is not None)
        return table

    monkeypatch.setattr(BackgroundRead, "result", recording)
    return attempts


@pytest.mark.usefixtures("always_adbc")
class TestSqliteAsArrow(StoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, sqlite_sample):
        return f"sqlite:///{sqlite_sample}"


@pytest.mark.usefixtures("always_adbc")
class TestPostgresqlAsArrow(StoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, postgresql_sample):
        return postgresql_sample


def everything(uri):
    """All tables and histories of a store, in comparable form."""
    store = open_store(uri)
    ids = store.read_runs(Query(view="all")).column("run_id").to_pylist()
    tables = store.read(ids)
    history = [repr(row) for batch in store.read_metric_history(ids) for row in batch.to_pylist()]
    store.close()
    return {name: repr(getattr(tables, name).to_pylist()) for name in schema.TABLES} | {"history": history}


@pytest.mark.parametrize("sample", ["sqlite_sample", "postgresql_sample"])
def test_arrow_and_cursor_read_the_same_rows_in_the_same_order(sample, request, monkeypatch, reads):
    uri = request.getfixturevalue(sample)
    uri = uri if isinstance(uri, str) else f"sqlite:///{uri}"
    by_arrow = everything(uri)
    assert reads.count(True) >= 5
    monkeypatch.setattr(sql_adbc.ArrowSource, "begin", lambda *_: BackgroundRead.without_rows())
    assert everything(uri) == by_arrow


@pytest.fixture
def odd(tmp_path, sqlite_sample):
    """A copy of the sample that tests may change, and one of its runs."""
    path = tmp_path / "mlflow.db"
    shutil.copy(sqlite_sample, path)
    with closing(sqlite3.connect(path)) as database:
        (run_id,) = database.execute("SELECT run_uuid FROM metrics GROUP BY 1 ORDER BY count(*) DESC").fetchone()
    return path, run_id


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO params VALUES ('odd', CAST(x'61ff62' AS TEXT), :run)",  # not UTF-8
        "INSERT INTO params VALUES ('odd', x'ff00', :run)",
        "INSERT INTO params VALUES ('it''s \" % \\ ; --', 'it''s', :run)",
        "INSERT INTO params VALUES ('nul' || char(0) || 'nul', char(0), :run)",
        "INSERT INTO metrics VALUES ('odd', 'no number', 1, :run, 0, 0)",
        "INSERT INTO metrics VALUES ('odd', 1.5, 'no time', :run, 0, 0)",
        "INSERT INTO metrics VALUES ('odd', 1.5, 1.5, :run, 9223372036854775807, 0)",
        "INSERT INTO metrics VALUES ('odd', 9e999, -9223372036854775808, :run, -9223372036854775808, 0)",
        "INSERT INTO metrics VALUES ('odd', 0, 1, :run, 0, 1)",
        "INSERT INTO metrics VALUES ('odd', 9007199254740993, 1, :run, 0, 0)",
        "UPDATE runs SET start_time = 'yesterday' WHERE run_uuid = :run",
        "UPDATE runs SET start_time = 1.5, name = NULL WHERE run_uuid = :run",
    ],
)
def test_odd_values_are_read_through_arrow_as_through_a_cursor(statement, odd, monkeypatch, reads):
    path, run_id = odd
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, {"run": run_id})
    by_arrow = everything(f"sqlite:///{path}")
    assert reads
    monkeypatch.setattr(sql_adbc.ArrowSource, "begin", lambda *_: BackgroundRead.without_rows())
    assert everything(f"sqlite:///{path}") == by_arrow


@pytest.mark.parametrize("sample", ["sqlite_sample", "postgresql_sample"])
@pytest.mark.parametrize("key", ["x'); DROP TABLE params; --", "it's % \\' $1 :a {b} ?", "", "ü\u2028\U0001f600", "\\"])
def test_a_key_is_never_interpreted_as_sql(sample, key, request, reads):
    uri = request.getfixturevalue(sample)
    uri = uri if isinstance(uri, str) else f"sqlite:///{uri}"
    before = everything(uri)
    store = open_store(uri)
    ids = store.read_runs(Query(view="all")).column("run_id").to_pylist()
    reads.clear()
    assert sum(batch.num_rows for batch in store.read_metric_history([*ids, key], [key, "no such metric"])) == 0
    assert reads and all(reads)
    store.close()
    assert everything(uri) == before


def test_a_sqlite_file_is_unchanged_and_no_file_is_created_beside_it(odd, reads):
    path, _ = odd
    before = path.read_bytes(), path.stat().st_mtime_ns
    everything(f"sqlite:///{path}")
    assert any(reads)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [entry.name for entry in path.parent.iterdir()] == ["mlflow.db"]


def test_arrow_connections_are_read_only(odd, postgresql_sample, always_adbc):
    import sqlalchemy as sa

    from qualia_lab.stores.sql.connection import SqlDatabase
    from qualia_lab.stores.uri import split_uri

    for uri in (f"sqlite:///{odd[0]}", postgresql_sample):
        database = SqlDatabase(split_uri(uri))
        with database.connected() as connection:
            assert connection.fetch_arrow(sa.text("SELECT key, value, run_uuid FROM params"), schema.TAGS) is not None
            connection.fetch_arrow(sa.text("DELETE FROM params"), schema.TAGS)
            with pytest.raises(Exception, match=r"(?i)readonly|read-only|syntax"):
                connection.arrow._rows("DELETE FROM params", schema.TAGS, BackgroundRead.without_rows())
            assert connection.fetch(sa.text("SELECT count(*) FROM params"))[0][0] > 0
        database.close()


def test_sqlite_is_read_by_cursor_if_mlflow_is_loaded_or_a_wal_is_in_use(odd, monkeypatch):
    path, run_id = odd
    attempts = []
    monkeypatch.setattr(sql_adbc.ArrowSource, "begin", lambda *_: attempts.append(1) or BackgroundRead.without_rows())
    monkeypatch.setattr(sql, "MANY_RUNS", dict.fromkeys(sql.MANY_RUNS, 1))
    monkeypatch.setitem(sys.modules, "mlflow", math)
    everything(f"sqlite:///{path}")
    assert not attempts
    monkeypatch.setattr(sql_connection, "is_alone", lambda: True)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO params VALUES ('new', '1', ?)", [run_id])
        writer.commit()
        everything(f"sqlite:///{path}")
        assert not attempts


def test_without_the_driver_everything_is_read_by_cursor(odd, postgresql_sample):
    code = (
        "import sys; sys.modules['adbc_driver_manager'] = None\n"
        "from qualia_lab import Query, open_store\n"
        "from qualia_lab.stores.sql import reading as sql; sql.MANY_RUNS = dict.fromkeys(sql.MANY_RUNS, 1)\n"
        "for uri in sys.argv[1:]:\n"
        "    store = open_store(uri); ids = store.read_runs(Query()).column('run_id').to_pylist()\n"
        "    assert store.read(ids).params.num_rows and sum(b.num_rows for b in store.read_metric_history(ids))"
    )
    subprocess.run([sys.executable, "-c", code, f"sqlite:///{odd[0]}", postgresql_sample], check=True, env=os.environ)


def test_an_unreachable_database_raises_an_error_without_its_password(always_adbc):
    from qualia_lab.errors import StoreError

    store = open_store("postgresql://ada:s3cret-word@127.0.0.1:1/none")
    with pytest.raises(StoreError) as raised:
        store.read(["a" * 32])
    assert "s3cret" not in f"{raised.value} {raised.value.__cause__} {raised.value.__context__}"


def test_histories_read_in_parts_equal_histories_read_at_once(odd, monkeypatch, reads):
    from qualia_lab.stores.sql import history, store

    monkeypatch.setattr(store, "MANY_IDS", 1)
    opened = open_store(f"sqlite:///{odd[0]}")
    ids = opened.read_runs(Query(view="all")).column("run_id").to_pylist()
    whole = [repr(row) for batch in opened.read_metric_history(ids, ["loss"]) for row in batch.to_pylist()]
    before = len(reads)
    monkeypatch.setattr(history, "_MOST_WHOLE", 10)
    assert [repr(row) for batch in opened.read_metric_history(ids, ["loss"]) for row in batch.to_pylist()] == whole
    assert len(whole) > 10
    assert len(reads) - before > 1


@pytest.mark.parametrize("sample", ["sqlite_sample", "postgresql_sample"])
def test_at_most_two_reads_run_concurrently(sample, request, monkeypatch, always_adbc):
    import sqlalchemy as sa

    rows = sql_adbc.ArrowSource._rows
    two, lock = threading.Barrier(2), threading.Lock()
    running = [0]

    def counted(self, *arguments):
        with lock:
            running.append(running[-1] + 1)
        two.wait(10)  # raises an error if only one read is running
        try:
            return rows(self, *arguments)
        finally:
            with lock:
                running.append(running[-1] - 1)

    monkeypatch.setattr(sql_adbc.ArrowSource, "_rows", counted)
    uri = request.getfixturevalue(sample)
    store = open_store(uri if isinstance(uri, str) else f"sqlite:///{uri}")
    select = sa.text("SELECT run_uuid, key, value FROM tags ORDER BY run_uuid, key")
    with store.stored._database.connected() as database:
        reads = [database.begin_arrow(select, schema.TAGS, lambda table: table.slice(1)) for _ in range(4)]
        tables = [read.result() for read in reads]
    store.close()
    assert max(running) == 2
    assert all(table.num_rows and table.equals(tables[0]) for table in tables)


@pytest.mark.parametrize("sample", ["sqlite_sample", "postgresql_sample"])
def test_a_history_that_is_not_consumed_is_not_read_to_its_end(sample, request, monkeypatch, reads):
    from qualia_lab.stores.sql import history

    monkeypatch.setattr(history, "_FIRST_RUNS", 1)
    monkeypatch.setattr(history, "_POINTS_PER_PART", 1)
    uri = request.getfixturevalue(sample)
    store = open_store(uri if isinstance(uri, str) else f"sqlite:///{uri}")
    ids = store.read_runs(Query(view="all")).column("run_id").to_pylist()
    reads.clear()
    stream = store.read_metric_history(ids)
    for _ in range(2):
        next(stream)  # no read is running now
        running = [thread for thread in threading.enumerate() if isinstance(thread, BackgroundRead)]
        assert all(thread.done.is_set() for thread in running)
    stream.close()
    assert all(reads)
    assert len(reads) < len(ids) - 1
    store.close()


def test_tables_of_very_many_runs_are_read_sequentially_and_are_equal(sqlite_sample, monkeypatch, reads):
    uri = f"sqlite:///{sqlite_sample}"
    concurrent = everything(uri)
    monkeypatch.setattr(sql, "_MOST_CONCURRENT", 1)
    started = []
    begin = sql_connection.SqlConnection.begin_arrow

    def recording(self, select, columns, *then):
        if then:  # without it, the caller waits for the result at once
            started.append(columns)
        return begin(self, select, columns, *then)

    monkeypatch.setattr(sql_connection.SqlConnection, "begin_arrow", recording)
    assert everything(uri) == concurrent
    assert set(map(str, started)) == {str(schema.METRIC_HISTORY)}


@pytest.mark.usefixtures("always_adbc")
@pytest.mark.parametrize("sample", ["sqlite_sample", "postgresql_sample"])
def test_memory_is_freed_after_the_results_are_deleted(sample, request):
    uri = request.getfixturevalue(sample)
    store = open_store(uri if isinstance(uri, str) else f"sqlite:///{uri}")
    ids = store.read_runs(Query(view="all")).column("run_id").to_pylist()
    store.read(ids)
    allocated = pa.total_allocated_bytes()
    tables, points = store.read(ids), list(store.read_metric_history(ids, ["loss", "acc"]))
    assert points
    assert pa.total_allocated_bytes() > allocated
    del tables, points
    assert pa.total_allocated_bytes() == allocated
    store.close()
