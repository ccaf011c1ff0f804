"""Metric keys that end like a statistic mean the same as in MLflow's own client."""

from __future__ import annotations

import pytest
from mlflow.entities import Metric

from qualia_lab.choosing import choose_runs, query_of
from qualia_lab.selection import Conditions
from qualia_lab.stores.open import open_store
from tests.stores.empty import new_client

# In each run: reward.mean, latency.max, and both `loss` (3, then 1) and a metric that is actually named loss.min.
RUNS = {"a": (0.0, 3.0, None), "b": (1.0, 2.0, 7.0), "c": (2.0, 1.0, 0.5)}


@pytest.fixture(scope="module", params=["sqlite", "folder"])
def store(request, tmp_path_factory):
    """An open store, and the client that wrote it."""
    folder = tmp_path_factory.mktemp(request.param)
    uri = f"sqlite:///{folder / 'mlflow.db'}" if request.param == "sqlite" else str(folder / "mlruns")
    client = new_client(uri)
    experiment = client.create_experiment("dotted")
    for name, (reward, latency, least) in RUNS.items():
        run_id = client.create_run(experiment, run_name=name).info.run_id
        metrics = [Metric("reward.mean", reward, 1, 0), Metric("latency.max", latency, 1, 0)]
        metrics += [Metric("loss", value, 1, step) for step, value in enumerate((3.0, 1.0))]
        metrics += [Metric("loss.min", least, 1, 0)] if least is not None else []
        client.log_batch(run_id, metrics)
    return open_store(uri), client, experiment


def chosen(store, **conditions):
    opened, _, _ = store
    parsed = Conditions(**conditions)
    query = query_of(opened, parsed)
    ids = choose_runs(opened, parsed, query).run_ids
    names = dict(zip(*(opened.read(ids).runs.column(name).to_pylist() for name in ("run_id", "run_name")), strict=True))
    return [names[run_id] for run_id in ids], query


@pytest.mark.parametrize("text", ["metrics.reward.mean >= 1", "metrics.latency.max < 3", "metrics.loss.min > 1"])
def test_a_filter_on_a_dotted_key_matches_mlflow(store, text):
    _, client, experiment = store
    expected = {run.info.run_name for run in client.search_runs([experiment], text)}
    assert expected
    assert set(chosen(store, filter=text)[0]) == expected


@pytest.mark.parametrize("order", ["metrics.latency.max DESC", "metrics.reward.mean ASC"])
def test_an_order_by_a_dotted_key_matches_mlflow(store, order):
    _, client, experiment = store
    expected = [run.info.run_name for run in client.search_runs([experiment], order_by=[order])]
    assert chosen(store, order_by=(order,))[0] == expected


def test_where_and_by_accept_a_dotted_key(store):
    assert set(chosen(store, where=("reward.mean>=1",))[0]) == {"b", "c"}
    assert chosen(store, by="reward.mean:max", top=1)[0] == ["c"]


def test_an_ambiguous_key_adds_a_note_with_both_spellings(store):
    _, query = chosen(store, filter="metrics.loss.min > 1")
    [note] = query.notes
    assert "metrics.`loss`.min" in note
    assert set(chosen(store, filter="metrics.`loss`.min > 0.9")[0]) == {"a", "b", "c"}
    assert chosen(store, filter="metrics.reward.mean >= 0")[1].notes == ()


def test_a_statistic_is_used_if_no_metric_has_the_dotted_key(store):
    assert set(chosen(store, filter="metrics.loss.max = 3")[0]) == {"a", "b", "c"}
    assert set(chosen(store, filter="metrics.loss.at(0) = 3 AND metrics.loss.first = 3")[0]) == {"a", "b", "c"}
