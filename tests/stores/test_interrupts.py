"""A Ctrl-C ends a large read within two seconds, in Python as in a driver; long reads show progress."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pexpect
import pytest

# Reads in an endless loop, and prints when it has started. Arguments: the URI, arrow or cursor, long or rows.
READER = """
import sys
from qualia_lab import Query, open_store, schema
from qualia_lab.stores.sql import reading as sql
from qualia_lab.stores.sql import adbc as sql_adbc
uri, way, what = sys.argv[1:]
import sqlalchemy as sa
if way == "cursor": sql_adbc.ArrowSource.begin = lambda *_: sql_adbc.BackgroundRead.without_rows()
else: sql.MANY_RUNS = dict.fromkeys(sql.MANY_RUNS, 1)
store = open_store(uri)
ids = store.read_runs(Query(view="all")).column("run_id").to_pylist()
try:
    print("begun", flush=True)  # in here, since the Ctrl-C may come at once
    if what == "long":  # one statement that takes minutes until its first row
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) "
        select = sa.text(numbers + "SELECT 'a', 'b', CAST(max(i) AS VARCHAR(9)) FROM n".replace("VARCHAR", "CHAR" if "mysql" in uri else "VARCHAR"))
        with store.stored._database.connected() as database:
            if way == "arrow":
                # As it stands, since a text has no columns to be named.
                sql_adbc.literal_sql = lambda select, dialect, columns: str(select)
                database.fetch_arrow(select, schema.TAGS)
            else:
                database.fetch(select)
    while True:
        for batch in store.read_metric_history(ids):
            pass
        store.read(ids)
except KeyboardInterrupt:
    print("KeyboardInterrupt", flush=True)
"""


def seconds_to_end(uri: str, way: str, what: str, begun: float = 0.7) -> float:
    """The seconds until a Ctrl-C, sent `begun` seconds after the start, has ended the reads."""
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, uri, way, what], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert reader.stdout
        assert reader.stdout.readline() == "begun\n", reader.communicate()
        time.sleep(begun)
        assert reader.poll() is None, reader.communicate()
        sent = time.monotonic()
        reader.send_signal(signal.SIGINT)
        assert reader.stdout.readline() == "KeyboardInterrupt\n", reader.communicate()
        took = time.monotonic() - sent
        _, stderr = reader.communicate(timeout=20)
        # CPython ends with the signal if the interrupt passed through `exec`, as in an import.
        assert (reader.returncode in (0, -signal.SIGINT), stderr) == (True, ""), reader.returncode
        return took
    finally:
        reader.kill()
        reader.wait()


@pytest.fixture
def large(sqlite_sample, tmp_path) -> str:
    """The sample with a history of half a million points."""
    path = tmp_path / "mlflow.db"
    shutil.copy(sqlite_sample, path)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)"
            " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000)"
            " SELECT 'long', i, i, (SELECT max(run_uuid) FROM runs), i, 0 FROM n"
        )
    return f"sqlite:///{path}"


# MariaDB has no ADBC driver. SQLite's cannot be cancelled before its first row, but all queries that are sent through it
# return one quickly.
@pytest.mark.parametrize(
    ("store", "way", "what"),
    [
        ("large", "arrow", "rows"),
        *(("large", "cursor", what) for what in ("long", "rows")),
        *(("system_postgresql_sample", way, what) for way in ("arrow", "cursor") for what in ("long", "rows")),
        *(("mariadb_sample", "cursor", what) for what in ("long", "rows")),
    ],
)
def test_a_ctrl_c_ends_a_read_within_two_seconds(store, way, what, request):
    assert seconds_to_end(request.getfixturevalue(store), way, what) < 2


@pytest.mark.parametrize("store", ["large", "system_postgresql_sample"])
def test_ctrl_c_interrupts_an_arrow_read_at_any_moment(store, request):
    uri = request.getfixturevalue(store)
    with ThreadPoolExecutor(2) as two_at_once:
        seconds = two_at_once.map(lambda n: seconds_to_end(uri, "arrow", "rows", n * 0.04), range(8))
        assert max(seconds) < 3


def test_a_read_longer_than_a_second_shows_progress_on_a_terminal():
    program = (
        "import time\n"
        "from qualia_lab import console\n"
        "with console.waiting('reading mlflow.db'): time.sleep(1.8)\n"
        "with console.waiting('reading at once'): pass\n"
        "print('done')"
    )
    child = pexpect.spawn(sys.executable, ["-c", program], encoding="utf-8", timeout=20)
    child.expect("reading mlflow.db … 1 s")
    child.expect("done")
    assert "at once" not in child.before
    child.wait()
