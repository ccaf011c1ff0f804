"""Charts of metric histories, as used in a notebook."""

import pytest

from qualia_lab import QualiaLabError, load_runs
from qualia_lab.runs import Runs
from qualia_lab.runs.last_histories import LastHistories
from qualia_lab.stores.open import open_store


class Counted:
    """A real store that counts what is read."""

    def __init__(self, store):
        self._store = store
        self.asked = []

    def __getattr__(self, name):
        return getattr(self._store, name)

    def read_metric_history(self, run_ids, keys=None):
        self.asked.append(tuple(keys) if keys is not None else None)
        return self._store.read_metric_history(run_ids, keys)


@pytest.fixture
def counted(demo_store):
    from qualia_lab.selection import Query

    store = Counted(open_store(demo_store))
    ids = store.read_runs(Query()).column("run_id").to_pylist()
    return store, Runs(store, store.read(ids))


def test_a_history_is_read_once_for_several_charts(counted):
    store, runs = counted
    runs.plot.history("val_loss")
    runs.plot.history("val_loss", columns=1, smooth=0.5)
    runs.plot.bands("val_loss")
    runs.plot.history("train_loss", by="val_loss")
    runs.history(["train_loss", "val_loss"])
    single = [keys for keys in store.asked if len(keys) == 1]
    assert single == [("val_loss",), ("train_loss",)]
    so_far = len(store.asked)  # includes the histories read to find diverged runs
    runs.plot.bands("val_auc")
    assert store.asked[so_far:] == [("val_auc",)]


def test_missing_histories_are_read_in_one_query_in_order(counted):
    store, runs = counted
    both = runs._loaded.history(["val_loss", "val_auc"])
    assert store.asked == [("val_loss", "val_auc")]
    assert both.column("key").unique().to_pylist() == ["val_loss", "val_auc"]
    alone = [LastHistories(store).read(list(runs), [key]).to_pylist() for key in ("val_loss", "val_auc")]
    assert repr(both.to_pylist()) == repr(alone[0] + alone[1])  # compared as text, because NaN is not equal to itself


def test_the_history_cache_is_bounded_and_evicts_the_oldest(counted):
    store, runs = counted
    ids = list(runs)
    size = {key: runs._loaded.history(key).nbytes for key in ("val_loss", "train_loss", "val_auc")}
    kept = LastHistories(store, most_bytes=size["val_loss"] + max(size["train_loss"], size["val_auc"]))
    store.asked.clear()
    for key in ("val_loss", "train_loss", "val_loss", "val_auc", "val_loss", "train_loss"):
        kept.read(ids, [key])
    assert store.asked == [("val_loss",), ("train_loss",), ("val_auc",), ("train_loss",)]
    small = LastHistories(store, most_bytes=10)
    assert small.read(ids, ["val_loss"]).num_rows == small.read(ids, ["val_loss"]).num_rows > 0
    assert len(store.asked) == 6


def test_above_twelve_runs_each_configuration_has_a_panel_unless_columns_is_1(counted):
    _, runs = counted
    chart = runs.plot.history("val_loss")
    assert len(chart.panels) > 5
    assert chart.panels[0].title.endswith("(n=3)")
    assert len(runs.plot.history("val_loss", columns=1).panels) == 1
    assert len(runs.plot.history("val_loss", limit=2).panels) == 2
    assert "1 line leaves the axes" in chart.note
    assert runs.plot.history("val_loss", log=True).panels[0].y.log


def test_up_to_twelve_runs_share_one_panel(demo_store, counted):
    _, runs = counted
    few = load_runs(f"sqlite:///{demo_store}", list(runs)[:12])
    assert len(few.plot.history("val_loss").panels) == 1
    assert len(few.plot.history("val_loss", columns=3).panels) > 1


def test_impossible_charts_give_a_message(counted):
    _, runs = counted
    with pytest.raises(QualiaLabError, match="No run recorded epochs, the requested x axis for val_loss"):
        runs.plot.history("val_loss", by="epochs")
    for smooth in (1, -0.1):
        with pytest.raises(QualiaLabError, match="is out of range"):
            runs.plot.history("val_loss", smooth=smooth)


def test_system_metrics_are_found_by_prefix(counted):
    _, runs = counted
    chart = runs.plot.system_metrics()
    assert {panel.title for panel in chart.panels} >= {"cpu utilization (%)", "gpu 0 utilization (%)"}
    assert len(runs.plot.system_metrics(["system/cpu_utilization_percentage"]).panels) == 1


def test_a_streamed_history_is_cached_if_small_and_is_unchanged(counted):
    store, runs = counted
    ids = list(runs)
    whole = repr(runs._loaded.history("val_loss").to_pylist())
    for most_bytes, asked in ((10_000_000, 1), (10, 2)):
        store.asked.clear()
        kept = LastHistories(store, most_bytes=most_bytes)
        for _ in range(2):
            assert repr([row for batch in kept.stream(ids, "val_loss") for row in batch.to_pylist()]) == whole
        assert len(store.asked) == asked
