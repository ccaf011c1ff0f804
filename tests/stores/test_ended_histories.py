"""Histories of ended runs are read once while a store is read again and again, and are what the store has."""

from __future__ import annotations

from collections import Counter

import pytest

from qualia_lab.errors import StoreUnreadable
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.ended_histories import EndedHistories, keep_ended_histories
from qualia_lab.stores.sql.store import SqlStore

from .empty import copy_empty_store, new_client

STARTED = 1_770_000_000_000  # in 2026


@pytest.fixture
def reads(monkeypatch):
    """The runs whose histories the database was asked for; a list that grows."""
    asked = []

    def recorded(self, run_ids, keys=None, original=SqlStore.read_metric_history):
        asked.extend(run_ids)
        return original(self, run_ids, keys)

    monkeypatch.setattr(SqlStore, "read_metric_history", recorded)
    return asked


@pytest.fixture
def trained(tmp_path):
    """A client, and runs by name: two that ended long ago, one that has just ended, one that is running."""
    copy_empty_store(tmp_path / "mlflow.db")
    client = new_client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("churn", artifact_location=(tmp_path / "artifacts").as_uri())
    runs = {}
    for name, is_old in (("old", True), ("older", True), ("recent", False), ("running", False)):
        runs[name] = client.create_run(experiment, start_time=STARTED, run_name=name).info.run_id
        for step in range(3):
            client.log_metric(runs[name], "loss", 1 / (step + 1), step=step)
        if name != "running":
            client.set_terminated(runs[name], end_time=STARTED + 1000 if is_old else None)
    return client, runs


def points(store, run_ids, keys=None):
    """Every point, in any order of the runs."""
    found = [tuple(row.values()) for batch in store.read_metric_history(run_ids, keys) for row in batch.to_pylist()]
    return Counter(found)


def test_only_what_may_have_grown_is_read_again(trained, reads, tmp_path):
    client, runs = trained
    uri, names = f"sqlite:///{tmp_path / 'mlflow.db'}", {run_id: name for name, run_id in runs.items()}

    def look(histories, keys=None):
        reads.clear()
        with histories.of(open_store(uri)) as store:
            store.read(list(runs.values()))
            found = points(store, list(runs.values()), keys)
        asked = sorted(names[run_id] for run_id in reads)
        with open_store(uri) as store:
            assert found == points(store, list(runs.values()), keys)
        return asked

    with keep_ended_histories() as histories:
        assert look(histories) == ["old", "older", "recent", "running"]
        assert look(histories) == ["recent", "running"]
        client.log_metric(runs["running"], "loss", 0.1, step=9)
        assert look(histories, ["loss"]) == ["recent", "running"]
        client.log_metric(runs["old"], "loss", 0.2, step=9)  # a point at the end of an ended run
        client.log_metric(runs["older"], "auc", 0.9, step=0)  # a new metric of one
        assert look(histories, ["auc"]) == ["old", "older", "recent", "running"]
        client.set_terminated(runs["running"], end_time=STARTED + 1000)
        client.update_run(runs["older"], name="renamed")
        assert look(histories) == ["older", "recent", "running"]
        assert look(histories) == ["recent"]
        client.update_run(runs["old"], status="RUNNING")  # it goes on
        assert look(histories) == ["old", "recent"]
        histories.forget()
        assert look(histories) == ["old", "older", "recent", "running"]


def test_a_file_that_is_gone_is_an_error_once_and_then_all_is_read_again(trained, reads, tmp_path):
    uri, old = f"sqlite:///{tmp_path / 'mlflow.db'}", trained[1]["old"]
    folder = tmp_path / "kept"
    folder.mkdir()
    with EndedHistories(folder).of(open_store(uri)) as store:
        store.read([old])
        first = points(store, [old])
        (file,) = folder.rglob("*.parquet")
        file.unlink()
        with pytest.raises(StoreUnreadable):
            points(store, [old])
        assert points(store, [old]) == first
    assert reads == [old, old]
