"""A real `mlflow server` is asked for each thing once; a relay before it writes down every question."""

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
from qualia_lab.stores.http import store as http_store
from qualia_lab.stores.http import told
from qualia_lab.stores.http.told import Told, joined
from qualia_lab.stores.open import open_store
from tests import servers
from tests.cli.command import CREATE, QUALIA, run_here
from tests.conftest import running

from .empty import copy_empty_store
from .relay import relayed

RUNS = 60
LISTED = "experiments/search"
MODELS = "logged-models/search"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("once")
    copy_empty_store(folder / "mlflow.db")
    fill_sqlite(folder / "mlflow.db", Size(RUNS, params=3, metrics=3, steps=2))
    with running(servers.mlflow_server(f"sqlite:///{folder / 'mlflow.db'}", folder)) as uri:
        yield uri


@pytest.fixture
def relay(server):
    with relayed(server) as said:
        yield said


def ids(store, **query):
    return store.read_runs(Query(**query)).column("run_id").to_pylist()


def same(ours, theirs):
    for name in vars(theirs):
        assert repr(getattr(ours, name).to_pylist()) == repr(getattr(theirs, name).to_pylist()), name  # NaN is NaN


# The store


def test_what_a_listing_brought_is_not_asked_for_by_the_reading_after_it(server, relay):
    store = open_store(relay.uri)
    run_ids = ids(store)
    tables = store.read(run_ids)
    assert relay.runs == dict.fromkeys(run_ids, 1)
    assert len(run_ids) == RUNS
    assert relay.ends[LISTED] == relay.ends[MODELS] == 1
    assert not relay.asked_twice()
    same(tables, open_store(server).read(run_ids))


@pytest.mark.parametrize(
    "query", [{"filter": "params.param_0 > 3"}, {"order_by": ("metrics.metric_1 DESC",)}, {"limit": 7}]
)
def test_what_is_evaluated_here_or_there_comes_once_and_in_order(server, relay, query):
    store = open_store(relay.uri)
    run_ids = ids(store, **query)
    tables = store.read(run_ids)
    assert set(relay.runs.values()) == {1}
    assert not relay.asked_twice()
    assert list(tables.run_ids) == run_ids
    same(tables, open_store(server).read(run_ids))


def test_a_reading_of_other_runs_too_asks_for_those_alone(server, relay):
    store = open_store(relay.uri)
    experiments = [row["experiment_id"] for row in store.find_experiments().to_pylist()]
    few = ids(store, experiment_ids=(experiments[1],))
    wanted = list(reversed(ids(open_store(server))))
    nobody = "0" * 32
    tables = store.read([*wanted, nobody])
    assert list(tables.run_ids) == wanted
    assert tables.missing.column("run_id").to_pylist() == [nobody]
    assert 0 < len(few) < RUNS
    assert relay.runs == dict.fromkeys(wanted, 1)
    same(tables, open_store(server).read([*wanted, nobody]))


def test_some_of_the_runs_and_then_the_others(server, relay):
    store = open_store(relay.uri)
    run_ids = ids(store)
    some, others = store.read(run_ids[5:9]), store.read([*run_ids[9:], *run_ids[:5]])
    assert set(relay.runs.values()) == {1}
    same(some, open_store(server).read(run_ids[5:9]))
    same(others, open_store(server).read([*run_ids[9:], *run_ids[:5]]))


def test_who_reads_again_is_told_what_is_so_now(server, relay):
    from mlflow import MlflowClient

    store = open_store(relay.uri)
    run_ids = ids(store)
    first = store.read(run_ids)
    MlflowClient(server).set_tag(run_ids[3], "seen", "later")
    assert "seen" not in first.tags.column("key").to_pylist()
    again = store.read(run_ids)
    assert "seen" in again.tags.column("key").to_pylist()
    MlflowClient(server).delete_tag(run_ids[3], "seen")
    ids(store)
    assert "seen" not in store.read(run_ids).tags.column("key").to_pylist()


def test_a_listing_forgets_the_one_before_it(relay):
    store = open_store(relay.uri)
    run_ids = ids(store)
    ids(store, limit=2)
    relay.asked.clear()
    store.read(run_ids)
    assert relay.runs == dict.fromkeys(run_ids[2:], 1)


def test_what_was_said_a_while_ago_is_asked_again(relay, monkeypatch):
    store = open_store(relay.uri)
    run_ids = ids(store)
    monkeypatch.setattr(told, "LATELY_SECONDS", 0.05)
    monkeypatch.setattr(http_store, "LATELY_SECONDS", 0.05)
    time.sleep(0.1)
    relay.asked.clear()
    store.read(run_ids)
    assert relay.runs == dict.fromkeys(run_ids, 1)
    assert relay.ends[LISTED] == 1


