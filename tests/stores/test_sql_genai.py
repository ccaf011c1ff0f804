"""Databases: models, the registry, traces and evaluation datasets, of this and of older schemas of MLflow."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3

import pytest
import sqlalchemy as sa

from qualia_lab import schema
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.stores.open import open_store
from qualia_lab.stores.sql import connection, entity_rows, traces
from qualia_lab.stores.sql.background_read import BackgroundRead
from qualia_lab.stores.sql.genai_tables import GENAI_NAMES
from tests import servers
from tests.conftest import running
from tests.genai_stores import fill_genai

from .genai_contract import GenAIContract, same


@contextlib.contextmanager
def filled(server, tmp_path_factory):
    with running(server) as uri:
        fill_genai(uri, tmp_path_factory.mktemp("artifacts"))
        yield uri


def read_all(store):
    store.read_models()
    traces = store.read_traces(TraceQuery()).traces.column("trace_id").to_pylist()
    assert sum(batch.num_rows for batch in store.read_spans(traces)) >= 60
    assert store.read_evaluation_datasets().records.num_rows == 6


def read_as_many(monkeypatch):
    """From now on traces are read as if each database had many; how each read in the background ends: with rows."""
    ends = []
    take = BackgroundRead.result

    def recording(self):
        table = take(self)
        ends.append(table is not None)
        return table

    monkeypatch.setattr(BackgroundRead, "result", recording)
    monkeypatch.setattr(connection, "is_alone", lambda: True)  # nothing is logged meanwhile
    for module in (entity_rows, traces):
        monkeypatch.setattr(module, "MANY", 1)
    return ends


def read_in_many_ways(store):
    """The tables of traces for several queries and parts."""
    rows = store.read_traces(TraceQuery()).traces.to_pylist()
    queries = [
        TraceQuery(),
        TraceQuery(limit=len(rows) - 1),
        TraceQuery(limit=3),
        TraceQuery(experiment_ids=(rows[0]["experiment_id"],)),
        TraceQuery(run_ids=tuple(row["run_id"] for row in rows if row["run_id"])),
        TraceQuery(trace_ids=tuple(row["trace_id"] for row in rows[::2])),
        TraceQuery(filter="status = 'ERROR'"),
    ]
    parts = (None, ("traces",), ("traces", "assessments"), ("tags", "links"), ("metadata",))
    return [store.read_traces(query, some) for query in queries for some in parts]


def all_same(found, expected):
    """Assert that all tables are the same; a problem may name the column or the key of metadata that it is from."""
    for one, other in zip(found, expected, strict=True):
        for name in set(schema.TRACE_TABLES) - {"problems"}:
            same(getattr(one, name), getattr(other, name))
            assert getattr(one, name).column("trace_id").equals(getattr(other, name).column("trace_id")), name
        of_one, of_other = (
            {(row["subject"].rpartition(" of ")[2], row["reason"]) for row in tables.problems.to_pylist()}
            for tables in (one, other)
        )
        assert of_one == of_other


class Database(GenAIContract):
    def test_many_traces_are_read_as_few_are(self, store_uri, monkeypatch):
        with open_store(store_uri) as store:
            few = read_in_many_ways(store.stored)
            ends = read_as_many(monkeypatch)
            all_same(read_in_many_ways(store.stored), few)
        assert all(ends)
        assert bool(ends) == store_uri.startswith(("sqlite", "postgresql"))

    def test_more_runs_than_a_statement_has_parameters(self, genai_store, oracle):
        run_ids = [run.info.run_id for run in oracle.runs]
        many = [*(f"{number:032x}" for number in range(70_000)), *run_ids]
        few, all_of_them = (genai_store.read_models(run_ids=ids) for ids in (run_ids, many))
        assert few.models.num_rows
        for name in schema.MODEL_TABLES:
            same(getattr(all_of_them, name), getattr(few, name))
        few, all_of_them = (genai_store.read_traces(TraceQuery(run_ids=tuple(ids))).traces for ids in (run_ids, many))
        assert few.num_rows
        same(all_of_them, few)


class TestSqlite(Database):
    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, genai_sample):
        return f"sqlite:///{genai_sample / 'mlflow.db'}"

    @pytest.fixture(scope="class")
    @classmethod
    def oracle_uri(cls, genai_sample, tmp_path_factory):
        return f"sqlite:///{shutil.copy(genai_sample / 'mlflow.db', tmp_path_factory.mktemp('oracle'))}"

    def test_nothing_is_written(self, genai_sample):
        def digests():
            return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in genai_sample.glob("mlflow*")}

        before = digests()
        with open_store(f"sqlite:///{genai_sample / 'mlflow.db'}") as store:
            read_all(store.stored)
        assert digests() == before


class OnServer(Database):
    def test_nothing_is_written(self, store_uri, genai_store):
        engine = sa.create_engine(store_uri)
        tables = sa.inspect(engine).get_table_names()

        def counts():
            with engine.connect() as connection:
                return {
                    name: connection.scalar(sa.select(sa.func.count()).select_from(sa.table(name))) for name in tables
                }

        before = counts()
        read_all(genai_store)
        assert counts() == before
        engine.dispose()


class TestPostgresql(OnServer):
    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, tmp_path_factory):
        with filled(servers.system_postgresql(), tmp_path_factory) as uri:
            yield uri


class TestMariadb(OnServer):
    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, tmp_path_factory):
        with filled(servers.mariadb(), tmp_path_factory) as uri:
            yield uri


# Older schemas

TOKENS = ("input_tokens", "output_tokens", "total_tokens")
MORE_TOKENS = ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation_input_tokens_above_1hr")
COSTS = ("input_cost", "output_cost", "total_cost")
# What MLflow moved from tags and metadata into columns of the table of traces: the table, the key, the columns.
MOVED = (
    ("trace_tags", "mlflow.traceName", ("trace_name",)),
    ("trace_request_metadata", "mlflow.trace.session", ("session_id",)),
    ("trace_request_metadata", "mlflow.trace.tokenUsage", TOKENS),
    ("trace_request_metadata", "mlflow.trace.cost", COSTS),
)


@pytest.fixture
def copy(genai_sample, tmp_path):
    """A copy of the filled SQLite file, open for changes of its schema."""
    path = shutil.copy(genai_sample / "mlflow.db", tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        yield f"sqlite:///{path}", database


def drop_columns(database, table, columns):
    """Drop columns, and every index first, since one of a dropped column would be in the way."""
    indices = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?"
    for (name,) in database.execute(indices, (table,)).fetchall():
        database.execute(f"DROP INDEX {name}")
    for column in columns:
        database.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    database.commit()


def test_a_schema_without_the_columns_of_today_tells_the_same(copy):
    uri, database = copy
    with open_store(uri) as store:
        today = store.stored.read_traces(TraceQuery())
        ids = today.traces.column("trace_id").to_pylist()
        spans = list(store.stored.read_spans(ids))
    for table, key, columns in MOVED:
        rows = database.execute(f"SELECT request_id, {', '.join(columns)} FROM trace_info").fetchall()
        for trace_id, *values in rows:
            if values[0] is not None:
                value = values[0] if len(columns) == 1 else json.dumps(dict(zip(columns, values, strict=True)))
                insert = f"INSERT INTO {table} (request_id, key, value) VALUES (?, ?, ?)"
                database.execute(insert, (trace_id, key, value))
    columns = (*TOKENS, *MORE_TOKENS, *COSTS, "trace_name", "session_id")
    drop_columns(database, "trace_info", columns)
    drop_columns(database, "spans", (*COSTS, "model_name", "model_provider"))
    with open_store(uri) as store:
        older = store.stored.read_traces(TraceQuery())
        assert older.traces.equals(today.traces)
        for name in ("tags", "metadata", "links", "assessments"):
            assert getattr(older, name).equals(getattr(today, name)), name
        for parts in ((), ("tags",)):
            assert store.stored.read_traces(TraceQuery(limit=5), parts).traces.equals(today.traces.slice(0, 5))
        assert list(store.stored.read_spans(ids)) == spans


def test_a_schema_of_mlflow_2_has_traces_without_previews_and_assessments(copy):
    uri, database = copy
    with open_store(uri) as store:
        today = store.stored.read_traces(TraceQuery())
    drop_columns(database, "trace_info", ("client_request_id", "request_preview", "response_preview"))
    gone = (
        "assessments",
        "entity_associations",
        "evaluation_datasets",
        "logged_model_metrics",
        "logged_models",
        "spans",
    )
    for table in gone:
        database.execute(f"DROP TABLE {table}")
    database.execute("UPDATE trace_info SET status = 'TRACE_STATUS_UNSPECIFIED' WHERE status = 'IN_PROGRESS'")
    database.commit()
    with open_store(uri) as store:
        older = store.stored.read_traces(TraceQuery())
        assert (older.links.num_rows, older.assessments.num_rows) == (0, 0)
        assert set(older.traces.column("state").to_pylist()) == {"OK", "ERROR", "STATE_UNSPECIFIED"}
        inputs = {
            row["trace_id"]: row["value"] for row in today.metadata.to_pylist() if row["key"] == "mlflow.traceInputs"
        }
        previews = {row["trace_id"]: row["request_preview"] for row in older.traces.to_pylist()}
        assert {one: preview for one, preview in previews.items() if preview is not None} == inputs
        assert store.stored.read_evaluation_datasets().datasets.num_rows == 0
        models = store.stored.read_models()
        assert (models.models.num_rows, models.metrics.num_rows, models.versions.num_rows) == (0, 0, 4)
        assert list(store.stored.read_spans(list(previews))) == []


def test_a_schema_without_any_of_these_tables_is_empty(copy):
    uri, database = copy
    database.execute("PRAGMA foreign_keys = OFF")
    for table in GENAI_NAMES:
        database.execute(f"DROP TABLE {table}")
    database.commit()
    with open_store(uri) as store:
        traces, models = store.stored.read_traces(TraceQuery()), store.stored.read_models()
        assert not any(getattr(traces, name).num_rows for name in schema.TRACE_TABLES)
        assert not any(getattr(models, name).num_rows for name in schema.MODEL_TABLES)
        assert store.stored.count_traces() == {}
        assert store.stored.read_evaluation_datasets().datasets.num_rows == 0


def test_opening_a_store_does_not_look_at_these_tables(genai_sample):
    with open_store(f"sqlite:///{genai_sample / 'mlflow.db'}") as store:
        store.read_experiments()
        [opened] = store.stored._database._idle
        assert opened.genai == []
        store.stored.count_traces()
        assert len(opened.genai) == 1


@pytest.mark.parametrize(
    ("changes", "is_converted"),
    [
        # Previews of old traces are among the metadata, which is seen only once the traces are read.
        (["UPDATE trace_info SET request_preview = NULL WHERE status = 'ERROR'"], True),
        (["UPDATE assessments SET created_timestamp = 'late' WHERE source_type = 'HUMAN'"], False),
        (["UPDATE trace_request_metadata SET value = CAST(x'ff' AS TEXT) WHERE \"key\" = 'mlflow.sourceRun'"], False),
        (["UPDATE trace_info SET timestamp_ms = 'late' WHERE status = 'ERROR'"], False),
        (["DELETE FROM assessments", "DELETE FROM trace_tags", "DELETE FROM trace_request_metadata"], True),
    ],
)
def test_odd_values_of_many_traces_are_read_as_those_of_few(copy, changes, is_converted, monkeypatch):
    uri, database = copy
    for change in changes:
        assert database.execute(change).rowcount
    database.commit()
    with open_store(uri) as store:
        few = read_in_many_ways(store.stored)
        ends = read_as_many(monkeypatch)
        all_same(read_in_many_ways(store.stored), few)
    assert True in ends and (False in ends) == (not is_converted)


def test_a_value_that_is_no_number_is_reported(copy):
    uri, database = copy
    database.execute(
        "UPDATE trace_info SET timestamp_ms = 'late' WHERE request_id = 'tr-55555555555555555555555555555555'"
    )
    database.commit()
    with open_store(uri) as store:
        read = store.stored.read_traces(TraceQuery())
    assert read.traces.num_rows == 20
    assert [row["subject"] for row in read.problems.to_pylist()] == [
        "request_time of tr-55555555555555555555555555555555"
    ]


def test_spans_of_older_traces_are_read_from_their_own_folders_only(copy, tmp_path):
    uri, database = copy
    with open_store(uri) as store:
        own, moved, foreign = store.stored.read_traces(TraceQuery(limit=3), ()).traces.column("trace_id").to_pylist()
    database.execute("DELETE FROM spans")
    elsewhere = {own: tmp_path / "a" / own / "artifacts", moved: tmp_path / "mlruns/1/traces" / moved / "artifacts"}
    elsewhere[foreign] = tmp_path / "secrets"
    recorded = {**elsewhere, moved: f"/gone/mlruns/1/traces/{moved}/artifacts"}
    for trace_id, folder in elsewhere.items():
        folder.mkdir(parents=True)
        span = {"name": "answer", "context": {"span_id": "0x00000000000000ff"}, "start_time": 5, "end_time": 9}
        (folder / "traces.json").write_text(json.dumps({"spans": [span, "no span"]}))
        database.execute(
            "UPDATE trace_tags SET value = ? WHERE request_id = ? AND key = 'mlflow.artifactLocation'",
            (str(recorded[trace_id]), trace_id),
        )
    database.commit()
    with open_store(uri) as store:
        batches = store.stored.read_spans([moved, foreign, own])
        found = [(row["trace_id"], row["span_id"], row["end_ns"]) for batch in batches for row in batch.to_pylist()]
        assert found == [(one, "00000000000000ff", 9) for one in (moved, own)]
    (elsewhere[own] / "traces.json").write_text("[" * 100_000)
    with open_store(uri) as store:
        assert list(store.stored.read_spans([own])) == []
