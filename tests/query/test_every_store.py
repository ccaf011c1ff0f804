"""The same filter and order return the same runs in the same order from every kind of store (via `open_store`)."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import ExitStack

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from mlflow import MlflowClient

from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.location import open_location
from qualia_lab.stores.snapshot.update import update_snapshot
from tests import servers
from tests.conftest import running
from tests.query.conftest import QUERIES
from tests.query.odd_runs import (
    EXTENDED_FILTERS,
    EXTENDED_ORDERS,
    MLFLOW_FILTERS,
    TABLES,
    copy_rows,
    replace_ids,
    write_odd_runs,
)

DATABASES = {"postgresql": servers.system_postgresql, "mariadb": servers.mariadb}
KINDS = ["sqlite", "files", "snapshot", "server", *DATABASES]


def copy_of(odd, folder):
    """A copy of the odd runs' database, for a server that may write to it."""
    with sqlite3.connect(odd.uri.removeprefix("sqlite:///")) as source, sqlite3.connect(folder / "mlflow.db") as copy:
        source.backup(copy)
    return f"sqlite:///{folder / 'mlflow.db'}"


def as_files(odd, folder):
    """The odd runs logged again into an mlruns folder, with the ids that they have in the database."""
    uri = str(folder / "mlruns")
    write_odd_runs(uri)
    client = MlflowClient(uri)
    experiment_ids = {
        client.get_experiment_by_name(experiment.name).experiment_id: experiment.experiment_id
        for experiment in odd.client.search_experiments()
    }
    run_id_of = {key(run): run.info.run_id for run in odd.client.search_runs(odd.experiment_ids)}
    runs = client.search_runs(list(experiment_ids))
    replace_ids(folder / "mlruns", {run.info.run_id: run_id_of[key(run)] for run in runs}, experiment_ids)
    shutil.rmtree(folder / "mlruns" / ".trash", ignore_errors=True)
    return uri


def key(run):
    """A key that identifies an odd run independently of its id."""
    return (run.info.start_time, run.info.run_name, repr(sorted(run.data.params.items())))


@pytest.fixture(scope="module")
def stores(odd, tmp_path_factory):
    """A store of each kind, all with the odd runs under the same ids."""
    folder = tmp_path_factory.mktemp("every")
    with ExitStack() as stack:
        uris = {"sqlite": odd.uri, "files": as_files(odd, folder)}
        source = open_store(odd.uri)
        all_runs = source.read_runs(Query(view="all"))
        update_snapshot(source, open_location(folder / "snapshot"), all_runs, old=None, choice={})
        source.close()
        uris["snapshot"] = f"snapshot:{folder / 'snapshot'}"
        for kind, server in DATABASES.items():
            uris[kind] = stack.enter_context(running(server()))
            engine = sa.create_engine(uris[kind])
            copy_rows(odd.engine, engine, TABLES)
            engine.dispose()
        uris["server"] = stack.enter_context(running(servers.mlflow_server(copy_of(odd, folder), folder)))
        stores_by_kind = {kind: open_store(uris[kind]) for kind in KINDS}
        yield stores_by_kind
        for store in stores_by_kind.values():
            store.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "part"), [("files", 0.2), ("snapshot", 0.4), ("postgresql", 0.4), ("mariadb", 0.4), ("server", 0.4)]
)
def test_every_store_returns_the_same_runs_in_the_same_order(kind, part, stores):
    """With a part of the filters only, since every store is asked for every filter."""
    results, count = set(), int(part * QUERIES)

    @settings(settings.get_profile("meaning"), max_examples=count)
    @given(EXTENDED_FILTERS | MLFLOW_FILTERS, EXTENDED_ORDERS)
    def compare(text, order_by):
        query = Query(filter=text, order_by=tuple(order_by))
        expected = stores["sqlite"].read_runs(query).column("run_id").to_pylist()
        assert stores[kind].read_runs(query).column("run_id").to_pylist() == expected
        results.add(tuple(expected))

    compare()
    assert len(results) > count / 4


# Filters, and the expected place of each step for a server; a database evaluates everything, files and snapshots nothing.
EXPLAINED = [
    ("params.k = 'abc' AND metrics.k > 0", ["server", "server", "here", "here"]),
    ("params.k IS NULL OR params.k < 1", ["server", "here", "here"]),
    ("metrics.`a b`.max > 0 AND status != 'FAILED'", ["server", "server", "here", "here"]),
    ("experiment.name = 'odd'", ["server", "here", "here"]),
    ("", ["server", "here"]),
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_explanation_lists_the_place_and_the_runs_left_of_each_step(kind, stores):
    for text, places in EXPLAINED:
        query = Query(filter=text, order_by=("metrics.k.min DESC",))
        explanation = stores[kind].explain(query)
        counts = [part.runs for part in explanation.parts if part.runs is not None]
        assert counts[-1] == stores["sqlite"].read_runs(query).num_rows
        assert sorted(counts, reverse=True) == counts
        if kind == "server":
            assert [part.place for part in explanation.parts] == places, text
        elif kind in ("files", "snapshot"):
            assert [part.place for part in explanation.parts] == [kind, *["here"] * (len(explanation.parts) - 1)]
        else:
            assert {part.place for part in explanation.parts} == {"database"}
        assert explanation.parts[-1].text == "ORDER BY metrics.k.min DESC"
        assert explanation.sql.startswith("SELECT runs.") == (kind in ("sqlite", *DATABASES))
    in_order = stores[kind].explain(Query(order_by=("start_time DESC",), limit=3)).parts[1:]
    place = "server" if kind == "server" else "database" if kind in ("sqlite", *DATABASES) else "here"
    assert [(part.place, part.text) for part in in_order] == [(place, "ORDER BY start_time DESC"), (place, "LIMIT 3")]
    run_ids = tuple(stores[kind].read_runs(Query(limit=2)).column("run_id").to_pylist())
    assert stores[kind].explain(Query(run_ids=run_ids)).parts[0].text == "2 runs by id"


@pytest.mark.slow
def test_the_sql_of_an_explanation_is_executable(odd, stores):
    text = "params.k LIKE '%it''s%' OR params.k = \"it's\" OR tags.k > 1 OR metrics.K.mean > -1"
    query = Query(filter=text, order_by=("metrics.k DESC", "params.k"))
    with odd.engine.connect() as connection:
        rows = connection.exec_driver_sql(stores["sqlite"].explain(query).sql).fetchall()
    assert [row[0] for row in rows] == stores["sqlite"].read_runs(query).column("run_id").to_pylist()
