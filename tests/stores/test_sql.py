"""SqlStore: the contract on every kind of database, and errors."""

from __future__ import annotations

import sys
import time
import traceback

import pytest
import sqlalchemy as sa

from qualia_lab.errors import (
    ExtraMissing,
    StoreError,
    StoreNotFound,
    StoreRefused,
    StoreUnreachable,
    StoreUnreadable,
)
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.stores.sql import adbc, driver_errors, servers
from qualia_lab.stores.sql import connection as connection_module
from tests.fault_proxy import faulty
from tests.servers import free_port

from .contract import StoreContract

PASSWORD = "s3cr:t"


class TestSqlite(StoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, sqlite_sample):
        return f"sqlite:///{sqlite_sample}"


class DatabaseContract(StoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, server_uri):
        return server_uri

    def test_the_connection_is_read_only_on_the_server(self, store_uri):
        database = open_store(store_uri).stored._database
        with pytest.raises(StoreError, match=r"(?i)read.only"), database.connected() as connection:
            connection.sql.exec_driver_sql("DELETE FROM tags")
        database.close()

    def test_a_slow_statement_times_out(self, store_uri, monkeypatch):
        for module in (servers, driver_errors):
            monkeypatch.setattr(module, "SECONDS_OF_A_STATEMENT", 1)
        database = open_store(store_uri).stored._database
        endless = "SELECT count(*) FROM tags a, tags b, tags c, tags d, tags e, tags f, tags g, tags h"
        with pytest.raises(StoreUnreachable, match="more than 1 s"), database.connected() as connection:
            connection.sql.exec_driver_sql(endless)
        database.close()

    def test_a_connection_terminated_by_the_server_is_reported(self, store_uri):
        database, engine = (
            open_store(store_uri).stored._database,
            sa.create_engine(store_uri, isolation_level="AUTOCOMMIT"),
        )
        is_postgresql = engine.dialect.name == "postgresql"
        own = "SELECT pg_backend_pid()" if is_postgresql else "SELECT connection_id()"
        with pytest.raises(StoreUnreachable, match="closed the connection"), database.connected() as connection:
            number = connection.sql.exec_driver_sql(own).scalar()
            with engine.connect() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({number})" if is_postgresql else f"KILL {number}")
            time.sleep(0.3)
            connection.fetch(sa.text("SELECT 1"))
        engine.dispose()
        database.close()

    @pytest.mark.parametrize("fault", ["silent", "reset", "close"])
    def test_a_connection_fault_raises_an_error_in_time(self, store_uri, fault, monkeypatch):
        for module in (servers, connection_module, adbc):
            monkeypatch.setattr(module, "SECONDS_OF_SILENCE", 1)
        url = sa.make_url(store_uri)
        folder = url.query.get("host")
        server = f"{folder}/.s.PGSQL.5432" if folder else (url.host, url.port)
        with faulty(server) as proxy:
            shown = url.set(host="127.0.0.1", port=proxy.port).difference_update_query(["host"])
            store = open_store(shown.render_as_string(hide_password=False))
            assert store.read_experiments().num_rows >= 3
            run_ids = store.read_runs(Query()).column("run_id").to_pylist()
            proxy.fault = fault
            since = time.monotonic()
            with pytest.raises(StoreUnreachable, match="to answer|in time" if fault == "silent" else "closed"):
                store.read(run_ids)
            assert time.monotonic() - since < 10
            store.close()

    def test_a_long_metric_is_streamed(self, store_uri, store):
        run_id = store.read_runs(Query(limit=1)).column("run_id")[0].as_py()
        engine = sa.create_engine(store_uri)
        key, numbers = (
            ("key", "generate_series(0, 69999) AS numbers (step)")
            if engine.dialect.name == "postgresql"
            else ("`key`", "(SELECT seq AS step FROM seq_0_to_69999) AS numbers")
        )
        insert = sa.text(
            f"INSERT INTO metrics ({key}, value, timestamp, run_uuid, step, is_nan)"
            f" SELECT 'long', 0.5, step, :run, step, false FROM {numbers}"
        )
        with engine.begin() as connection:
            connection.execute(insert, {"run": run_id})
        try:
            batches = list(store.read_metric_history([run_id], ["long"]))
            assert [step for batch in batches for step in batch.column("step").to_pylist()] == list(range(70_000))
            assert len(batches) > 1
        finally:
            with engine.begin() as connection:
                connection.execute(sa.delete(sa.table("metrics", sa.column("key"))).where(sa.column("key") == "long"))
            engine.dispose()

    def test_a_missing_database_raises_store_not_found(self, store_uri):
        url = sa.make_url(store_uri).set(database="no_such_database")
        assert isinstance(error_of(url), StoreNotFound)

    def test_a_database_without_mlflow_tables_is_not_a_store(self, store_uri):
        existing = "postgres" if store_uri.startswith("postgresql") else "mysql"
        error = error_of(sa.make_url(store_uri).set(database=existing))
        assert isinstance(error, StoreUnreadable)
        assert "no tables of MLflow" in error.message

    def test_a_scheme_without_driver_uses_the_installed_driver(self, store_uri):
        scheme, _, rest = store_uri.partition("://")
        plain = scheme.partition("+")[0]
        for other in {"postgresql": ["postgresql", "postgres", "postgresql+psycopg2"]}.get(
            plain, ["mysql", "mariadb", "mysql+mysqldb"]
        ):
            store = open_store(f"{other}://{rest}")
            assert store.read_experiments().num_rows >= 3
            store.close()


