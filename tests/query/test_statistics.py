"""Statistics of metric histories: expected values by hand, compared with the streaming and the SQL implementation."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from mlflow.entities import Metric

from qualia_lab import schema
from qualia_lab.query import Field, parse_filter, parse_order_by, select_runs
from qualia_lab.query.statistics import take_statistics
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.tables import table_of
from tests.stores.empty import new_client

NAN, INF, LARGEST = math.nan, math.inf, 1.7976931348623157e308
# The points of one metric of one run as (step, ms, value), and the expected statistics.
HISTORIES = {
    "falls": ([(0, 0, 3.0), (1, 1, 1.0), (2, 2, 2.0)], {"min": 1, "max": 3, "mean": 2, "first": 3, "at(1)": 1}),
    "one nan": ([(0, 0, NAN), (1, 1, 4.0), (2, 2, 2.0)], {"min": 2, "max": 4, "mean": 3, "first": NAN, "at(1)": 4}),
    "only nan": ([(0, 0, NAN), (5, 1, NAN)], {"min": NAN, "max": NAN, "mean": NAN, "first": NAN, "at(1)": None}),
    "negative": ([(-2, 9, -1.0), (1, 0, -3.0)], {"min": -3, "max": -1, "mean": -2, "first": -1, "at(1)": -3}),
    "repeated": (
        [(1, 5, 8.0), (1, 7, 2.0), (1, 7, 5.0)],
        {"min": 2, "max": 8, "mean": 5, "first": 8, "at(1)": 5},
    ),
    "infinite": (
        [(0, 0, INF), (1, 1, INF), (2, 2, LARGEST)],
        {"min": LARGEST, "max": LARGEST, "mean": LARGEST, "first": LARGEST, "at(1)": LARGEST},
    ),
    "both ways": ([(0, 0, INF), (1, 1, -INF)], {"min": -LARGEST, "max": LARGEST, "mean": 0, "first": LARGEST}),
    "huge": ([(0, 0, 1.5e308), (1, 1, 1.5e308)], {"min": 1.5e308, "mean": 1.5e308}),
    "never": ([], {"min": None, "max": None, "mean": None, "first": None, "at(1)": None}),
}


def field_of(statistic: str) -> Field:
    return parse_order_by([f"metrics.m.{statistic}"])[0].field


def batches_of(points: list[tuple[int, int, float]], size: int) -> list[pa.RecordBatch]:
    rows = [{"run_id": "r", "key": "m", "step": s, "timestamp": t, "value": v} for s, t, v in points]
    return table_of(schema.METRIC_HISTORY, rows).to_batches(max_chunksize=size)


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("name", HISTORIES)
def test_statistics_do_not_depend_on_the_batch_size(name, size):
    points, expected = HISTORIES[name]
    fields = [field_of(statistic) for statistic in expected]
    statistics = take_statistics(batches_of(points, size), fields)
    actual = {statistic: statistics[field].get("r") for statistic, field in zip(expected, fields, strict=True)}
    assert actual == pytest.approx(expected, nan_ok=True)


@pytest.fixture(scope="module")
def store_uri(tmp_path_factory):
    """The URI of a SQLite store with one run for each history."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('statistics') / 'mlflow.db'}"
    client = new_client(uri)
    experiment = client.create_experiment("histories", artifact_location="file:///nowhere")
    for name, (points, _) in HISTORIES.items():
        run_id = client.create_run(experiment, run_name=name).info.run_id
        client.log_batch(run_id, metrics=[Metric("m", value, 1000 + ms, step) for step, ms, value in points])
    return uri


def names(store, text: str, *order_by: str) -> list[str]:
    return store.read_runs(Query(filter=text, order_by=order_by)).column("run_name").to_pylist()


def test_statistics_in_a_database(store_uri):
    store = open_store(store_uri)
    for name, (_, expected) in HISTORIES.items():
        for statistic, value in expected.items():
            field = f"metrics.m.{statistic}"
            if value is None:
                texts = [f"{field} IS NULL", f"NOT {field} != 0"]
            elif math.isnan(value):
                texts = [f"{field} IS NOT NULL AND {field} != 0 AND NOT {field} >= 0 AND NOT {field} <= 0"]
            else:
                texts = [f"{field} = {value!r}".replace("e+", "e"), f"{field} IN (77, {value!r})".replace("e+", "e")]
            for text in texts:
                assert name in names(store, text), text


def test_nan_and_missing_values_sort_last_in_both_directions(store_uri):
    store = open_store(store_uri)
    rising = names(store, "", "metrics.m.min", "run_name")
    falling = names(store, "", "metrics.m.min DESC", "run_name")
    assert rising == [
        *("both ways", "negative", "falls", "one nan", "repeated", "huge", "infinite"), "only nan", "never"
    ]  # fmt: skip
    assert falling == [
        *("infinite", "huge", "one nan", "repeated", "falls", "negative", "both ways"), "only nan", "never"
    ]  # fmt: skip


def test_last_is_the_latest_value_of_a_metric(store_uri):
    store = open_store(store_uri)
    assert names(store, "metrics.m.last = 2") == names(store, "metrics.m = 2") == ["one nan", "falls"]


def test_histories_are_read_only_for_runs_that_can_still_match(store_uri):
    store = open_store(store_uri)
    tables = store.read(store.read_runs(Query()).column("run_id").to_pylist())
    reads = []

    def read_history(run_ids, keys):
        reads.append((len(run_ids), list(keys)))
        return store.read_metric_history(run_ids, keys)

    condition = parse_filter("run_name IN ('falls', 'huge') AND (metrics.m.max > 5 OR metrics.other.min > 1)")
    assert len(select_runs(condition, (), tables, read_history)) == 1
    assert reads == [(2, ["m", "other"])]
    no_match = parse_filter("run_name = 'nobody' AND metrics.m.max > 5")
    assert select_runs(no_match, (), tables, read_history) == []
    assert len(reads) == 1


def test_all_statistics_of_a_metric_are_computed_in_one_select():
    """One SELECT over the points of a metric computes all its statistics."""
    from qualia_lab.stores.sql.query import select_matching

    text = "metrics.m.min < 1 AND metrics.m.max > 2 OR metrics.m.mean > 1"
    has = frozenset({"metrics", "metrics.is_nan", "metrics.step", "latest_metrics"})
    query = Query(filter=text, order_by=("metrics.m.min",), experiment_ids=("1",))
    select = select_matching(query, dialect_name="sqlite", has=has, only_ids=True)
    assert str(select).count("FROM metrics") == 1


def test_statistics_of_a_long_history_take_constant_memory():
    """Of a million points, one batch at a time is in memory."""
    length = 50_000

    def batches():
        for number in range(20):
            steps = pa.array(np.arange(number * length, (number + 1) * length))
            columns = [pa.array(["r"] * length), pa.array(["m"] * length), steps, steps, steps.cast(pa.float64())]
            yield pa.RecordBatch.from_arrays(columns, schema=schema.METRIC_HISTORY)

    tracemalloc.start()
    statistics = take_statistics(batches(), [field_of("mean"), field_of("at(999999)")])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert statistics[field_of("mean")]["r"] == pytest.approx(499_999.5)
    assert statistics[field_of("at(999999)")]["r"] == 999_999
    assert peak < 20_000_000
