"""The numbers behind the charts."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.analysis.curves import align, as_drawn
from qualia_lab.analysis.distributions import as_numbers, group_by_param, latest_values, pair_up
from qualia_lab.analysis.histories import rank, reduce_points

from .sample import history, metrics, params

LARGEST = 1.7976931348623157e308


def test_a_series_keeps_repeated_steps_in_the_order_of_mlflow():
    table = history({"a": [(1, 20, 5.0), (1, 10, 7.0), (0, 99, 1.0), (1, 20, 4.0)]})
    (series,) = as_drawn(align(table, ["a"], "val_loss")).series
    assert series.x.tolist() == [0, 1, 1, 1]
    assert series.y.tolist() == [1.0, 7.0, 4.0, 5.0]
    assert series.last == 5.0


def test_only_the_requested_runs_and_metric_are_returned():
    found = as_drawn(align(history({"a": [1.0], "b": [2.0], "c": [3.0]}), ["c", "missing", "a"], "val_loss"))
    assert [(one.run_id, one.last) for one in found.series] == [("c", 3.0), ("a", 1.0)]
    assert as_drawn(align(history({"a": [1.0]}), ["a"], "other")).series == ()


def test_the_largest_double_that_sql_stores_for_infinity_is_read_as_infinity():
    table = history({"a": [1.0, LARGEST, -LARGEST, math.nan, math.inf, 2.0]})
    (series,) = as_drawn(align(table, ["a"], "val_loss")).series
    assert np.isnan(series.y).tolist() == [False, True, True, True, True, False]
    assert (series.odd, series.recorded, series.last) == (4, 6, 2.0)
    assert series.odd_x.tolist() == [1, 4]  # the ends of the stretch


def test_the_axis_is_time_if_all_steps_are_0():
    table = history({"a": [(0, 5000, 1.0), (0, 8000, 2.0)], "b": [(0, 9000, 1.0)]})
    found = as_drawn(align(table, ["a", "b"], "val_loss"))
    assert (found.unit, [one.x.tolist() for one in found.series]) == ("s", [[0.0, 3.0], [0.0]])
    assert as_drawn(align(history({"a": [(0, 5000, 1.0)]}), ["a"], "val_loss")).unit == "step"


def test_runs_are_ranked_by_last_value_and_those_without_one_come_last():
    found = as_drawn(align(history({"a": [1.0, 3.0], "b": [math.nan], "c": [9.0, 2.0]}), ["a", "b", "c"], "val_loss"))
    assert [one.run_id for one in rank(found, greater_is_better=True)] == ["a", "c", "b"]
    assert [one.run_id for one in rank(found, greater_is_better=False)] == ["c", "a", "b"]
    assert [one.run_id for one in rank(found, greater_is_better=None)] == ["a", "c", "b"]


@given(st.lists(st.floats(allow_infinity=False), min_size=1, max_size=400), st.integers(4, 60))
def test_reducing_keeps_ends_and_extremes_within_the_limit(values, most):
    y = np.array(values, dtype=np.float64)
    indices = reduce_points(y, most)
    assert len(indices) <= most
    assert indices[0] == 0
    assert indices[-1] == len(y) - 1
    assert (np.diff(indices) > 0).all()
    if not np.isnan(y).all():
        assert np.nanmax(y[indices]) == np.nanmax(y)
        assert np.nanmin(y[indices]) == np.nanmin(y)


def test_a_long_series_is_reduced_and_has_its_recorded_length():
    values = [math.sin(step / 500) for step in range(20_000)]
    values[12_345] = 99.0
    (series,) = as_drawn(align(history({"a": values}), ["a"], "val_loss")).series
    assert len(series.x) <= 1000
    assert series.recorded == 20_000
    assert series.reduced
    assert series.y.max() == 99.0


def test_params_are_numbers_only_when_all_are():
    assert as_numbers(["1", "1e-3", " 2.5 "]) == (1.0, 0.001, 2.5)
    for texts in (["1", "adam"], ["nan"], ["inf"], ["1_000"], ["True"], [""]):
        assert as_numbers(texts) is None


def test_groups_merge_spellings_of_a_number_and_are_sorted_by_it():
    pairs = pair_up(
        params({"a": "10", "b": "9", "c": "1e1"}),
        metrics({"a": 1.0, "b": 2.0, "c": 3.0}),
        ["a", "b", "c"],
        "lr",
        "val_auc",
    )
    assert [(group.value, group.run_ids, group.metric) for group in group_by_param(pairs)] == [
        ("9", ("b",), (2.0,)),
        ("10", ("a", "c"), (1.0, 3.0)),
    ]


def test_runs_without_a_param_or_metric_are_counted():
    values = {"a": 1.0, "b": math.nan, "c": LARGEST, "e": 4.0}
    pairs = pair_up(params({"a": "x", "b": "x", "c": "x", "d": "x"}), metrics(values), list("abcdef"), "lr", "val_auc")
    assert pairs.run_ids == ("a",)
    assert (pairs.without_param, pairs.without_metric, pairs.not_finite) == (2, 1, 2)
    assert latest_values(metrics(values), ["c"], "val_auc") == {"c": math.inf}
