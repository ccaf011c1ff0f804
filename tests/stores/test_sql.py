"""SqlStore: the contract on every database, old schemas, odd cells, and a SQLite file left as it was."""

from __future__ import annotations

import pytest

from .contract import StoreContract
from .sample import write_sample


class TestSqlite(StoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, sqlite_sample):
        return f"sqlite:///{sqlite_sample}"


class DatabaseContract(StoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, server_uri, tmp_path_factory):
        write_sample(server_uri, tmp_path_factory.mktemp("artifacts"))
        return server_uri


class TestPostgresql(DatabaseContract):
    @pytest.fixture(scope="class")
    @classmethod
    def server_uri(cls, postgresql):
        return postgresql


class TestSystemPostgresql(DatabaseContract):
    @pytest.fixture(scope="class")
    @classmethod
    def server_uri(cls, system_postgresql):
        return system_postgresql


class TestMariadb(DatabaseContract):
    @pytest.fixture(scope="class")
    @classmethod
    def server_uri(cls, mariadb):
        return mariadb