def test_what_is_kept_has_a_limit_in_bytes_and_the_rest_is_asked_for(server, relay, monkeypatch):
    store = open_store(relay.uri)
    monkeypatch.setattr(told, "_MOST_BYTES", 20_000)
    run_ids = ids(store)
    sizes = [sum(buffer.size for buffer in packed.values()) for packed, _ in store.stored._kept._pages]
    assert 0 < sum(sizes) <= 20_000
    tables = store.read(run_ids)
    assert RUNS < relay.runs.total() < 2 * RUNS
    same(tables, open_store(server).read(run_ids))


def test_readings_side_by_side_are_each_whole(server, relay):
    store = open_store(relay.uri)
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


def test_a_run_on_two_pages_is_one_run():
    """As it is when runs are added while pages are turned."""

    def page(*run_ids):
        return Told.of({"info": {"run_id": id_}, "data": {"params": [{"key": "a", "value": id_}]}} for id_ in run_ids)

    both = joined([page("a", "b"), page("b", "c"), page("a")])
    assert both.run_ids == ["a", "b", "c"]
    assert both.tables["params"].column("value").to_pylist() == ["a", "b", "c"]
    assert joined([]).run_ids == []


# Those who ask it


@pytest.mark.parametrize(
    "choice", [["--experiment", "sweep *"], ["--filter", "params.param_0 > 3"], ["--limit", 20], ["--yes"]]
)
def test_a_new_notebook_asks_for_each_thing_once(relay, tmp_path, choice):
    args = ("--tracking-uri", relay.uri, *choice, "--yes", "--force", "--output", "all.ipynb")
    done = run_here(CREATE, *args, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert relay.ends == Counter({"runs/search": relay.ends["runs/search"], MODELS: 1, LISTED: relay.ends[LISTED]})
    assert relay.ends[LISTED] <= 2  # once more where no experiment was chosen: which there are now
    assert set(relay.runs.values()) == {1}


@pytest.mark.parametrize("command", [["runs", "--json"], ["findings"]])
def test_the_commands_that_show_runs_ask_for_each_once(relay, tmp_path, command):
    done = run_here(QUALIA, *command, "--tracking-uri", relay.uri, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(relay.runs) == RUNS
    assert set(relay.runs.values()) == {1}


def test_the_best_by_a_metric_ask_again_for_one_run_at_most(relay):
    """The first is looked at, to see whether the metric is there."""
    generator = NotebookGenerator(relay.uri)
    generator.plan(generator.select(top=5, by="metric_1:max"))
    assert len(relay.runs) == 5
    assert relay.runs.total() <= 6


def test_a_search_in_an_explorer_asks_for_each_run_once(relay):
    assert len(ArtifactExplorer(relay.uri).search_runs(["sweep *"])) == RUNS
    assert set(relay.runs.values()) == {1}


def test_a_snapshot_asks_for_each_run_once(relay, tmp_path):
    done = run_here(QUALIA, "snapshot", relay.uri, "here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(relay.runs) == RUNS
    assert set(relay.runs.values()) == {1}


def test_an_empty_server_and_a_filter_that_nothing_meets_are_still_told_apart(relay):
    from qualia_lab.errors import NoRunMatches, UnknownExperiment

    with pytest.raises(NoRunMatches, match=f"None of the {RUNS} runs"):
        NotebookGenerator(relay.uri).select(filter="params.param_0 = 'no such value'")
    with pytest.raises(NoRunMatches, match="has no runs"):
        NotebookGenerator(relay.uri).select(experiments=["Default"])
    with pytest.raises(UnknownExperiment):
        NotebookGenerator(relay.uri).select(experiments=["no such experiment"])


def test_a_listing_of_some_runs_reads_no_more_than_it_shows(relay, tmp_path):
    done = run_here(QUALIA, "runs", "--tracking-uri", relay.uri, "--limit", 3, cwd=tmp_path)
    assert "showing 3 of more than 3 runs" in done.stderr
    assert len(relay.runs) == 4
    assert max(relay.runs.values()) == 1


def test_the_children_of_a_run_are_asked_for_by_their_parent(server, relay):
    first = open_store(server).read_runs(Query()).to_pylist()[0]
    of_it = open_store(server).read_runs(Query((first["experiment_id"],), order_by=("start_time ASC",)))
    parent, *children = of_it.column("run_id").to_pylist()[:3]
    for child in children:
        MlflowClient(server).set_tag(child, "mlflow.parentRunId", parent)
    assert of_it.num_rows > 3
    assert list(ArtifactExplorer(relay.uri).read_run(parent).child_run_ids) == children
    assert set(relay.runs) == {parent, *children}
