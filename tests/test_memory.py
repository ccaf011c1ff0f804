"""What very many runs take in memory: columns, and no Python objects for each of their params, metrics and points."""

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

# Bytes of Python objects and of numbers that one more run adds to the peak of a call: half as much again as was
# measured. A dict of the run's twenty params alone would be 1,200.
ALLOWED = {
    "findings": 5_300,  # the study is described for them
    "params_that_differ": 600,
    "plot.history": 620,
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
    intervals._known.clear()  # or those of the few runs would be there already, and those of the many not
    gc.collect()
    tracemalloc.start()
    try:
        attrgetter(name)(runs)(*ARGUMENTS.get(name, ()))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_call_makes_python_objects_for_every_value_of_every_run(store):
    from qualia_lab.selection import Query

    run_ids = store.read_runs(Query()).column("run_id").to_pylist()
    few, many = (store.read(run_ids[:count]) for count in (2_000, 4_500))
    for name in ALLOWED:
        _peak(Runs(store, few), name)
    # Each time on new runs: those asked before hold their study.
    taken = {name: (_peak(Runs(store, many), name) - _peak(Runs(store, few), name)) / 2_500 for name in ALLOWED}
    assert {name: bytes_ for name, bytes_ in taken.items() if bytes_ > ALLOWED[name]} == {}
