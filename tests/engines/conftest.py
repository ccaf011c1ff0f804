"""Snapshots to ask, and engines to ask with."""

from __future__ import annotations

import pytest

from qualia_lab import Query, open_store
from qualia_lab.stores.snapshot.place import open_place
from qualia_lab.stores.snapshot.update import update_snapshot
from tests.query.odd_runs import write_odd_runs

from .spark import start_spark


@pytest.fixture(scope="session")
def odd_snapshot(tmp_path_factory):
    """A snapshot of runs with every odd value, two of them deleted."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("engines")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    write_odd_runs(uri, 60)
    store = open_store(uri)
    for run_id in store.read_runs(Query(limit=2)).column("run_id").to_pylist():
        MlflowClient(uri).delete_run(run_id)
    listed = store.read_runs(Query(view="all"))
    update_snapshot(store, open_place(folder / "snapshot"), listed, old=None, choice={})
    return f"snapshot:{folder / 'snapshot'}"


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """Spark in this process; the URL of its Spark Connect."""
    return start_spark(tmp_path_factory.mktemp("spark"))
