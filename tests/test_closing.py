"""Connections are released by `close` and at the end of a `with` statement."""

from __future__ import annotations

import pytest

from qualia_lab import ArtifactExplorer, NotebookGenerator, load_aggregates, open_engine
from qualia_lab.errors import EngineError, QualiaLabError
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.store import write_snapshot


def connections(thing) -> int:
    """The number of open connections to the SQLite file between two queries."""
    return len(thing.store.stored._database._idle)


@pytest.mark.parametrize("kind", [ArtifactExplorer, NotebookGenerator])
def test_explorer_and_generator_release_their_connections(kind, sqlite_sample):
    ask = {"ArtifactExplorer": lambda it: it.search_runs(), "NotebookGenerator": lambda it: it.select(limit=1)}
    with kind(f"sqlite:///{sqlite_sample}") as opened:
        ask[kind.__name__](opened)
        assert connections(opened) == 1
    assert connections(opened) == 0
    ask[kind.__name__](opened)
    opened.close()
    assert connections(opened) == 0


def test_connections_are_released_after_an_error(sqlite_sample):
    with pytest.raises(QualiaLabError), NotebookGenerator(f"sqlite:///{sqlite_sample}") as opened:
        opened.select(limit=1)
        opened.select(experiments=["there is none of this name"])
    assert connections(opened) == 0


def test_an_engine_is_closed_by_a_with_statement(sqlite_sample, tmp_path):
    with open_store(f"sqlite:///{sqlite_sample}") as store:
        runs = store.read_runs(Query(limit=3)).column("run_id").to_pylist()
        write_snapshot(tmp_path, store, store.read(runs), source_uri=store.uri)
    with open_engine(tmp_path) as engine:
        assert engine.experiments().num_rows
    with load_aggregates(f"snapshot:{tmp_path}", "duckdb") as aggregates:
        assert len(aggregates.experiments())
    for closed in (engine, aggregates):
        closed.close()
        with pytest.raises(EngineError):
            closed.experiments()
