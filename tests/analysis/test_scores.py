"""One number per run: against MLflow's definition of the latest value, the rest computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qualia_lab.analysis.scores import needs_history, scores
from qualia_lab.errors import QualiaLabError
from qualia_lab.schema import METRIC_HISTORY
from qualia_lab.tables import table_of

from .test_groups import runs_with

INFINITE = 1.7976931348623157e308


def history(*points):
    """Points (run, step, timestamp, value) as schema.METRIC_HISTORY, with one of another metric."""
    rows = [
        {"run_id": f"run{run}", "key": "auc", "step": step, "timestamp": time, "value": value}
        for run, step, time, value in points
    ]
    return table_of(METRIC_HISTORY, [*rows, {**rows[0], "key": "other", "value": 99.0}])


TABLES = runs_with([({}, {"auc": 0.4}), ({}, {"auc": math.nan}), ({}, {"auc": INFINITE}), ({}, {}), ({}, {"auc": 0.2})])
POINTS = history(
    (0, 2, 30, 0.4), (0, 0, 10, 0.1), (0, 1, 20, 0.9), (0, 1, 19, 0.95),
    (1, 0, 10, 0.3), (1, 1, 20, math.nan),
    (2, 0, 10, 0.8), (2, 1, 20, INFINITE),
    (4, 5, 10, math.nan),
)  # fmt: skip


@pytest.mark.parametrize(
    ("statistic", "values", "not_finite"),
    [
        ("last", {"run0": 0.4, "run4": 0.2}, ("run1", "run2")),
        ("first", {"run0": 0.1, "run1": 0.3, "run2": 0.8}, ("run4",)),
        ("min", {"run0": 0.1, "run1": 0.3, "run2": 0.8}, ("run4",)),
        ("max", {"run0": 0.95, "run1": 0.3, "run2": 0.8}, ("run4",)),
        ("at:1", {"run0": 0.9}, ("run1", "run2")),
        ("at:0", {"run0": 0.1, "run1": 0.3, "run2": 0.8}, ()),
    ],
)
def test_every_statistic_reports_values_and_missing_ones(statistic, values, not_finite):
    found = scores(TABLES, "auc", statistic, POINTS)
    assert dict(found.values) == values
    assert found.not_finite == not_finite
    assert sorted([*found.values, *found.not_finite, *found.without]) == sorted(TABLES.run_ids)


def test_best_follows_the_direction_and_is_refused_without_one():
    assert scores(TABLES, "auc", "best", POINTS, True).values == scores(TABLES, "auc", "max", POINTS).values
    assert scores(TABLES, "auc", "best", POINTS, False).values == scores(TABLES, "auc", "min", POINTS).values
    with pytest.raises(QualiaLabError, match="Whether more of auc is better is not known"):
        scores(TABLES, "auc", "best", POINTS)


@pytest.mark.parametrize("word", ["mean", "at:", "at:x", "", "LAST"])
def test_an_unknown_statistic_is_refused_with_the_known_ones(word):
    with pytest.raises(QualiaLabError, match=r"The statistics are last, best, min, max, first, and at:STEP"):
        needs_history(word)


def test_long_histories_match_a_loop():
    generator = np.random.default_rng(1)
    points = [(run, int(step), int(step), float(generator.normal())) for run in range(5) for step in range(50)]
    tables = runs_with([({}, {"auc": 0.0})] * 5)
    shuffled = [points[place] for place in generator.permutation(len(points))]
    for statistic, pick in (("min", min), ("max", max)):
        found = scores(tables, "auc", statistic, history(*shuffled))
        assert found.values == {f"run{run}": pick(v for r, _, _, v in points if r == run) for run in range(5)}
