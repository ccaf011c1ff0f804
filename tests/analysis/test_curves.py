"""Curves: their x axis, smoothing and bands, against pandas, scipy and manual computations."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qualia_lab import schema
from qualia_lab.analysis.curves import Curve, Curves, align, as_drawn, smooth, usual_range
from qualia_lab.analysis.groups import short_labels
from qualia_lab.analysis.histories import reduce_points
from qualia_lab.analysis.seed_bands import seed_bands
from qualia_lab.inventory import take_inventory
from qualia_lab.study import describe_study
from qualia_lab.tables import run_tables, table_of
from tests.charts.sample import history


def joined(*tables):
    return table_of(schema.METRIC_HISTORY, [row for table in tables for row in table.to_pylist()])


def curves(points, unit="step"):
    return Curves(
        "loss",
        "step",
        unit,
        tuple(Curve(run, np.array(x, float), np.array(y, float)) for run, (x, y) in points.items()),
    )


def test_relative_time_starts_per_run_and_wall_time_at_the_first_run():
    table = history({"a": [(0, 60_000, 1.0), (5, 120_000, 2.0)], "b": [(9, 90_000, 3.0), (2, 960_000, 4.0)]})
    relative = align(table, ["a", "b"], "val_loss", "relative")
    assert (relative.unit, [one.x.tolist() for one in relative.curves]) == ("min", [[0, 1], [0, 14.5]])
    assert relative.curves[1].y.tolist() == [3.0, 4.0]  # in the order of time, not of steps
    wall = align(table, ["a", "b"], "val_loss", "time")
    assert (wall.start, [one.x.tolist() for one in wall.curves]) == (60_000, [[0, 1], [0.5, 15]])


def test_x_of_another_metric_is_its_last_value_at_the_same_step():
    epoch = history(
        {
            "a": [(0, 1, 0.5), (10, 2, 1.0), (10, 3, 2.0), (20, 4, math.nan)],
            "b": [(0, 1, 3.0), (1, 1, 1.0)],
            "c": [(7, 1, 1.0)],
        },
        "epoch",
    )
    loss = history({"a": [(0, 1, 9.0), (10, 2, 8.0), (15, 2, 7.0), (20, 2, 6.0)], "b": [5.0, 4.0], "c": [1.0]}, "loss")
    found = align(joined(epoch, loss), ["a", "b", "c"], "loss", "epoch")
    assert found.unit == "metric"
    assert [(one.run_id, one.x.tolist(), one.y.tolist()) for one in found.curves] == [
        ("a", [0.5, 2.0], [9.0, 8.0]),
        ("b", [1.0, 3.0], [4.0, 5.0]),  # in the order of x
    ]
    assert found.unplaced == 3  # a at 15 (no epoch) and at 20 (NaN), c at 0
    assert align(loss, ["a"], "loss", "epoch").curves == ()


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    st.floats(0.01, 0.99),
)
def test_smoothing_of_even_points_matches_pandas(values, weight):
    y = np.array(values)
    actual = smooth(np.arange(len(y), dtype=float), y, weight)
    expected = pd.Series(y).ewm(alpha=1 - weight, adjust=True).mean().to_numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-6)


def test_smoothing_of_uneven_points_matches_pandas_with_times():
    source = np.random.default_rng(3)
    x = np.cumsum(source.integers(1, 50, 200)).astype(float)
    y = source.normal(size=200)
    times = pd.to_datetime(x, unit="s")
    halflife = pd.Timedelta(seconds=10)  # so that 0.5 is the weight of a distance of 10
    expected = pd.Series(y).ewm(halflife=halflife, times=times).mean().to_numpy()
    np.testing.assert_allclose(smooth(x, y, 0.5, 10.0), expected, rtol=1e-9)


def test_smoothing_keeps_non_finite_values_and_the_recorded_last_value():
    y = np.array([1.0, math.nan, 3.0, math.inf, 5.0])
    smoothed = smooth(np.arange(5.0), y, 0.9)
    assert math.isnan(smoothed[1])
    assert smoothed[3] == math.inf
    assert 1.0 < smoothed[2] < 3.0
    (series,) = as_drawn(curves({"a": (range(5), y)}), smoothed=0.9).series
    assert series.last == 5.0  # reported numbers are never smoothed
    assert series.y[-1] < 5.0


def test_smoothing_of_equal_x_and_of_a_single_point():
    assert smooth(np.zeros(3), np.array([1.0, 2.0, 3.0]), 0.5).tolist() == [1.0, 1.5, 2.0]
    (series,) = as_drawn(curves({"a": ([3], [7.0])}), smoothed=0.5).series
    assert series.y.tolist() == [7.0]


@given(st.lists(st.floats(), min_size=1, max_size=3000), st.integers(4, 200))
def test_downsampling_keeps_ends_and_extremes_and_counts_non_finite_values(values, most):
    table = history({"a": values})
    (series,) = as_drawn(align(table, ["a"], "val_loss"), most_points=most).series
    numbers = np.array(values)
    # MLflow's SQL stores represent infinity by the largest double.
    finite = np.isfinite(numbers) & (np.abs(numbers) < 1.79e308)
    assert series.recorded == len(values)
    assert series.odd == (~finite).sum()
    assert len(series.x) <= max(most, 4)
    assert (series.x[0], series.x[-1]) == (0, len(values) - 1)
    if finite.any():
        assert np.nanmax(series.y) == numbers[finite].max()
        assert np.nanmin(series.y) == numbers[finite].min()
    assert series.last == numbers[-1] if finite[-1] else math.isnan(series.last)
    if not finite.all():
        odd = np.flatnonzero(~finite)
        assert {series.odd_x[0], series.odd_x[-1]} == {odd[0], odd[-1]}


@given(st.lists(st.floats(-10, 10) | st.just(math.nan), min_size=1, max_size=500), st.integers(4, 50))
def test_downsampling_is_idempotent(values, most):
    y = np.array(values)
    once = y[reduce_points(y, most)]
    np.testing.assert_array_equal(once[reduce_points(once, most)], once)


def test_a_band_on_shared_steps_has_mean_range_and_n_per_step():
    found = curves(
        {
            "a": ([0, 1, 2], [1.0, 2.0, 3.0]),
            "b": ([0, 1], [3.0, 6.0]),
            "c": ([0, 1, 2], [5.0, math.nan, 9.0]),
            "lonely": ([0, 2], [7.0, 8.0]),
        }
    )
    bands = seed_bands(found, [("a", "b", "c"), ("lonely", "silent"), ("silent",)])
    first, second = bands.bands
    assert (bands.bucketed, bands.spread) == (False, "range")
    assert (first.x.tolist(), first.n.tolist()) == ([0, 1, 2], [3, 2, 2])
    assert first.middle.tolist() == [3.0, 4.0, 6.0]
    assert (first.low.tolist(), first.high.tolist()) == ([1, 2, 3], [5, 6, 9])
    assert (first.recorded, first.odd, first.last) == (3, 1, 6.0)
    assert (second.place, second.recorded, second.n.tolist()) == (1, 1, [1, 1])
    assert np.isnan(second.low).all()  # one run has no spread
    middle = seed_bands(found, [("a", "b", "c")], middle="median", spread="interval")
    assert (middle.bands[0].middle.tolist(), middle.spread) == ([3.0, 4.0, 6.0], "range")


def test_a_band_of_five_runs_is_students_interval_from_three_values_on():
    source = np.random.default_rng(5)
    values = source.normal(size=(5, 4))
    values[:2, 2] = math.nan
    values[:3, 3] = math.nan
    found = curves({str(row): (range(4), values[row]) for row in range(5)})
    band = seed_bands(found, ["01234"]).bands[0]
    assert band.n.tolist() == [5, 5, 3, 2]
    for step in range(3):
        finite = values[:, step][np.isfinite(values[:, step])]
        low, high = stats.t.interval(0.95, len(finite) - 1, finite.mean(), stats.sem(finite))
        assert (band.low[step], band.high[step]) == pytest.approx((low, high))
    assert math.isnan(band.low[3])


def test_unshared_steps_are_averaged_per_run_before_over_runs():
    x = np.arange(0, 40, 2)
    found = curves({"a": (x, np.ones(20)), "b": (x + 1, np.full(20, 3.0)), "c": ([x[0]] * 30, [8.0] * 30)})
    bands = seed_bands(found, [("a", "b", "c")])
    (band,) = bands.bands
    assert bands.bucketed
    assert len(band.x) < 20
    assert band.n.tolist() == [3] + [2] * (len(band.x) - 1)
    # The thirty points of c have the weight of one run.
    assert band.middle.tolist() == [4.0] + [2.0] * (len(band.x) - 1)


def test_many_shared_steps_are_merged_into_equal_buckets():
    source = np.random.default_rng(7)
    values = source.normal(size=(3, 1000))
    found = curves({name: (range(1000), row) for name, row in zip("abc", values, strict=True)})
    bands = seed_bands(found, ["abc"], most_buckets=100)
    (band,) = bands.bands
    assert (bands.bucketed, bands.buckets, len(band.x)) == (True, 100, 100)
    np.testing.assert_allclose(band.middle, values.reshape(3, 100, 10).mean(axis=2).mean(axis=0))
    np.testing.assert_allclose(band.x, np.arange(1000).reshape(100, 10).mean(axis=1))


def test_seeds_that_stop_early_share_their_steps():
    found = curves({"a": (range(100), [1.0] * 100), "b": (range(10), [2.0] * 10), "c": (range(10), [3.0] * 10)})
    bands = seed_bands(found, ["abc"])
    assert not bands.bucketed
    assert bands.bands[0].n.tolist() == [3] * 10 + [1] * 90


@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.lists(st.tuples(st.integers(0, 300), st.floats(-1e300, 1e300) | st.just(math.nan)), min_size=1, max_size=40),
        min_size=1,
    )
)
def test_bands_stay_within_the_recorded_values(points):
    found = curves({run: ([x for x, _ in sorted(rows)], [y for _, y in sorted(rows)]) for run, rows in points.items()})
    everything = np.concatenate([one.y[np.isfinite(one.y)] for one in found.curves])
    for band in seed_bands(found, ["abc", "def"], most_buckets=20).bands:
        assert (band.n >= 1).all()
        assert (band.n <= band.recorded).all()
        assert (np.diff(band.x) > 0).all()
        if not len(band.x):
            continue
        inside = np.isfinite(band.middle)
        slack = 1e-9 * np.abs(band.middle[inside])
        assert (band.middle[inside] <= everything.max() + slack).all()
        assert (band.middle[inside] >= everything.min() - slack).all()


def test_fences_exclude_one_diverging_run_and_keep_a_common_start():
    usual = [np.array([100.0, 1.0 + place / 10, 0.5]) for place in range(8)]
    assert usual_range(usual) is None
    low, high = usual_range([*usual, np.array([100.0, 3e7])])
    assert low < 0.5 < 100.0 < high < 1000
    assert usual_range([np.array([1.0]), np.array([2.0]), np.array([1e9])]) is None  # three runs are too few


def test_labels_use_the_few_params_that_distinguish_configurations():
    settings = {
        "a": {"lr": "0.1", "depth": "2", "model": "mlp", "same": "x"},
        "b": {"lr": "0.1", "depth": "3", "model": "mlp", "same": "x"},
        "c": {"lr": "0.2", "model": "gbm", "same": "x"},
    }
    rows = [
        {"run_id": run, "key": key, "value": value} for run, keys in settings.items() for key, value in keys.items()
    ]
    tables = run_tables(
        runs=table_of(schema.RUNS, [{"run_id": run} for run in settings]), params=table_of(schema.PARAMS, rows)
    )
    found = describe_study(tables, take_inventory(tables)).configurations
    assert found[0].label == "depth=2, lr=0.1"  # model is tied to them
    labels = list(short_labels(found).values())
    assert [label.rpartition("depth=")[2] for label in labels[:2]] == ["2", "3"]
    assert len(set(labels)) == 3
    assert short_labels([]) == {}
