"""Memory for very many runs: columns, without Python objects per param, metric and point."""

from __future__ import annotations

import gc
import tracemalloc
from operator import attrgetter

import pytest

from benchmarks.stores import Size, fill_sqlite
from qualia_lab.analysis import intervals
from qualia_lab.runs import Runs
from qualia_lab.stores.open import open_store
from tests.stores.empty import copy_empty_store

# Bytes of Python objects and numbers that each run adds to the peak of a call: 1.5 times what was measured. A dict of
# the run's twenty params alone would take 1,200.
ALLOWED = {
    "findings": 5_300,  # includes describing the study, as the next one does for the colours
    "plot.history": 4_600,
    "params_that_differ": 600,
    "plot.timeline": 780,
    "origins.that_differ": 500,
}
ARGUMENTS = {"plot.history": ("metric_1",)}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("many") / "many.db"
    copy_empty_store(path)
    fill_sqlite(path, Size(4_500, params=20, metrics=5, steps=2))
    return open_store(f"sqlite:///{path}")


def _peak(runs, name):
    intervals._known.clear()  # else only the first measurement would fill the cache
    gc.collect()
    tracemalloc.start()
    try:
        attrgetter(name)(runs)(*ARGUMENTS.get(name, ()))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_use_does_not_grow_with_python_objects_per_value(store):
    from qualia_lab.selection import Query

    run_ids = store.read_runs(Query()).column("run_id").to_pylist()
    first, few, many = (store.read(run_ids[:count]) for count in (200, 2_000, 4_500))
    for name in ALLOWED:
        _peak(Runs(store, first), name)  # imports and fills caches
    # New runs each time: a study is cached in the runs.
    taken = {name: (_peak(Runs(store, many), name) - _peak(Runs(store, few), name)) / 2_500 for name in ALLOWED}
    assert {name: bytes_ for name, bytes_ in taken.items() if bytes_ > ALLOWED[name]} == {}
