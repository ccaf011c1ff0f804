"""Each run is requested from a real `mlflow server` only once; a proxy in front of it records every request."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
from mlflow import MlflowClient

from benchmarks.stores import Size, fill_sqlite
from qualia_lab.explorer import ArtifactExplorer
from qualia_lab.generator import NotebookGenerator
from qualia_lab.selection import Query
from qualia_lab.stores.http import experiments as http_experiments
from qualia_lab.stores.http import search_page
from qualia_lab.stores.http.search_page import SearchPage, merge_pages
from qualia_lab.stores.open import open_store
from tests import servers
from tests.cli.command import CREATE, QUALIA, run_here
from tests.conftest import running

from .empty import copy_empty_store
from .recording_proxy import recording_proxy

RUNS = 60
LISTED = "experiments/search"
MODELS = "logged-models/search"
TRACES = "traces/search"  # whether there are any


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("once")
    copy_empty_store(folder / "mlflow.db")
    fill_sqlite(folder / "mlflow.db", Size(RUNS, params=3, metrics=3, steps=2))
    with running(servers.mlflow_server(f"sqlite:///{folder / 'mlflow.db'}", folder)) as uri:
        yield uri


@pytest.fixture
def proxy(server):
    with recording_proxy(server) as proxy:
        yield proxy


def ids(store, **query):
    return store.read_runs(Query(**query)).column("run_id").to_pylist()


def same(ours, theirs):
    for name in vars(theirs):
        assert repr(getattr(ours, name).to_pylist()) == repr(getattr(theirs, name).to_pylist()), name  # NaN is NaN


# The store


def test_a_read_after_a_search_requests_no_run_again(server, proxy):
    store = open_store(proxy.uri)
    run_ids = ids(store)
    tables = store.read(run_ids)
    assert proxy.runs == dict.fromkeys(run_ids, 1)
    assert len(run_ids) == RUNS
    assert proxy.endpoints[LISTED] == proxy.endpoints[MODELS] == 1
    assert not proxy.repeated_requests()
    same(tables, open_store(server).read(run_ids))


@pytest.mark.parametrize(
    "query", [{"filter": "params.param_0 > 3"}, {"order_by": ("metrics.metric_1 DESC",)}, {"limit": 7}]
)
def test_runs_are_requested_once_whether_evaluated_locally_or_by_the_server(server, proxy, query):
    store = open_store(proxy.uri)
    run_ids = ids(store, **query)
    tables = store.read(run_ids)
    assert set(proxy.runs.values()) == {1}
    assert not proxy.repeated_requests()
    assert list(tables.run_ids) == run_ids
    same(tables, open_store(server).read(run_ids))


def test_a_read_requests_only_the_runs_that_were_not_in_the_search(server, proxy):
    store = open_store(proxy.uri)
    experiments = [row["experiment_id"] for row in store.find_experiments().to_pylist()]
    few = ids(store, experiment_ids=(experiments[1],))
    wanted = list(reversed(ids(open_store(server))))
    missing = "0" * 32
    tables = store.read([*wanted, missing])
    assert list(tables.run_ids) == wanted
    assert tables.missing.column("run_id").to_pylist() == [missing]
    assert 0 < len(few) < RUNS
    assert proxy.runs == dict.fromkeys(wanted, 1)
    same(tables, open_store(server).read([*wanted, missing]))


def test_two_reads_of_disjoint_runs_use_the_same_search(server, proxy):
    store = open_store(proxy.uri)
    run_ids = ids(store)
    some, others = store.read(run_ids[5:9]), store.read([*run_ids[9:], *run_ids[:5]])
    assert set(proxy.runs.values()) == {1}
    same(some, open_store(server).read(run_ids[5:9]))
    same(others, open_store(server).read([*run_ids[9:], *run_ids[:5]]))


def test_a_second_read_returns_current_values(server, proxy):
    from mlflow import MlflowClient

    store = open_store(proxy.uri)
    run_ids = ids(store)
    first = store.read(run_ids)
    MlflowClient(server).set_tag(run_ids[3], "seen", "later")
    assert "seen" not in first.tags.column("key").to_pylist()
    again = store.read(run_ids)
    assert "seen" in again.tags.column("key").to_pylist()
    MlflowClient(server).delete_tag(run_ids[3], "seen")
    ids(store)
    assert "seen" not in store.read(run_ids).tags.column("key").to_pylist()


def test_a_new_search_replaces_the_cached_one(proxy):
    store = open_store(proxy.uri)
    run_ids = ids(store)
    ids(store, limit=2)
    proxy.requests.clear()
    store.read(run_ids)
    assert proxy.runs == dict.fromkeys(run_ids[2:], 1)


def test_cached_search_results_expire(proxy, monkeypatch):
    store = open_store(proxy.uri)
    run_ids = ids(store)
    monkeypatch.setattr(search_page, "FRESH_SECONDS", 0.05)
    monkeypatch.setattr(http_experiments, "FRESH_SECONDS", 0.05)
    time.sleep(0.1)
    proxy.requests.clear()
    store.read(run_ids)
    assert proxy.runs == dict.fromkeys(run_ids, 1)
    assert proxy.endpoints[LISTED] == 1


def test_the_search_cache_is_bounded_in_bytes_and_the_rest_is_requested_again(server, proxy, monkeypatch):
    store = open_store(proxy.uri)
    monkeypatch.setattr(search_page, "_MAX_BYTES", 20_000)
    run_ids = ids(store)
    sizes = [sum(buffer.size for buffer in compressed.values()) for compressed, _ in store.stored._recent_pages._pages]
    assert 0 < sum(sizes) <= 20_000
    tables = store.read(run_ids)
    assert RUNS < proxy.runs.total() < 2 * RUNS
    same(tables, open_store(server).read(run_ids))


def test_concurrent_reads_are_each_complete(server, proxy):
    store = open_store(proxy.uri)
    run_ids = ids(store)
    expected = open_store(server).read(run_ids)
    found = []
    threads = [threading.Thread(target=lambda: found.append(store.read(run_ids))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for tables in found:
        same(tables, expected)


def test_a_run_on_two_pages_is_merged():
    """This happens if runs are added during a search."""

    def page(*run_ids):
        return SearchPage.from_json(
            [{"info": {"run_id": id_}, "data": {"params": [{"key": "a", "value": id_}]}} for id_ in run_ids]
        )

    both = merge_pages([page("a", "b"), page("b", "c"), page("a")])
    assert both.run_ids == ["a", "b", "c"]
    assert both.tables["params"].column("value").to_pylist() == ["a", "b", "c"]
    assert merge_pages([]).run_ids == []


# Commands


@pytest.mark.parametrize(
    "choice", [["--experiment", "sweep *"], ["--filter", "params.param_0 > 3"], ["--limit", 20], ["--yes"]]
)
def test_creating_a_notebook_requests_each_run_once(proxy, tmp_path, choice):
    args = ("--tracking-uri", proxy.uri, *choice, "--yes", "--force", "--output", "all.ipynb")
    done = run_here(CREATE, *args, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert proxy.endpoints == Counter(
        {"runs/search": proxy.endpoints["runs/search"], MODELS: 1, TRACES: 1, LISTED: proxy.endpoints[LISTED]}
    )
    assert proxy.endpoints[LISTED] <= 2  # a second time, to list the experiments, if none was chosen
    assert set(proxy.runs.values()) == {1}


@pytest.mark.parametrize("command", [["runs", "--json"], ["findings"]])
def test_commands_that_show_runs_request_each_run_once(proxy, tmp_path, command):
    done = run_here(QUALIA, *command, "--tracking-uri", proxy.uri, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(proxy.runs) == RUNS
    assert set(proxy.runs.values()) == {1}


def test_selecting_the_best_runs_requests_at_most_one_run_twice(proxy):
    """The first run is read to check that the metric exists."""
    generator = NotebookGenerator(proxy.uri)
    generator.plan(generator.select(top=5, by="metric_1:max"))
    assert len(proxy.runs) == 5
    assert proxy.runs.total() <= 6


def test_a_search_in_the_explorer_requests_each_run_once(proxy):
    assert len(ArtifactExplorer(proxy.uri).search_runs(["sweep *"])) == RUNS
    assert set(proxy.runs.values()) == {1}


def test_a_snapshot_requests_each_run_once(proxy, tmp_path):
    done = run_here(QUALIA, "snapshot", proxy.uri, "here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(proxy.runs) == RUNS
    assert set(proxy.runs.values()) == {1}


def test_an_empty_experiment_and_a_filter_without_matches_raise_different_errors(proxy):
    from qualia_lab.errors import NoRunMatches, UnknownExperiment

    with pytest.raises(NoRunMatches, match=f"None of the {RUNS} runs"):
        NotebookGenerator(proxy.uri).select(filter="params.param_0 = 'no such value'")
    with pytest.raises(NoRunMatches, match="has no runs"):
        NotebookGenerator(proxy.uri).select(experiments=["Default"])
    with pytest.raises(UnknownExperiment):
        NotebookGenerator(proxy.uri).select(experiments=["no such experiment"])


def test_listing_with_a_limit_reads_only_one_run_more(proxy, tmp_path):
    done = run_here(QUALIA, "runs", "--tracking-uri", proxy.uri, "--limit", 3, cwd=tmp_path)
    assert "showing 3 of more than 3 runs" in done.stderr
    assert len(proxy.runs) == 4
    assert max(proxy.runs.values()) == 1


def test_child_runs_are_requested_by_their_parent(server, proxy):
    first = open_store(server).read_runs(Query()).to_pylist()[0]
    runs_of_experiment = open_store(server).read_runs(Query((first["experiment_id"],), order_by=("start_time ASC",)))
    parent, *children = runs_of_experiment.column("run_id").to_pylist()[:3]
    for child in children:
        MlflowClient(server).set_tag(child, "mlflow.parentRunId", parent)
    assert runs_of_experiment.num_rows > 3
    assert list(ArtifactExplorer(proxy.uri).read_run(parent).child_run_ids) == children
    assert set(proxy.runs) == {parent, *children}