class TestPostgresql(DatabaseContract):
    @pytest.fixture(scope="class")
    @classmethod
    def server_uri(cls, postgresql_sample):
        return postgresql_sample


class TestSystemPostgresql(DatabaseContract):
    @pytest.fixture(scope="class")
    @classmethod
    def server_uri(cls, system_postgresql_sample):
        return system_postgresql_sample


class TestMariadb(DatabaseContract):
    @pytest.fixture(scope="class")
    @classmethod
    def server_uri(cls, mariadb_sample):
        return mariadb_sample

    def test_a_wrong_password_is_refused(self, store_uri):
        engine = sa.create_engine(store_uri, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE OR REPLACE USER qualia_test@'127.0.0.1' IDENTIFIED BY 'right'")
        try:
            error = error_of(sa.make_url(store_uri).set(username="qualia_test", password=PASSWORD))
            assert isinstance(error, StoreRefused)
            without_rights = sa.make_url(store_uri).set(username="qualia_test", password="right")
            assert isinstance(error_of(without_rights), StoreRefused)
        finally:
            with engine.connect() as connection:
                connection.exec_driver_sql("DROP USER qualia_test@'127.0.0.1'")
            engine.dispose()


# Errors, without secrets


def error_of(url: sa.URL | str) -> StoreError:
    """The error that reading this URI raises, checked to contain no password, also in its traceback."""
    uri = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    store = open_store(uri)
    with pytest.raises(StoreError) as caught:
        store.read_experiments()
    store.close()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(store)
    assert "s3cr" not in shown
    return caught.value


def test_an_unknown_role_or_a_wrong_password_of_postgresql_is_refused(system_postgresql_sample):
    url = sa.make_url(system_postgresql_sample).set(username="no_such_role", password=PASSWORD)
    assert isinstance(error_of(url), StoreRefused)


def test_a_role_without_read_permission_is_refused(system_postgresql_sample):
    engine = sa.create_engine(system_postgresql_sample, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS qualia_test_reader")
        connection.exec_driver_sql("CREATE ROLE qualia_test_reader LOGIN")
    try:
        error = error_of(sa.make_url(system_postgresql_sample).set(username="qualia_test_reader"))
        assert "may read its tables" in error.hint
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql("DROP ROLE qualia_test_reader")
        engine.dispose()


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "no.such.host.invalid"])
def test_an_unreachable_host_raises_store_unreachable(scheme, host):
    host = host.format(port=free_port())
    error = error_of(f"{scheme}://user:s3cr%3At@{host}/mlflow")
    assert isinstance(error, StoreUnreachable)
    assert host in error.message


@pytest.mark.parametrize("uri", ["postgresql://u:s3cr:t@host:port/db", "mysql://u:s3cr@t@h:1:2/db"])
def test_an_invalid_uri_raises_a_clear_error(uri):
    assert error_of(uri).hint


@pytest.mark.parametrize(
    ("scheme", "module", "extra"), [("postgresql", "psycopg", "postgresql"), ("mysql", "pymysql", "mysql")]
)
def test_a_missing_driver_raises_an_error_with_an_install_hint(monkeypatch, scheme, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ExtraMissing, match=f'pip install "qualia-lab.{extra}."') as caught:
        open_store(f"{scheme}://u:{PASSWORD}@127.0.0.1/db").read_experiments()
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    ["sslmode=require", "sslmode=verify-ca&sslrootcert=/no/such/root.crt", "sslmode=nonsense"],
)
def test_tls_errors_of_postgresql_are_reported(system_postgresql_sample, options):
    error = error_of(f"{system_postgresql_sample}?{options}")
    assert isinstance(error, StoreUnreachable)
    assert "secure connection (TLS)" in error.message
    assert "sslrootcert" in error.hint
    assert "host and port" not in error.hint


def test_a_missing_certificate_for_mysql_is_reported(mariadb_sample):
    error = error_of(f"{mariadb_sample}?ssl_ca=/no/such/ca.pem")
    assert isinstance(error, StoreUnreachable)
    assert "secure connection (TLS)" in error.message


def test_tables_in_another_schema_are_reported_with_its_name(system_postgresql_sample):
    engine = sa.create_engine(system_postgresql_sample, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE SCHEMA looked_in")
    try:
        uri = f"{system_postgresql_sample}?options=-csearch_path%3Dlooked_in"
        error = error_of(uri)
        assert "in the schema public" in error.message
        assert "search_path%3Dpublic" in error.hint
        store = open_store(uri.replace("looked_in", "public"))
        assert store.read_experiments().num_rows > 0
        store.close()
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql("DROP SCHEMA looked_in")
        engine.dispose()
