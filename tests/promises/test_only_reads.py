"""Promise 1: a store is only read: no byte, time or name in it changes, and nothing is made where there is nothing.

The commands and public methods that read a store, on each kind of store; those that start a kernel are not among them.
A file or folder is compared byte by byte, and a database row by row, of which a role reads that may only SELECT; the
requests to a server pass through a proxy. What a database in WAL mode, read-only folders and old schemas look like
afterwards is in tests/stores/test_sqlite.py as well.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from qualia_lab import ArtifactExplorer, NotebookGenerator, load_runs
from qualia_lab.errors import QualiaLabError
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from tests.cli.command import QUALIA, run_here
from tests.stores.recording_proxy import recording_proxy
from tests.stores.test_sqlite import state

from .small_store import words_of, write_small_store

COMMANDS = (
    ("experiments",), ("experiments", "--json"), ("runs",), ("runs", "--json"), ("runs", "--csv"), ("runs", "--deleted"),
    ("study",), ("findings",), ("findings", "--json"),
    ("new", "--yes", "--dry-run"), ("new", "--yes", "--force", "--output", "OUT/n.ipynb"),
    ("runs", "--filter", "metrics.val_auc > 0.1 OR params.lr != '1'"), ("runs", "--explain"),
)  # fmt: skip


def look_at(uri: str, out: Path) -> int:
    """Commands and public methods but those that start a kernel; how many ran."""
    with closing(open_store(uri)) as store:
        run_ids = store.read_runs(Query()).column("run_id").to_pylist()
    commands = [
        *((*words_of(words, uri, out), "--tracking-uri", uri) for words in COMMANDS),
        ("snapshot", uri, out / "kept", "--force"),
        ("compare", run_ids[0], run_ids[1], "--tracking-uri", uri),
    ]
    for words in commands:
        done = run_here(QUALIA, *words, cwd=out)
        assert done.returncode in (0, 14), (words, done.stderr)
    with ArtifactExplorer(uri) as explorer, NotebookGenerator(uri) as generator:
        runs = load_runs(uri, run_ids)
        methods = (
            lambda: explorer.list_experiments(view="all"),
            lambda: explorer.search_runs(view="all"),
            lambda: explorer.read_run(run_ids[0]),
            lambda: explorer.list_artifacts(run_ids[0]),
            runs.history,
            runs.show(run_ids[0])._repr_html_,
            runs.artifacts.that_differ,
            lambda: generator.plan(generator.select()),
            explorer.store.change_token,
        )
        for method in methods:
            method()
    return len(commands) + len(methods)


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def copied(sqlite_sample, folder: Path) -> Path:
    folder.mkdir()
    return Path(shutil.copy(sqlite_sample, folder / "mlflow.db"))


@pytest.mark.parametrize("mode", ["delete", "wal", "wal with a writer", "read-only"])
def test_of_a_sqlite_file_nothing_changes(mode, sqlite_sample, tmp_path, out, record_counts):
    path = copied(sqlite_sample, tmp_path / "store")
    with contextlib.ExitStack() as stack:
        if mode.startswith("wal"):
            writer = stack.enter_context(closing(sqlite3.connect(path)))
            writer.execute("PRAGMA journal_mode = WAL")
            writer.execute("INSERT INTO params SELECT 'only in the log', '1', run_uuid FROM runs LIMIT 1")
            writer.commit()
            if mode == "wal":
                writer.close()
        if mode == "read-only":
            path.chmod(0o444)
            path.parent.chmod(0o555)
            stack.callback(path.parent.chmod, 0o755)
        before = state(path.parent)
        done = look_at(f"sqlite:///{path}", out)
        after = state(path.parent)
    record_counts(promise=1, kind=f"SQLite, {mode}", tried=done, failed=int(after != before))
    assert after == before


def test_of_a_folder_nothing_changes(tmp_path, out, record_counts):
    root = tmp_path / "store" / "mlruns"
    write_small_store(root)
    before = {str(path): (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in root.rglob("*")}
    done = look_at(str(root), out)
    after = {str(path): (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in root.rglob("*")}
    record_counts(promise=1, kind="mlruns", tried=done, failed=int(after != before))
    assert after == before
    assert [path.name for path in root.parent.iterdir()] == ["mlruns"]


def rows_of(engine) -> dict[str, list[str]]:
    """Every row of every table."""
    with engine.connect() as connection:
        return {
            name: sorted(map(repr, connection.exec_driver_sql(f"SELECT * FROM {name}")))
            for name in sa.inspect(engine).get_table_names()
        }


@pytest.mark.parametrize("kind", ["system_postgresql_sample", "mariadb_sample"])
def test_a_role_that_may_only_select_is_enough_and_no_row_is_written(kind, request, out, record_counts):
    uri = request.getfixturevalue(kind)
    parts = urlsplit(uri)
    reader, postgres = f"qualia_reader_{os.getpid()}", kind.startswith("system")
    engine = sa.create_engine(uri, isolation_level="AUTOCOMMIT")
    database = parts.path.strip("/")
    if postgres:
        making = (
            f"CREATE ROLE {reader} LOGIN PASSWORD 'reader'", f"GRANT USAGE ON SCHEMA public TO {reader}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}",
        )  # fmt: skip
        removing = (f"DROP OWNED BY {reader}", f"DROP ROLE {reader}")
    else:
        making = (f"CREATE USER {reader} IDENTIFIED BY 'reader'", f"GRANT SELECT ON `{database}`.* TO {reader}")
        removing = (f"DROP USER {reader}",)
    with engine.connect() as connection:
        for statement in making:
            connection.exec_driver_sql(statement)
        try:
            before = rows_of(engine)
            place = parts.netloc.rpartition("@")[2]
            done = look_at(f"{parts.scheme}://{reader}:reader@{place}{parts.path}", out)
            after = rows_of(engine)
        finally:
            for statement in removing:
                connection.exec_driver_sql(statement)
    engine.dispose()
    record_counts(promise=1, kind=kind.partition("_sample")[0], tried=done, failed=int(after != before))
    assert after == before


# What reads, of MLflow's endpoints; a search is a POST.
READING = {
    "experiments/search", "experiments/get", "experiments/get-by-name", "runs/search", "runs/get", "metrics/get-history",
    "metrics/get-history-bulk", "metrics/get-history-bulk-interval", "artifacts/list", "logged-models/search", "version",
    "get-artifact", "ajax-api/get-artifact", "mlflow/get-artifact",
    "traces/search", "traces/metrics", "datasets/search", "model-versions/search", "registered-models/search",
}  # fmt: skip


@pytest.mark.slow
def test_a_server_is_asked_only_what_reads(mlflow_server, out, record_counts):
    with recording_proxy(mlflow_server) as proxy:
        done = look_at(proxy.uri, out)
    others = {end for end in proxy.endpoints if end not in READING and not end.startswith("artifacts/")}
    record_counts(promise=1, kind="questions to a server", tried=sum(proxy.endpoints.values()), failed=len(others))
    assert done
    assert others == set()
    assert sum(proxy.endpoints.values()) > 20


MISSING = (
    "sqlite:///nosuch.db",
    "sqlite:///nosuch/deep/x.db",
    "nosuch",
    "nosuch/mlruns",
    "file:nosuch",
    "snapshot:nosuch",
)


@pytest.mark.parametrize("uri", MISSING)
def test_where_nothing_is_nothing_is_made(uri, tmp_path, record_counts):
    made = []
    commands = (("experiments",), ("runs",), ("study",), ("findings",), ("new", "--yes"), ("compare", "a", "b"))
    for words in commands:
        done = run_here(QUALIA, *words, "--tracking-uri", uri, cwd=tmp_path)
        assert done.returncode == 4, (words, done.stderr)
        made += list(tmp_path.iterdir())
    methods = (
        lambda: ArtifactExplorer(uri).list_experiments(),
        lambda: NotebookGenerator(uri).select(),
        lambda: open_store(uri).read_experiments(),
        lambda: load_runs(uri, ["1" * 32]),
    )
    with contextlib.chdir(tmp_path):
        for ask in methods:
            with pytest.raises(QualiaLabError):
                ask()
    made += list(tmp_path.iterdir())
    record_counts(promise=1, kind="paths where nothing is", tried=len(commands) + len(methods), failed=len(made))
    assert made == []
