"""Databases: models, the registry, traces and evaluation datasets, of this and of older schemas of MLflow."""

from __future__ import annotations

import contextlib
import hashlib
import shutil

import pytest
import sqlalchemy as sa

from qualia_lab.genai_tables import TraceQuery
from qualia_lab.stores.open import open_store
from tests import servers
from tests.conftest import running
from tests.genai_stores import fill_genai

from .genai_contract import GenAIContract


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


class TestSqlite(GenAIContract):
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


class OnServer(GenAIContract):
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
