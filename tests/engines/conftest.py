"""Fixtures: a snapshot with unusual values, engines on it, and an executed notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qualia_lab import Query, open_store
from qualia_lab.engines.open import open_engine
from qualia_lab.stores.snapshot.location import open_location
from qualia_lab.stores.snapshot.update import update_snapshot
from tests.cli.command import QUALIA, run_here
from tests.query.odd_runs import write_odd_runs

from .notebooks import write
from .spark import start_spark

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def odd_snapshot(made_once) -> str:
    """A snapshot of runs with unusual values of every kind; two of the runs are deleted."""
    from mlflow import MlflowClient

    def fill(folder):
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        write_odd_runs(uri, 60)
        store = open_store(uri)
        for run_id in store.read_runs(Query(limit=2)).column("run_id").to_pylist():
            MlflowClient(uri).delete_run(run_id)
        all_runs = store.read_runs(Query(view="all"))
        update_snapshot(store, open_location(folder / "snapshot"), all_runs, old=None, choice={})

    return f"snapshot:{made_once('odd-snapshot', fill) / 'snapshot'}"


@pytest.fixture(scope="module")
def duckdb(odd_snapshot):
    """A DuckDB engine on that snapshot."""
    engine = open_engine(odd_snapshot)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def executed(odd_snapshot, made_once) -> Path:
    """A notebook of its aggregates, executed with DuckDB."""

    def fill(folder):
        write(odd_snapshot, "duckdb", folder / "duckdb.ipynb")
        result = run_here(QUALIA, "execute", folder / "duckdb.ipynb", cwd=folder)
        assert result.returncode == 0, result.stderr

    return made_once("aggregate-notebook", fill) / "duckdb.ipynb"


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """Spark in this process; the URL of its Spark Connect server."""
    return start_spark(tmp_path_factory.mktemp("spark"))
