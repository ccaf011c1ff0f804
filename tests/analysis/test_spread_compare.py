"""Spreads of seeds and configurations, seeds that collapse, and metrics that tell nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.spread_compare import collapsed_seeds, end_of_metric, held_out_ahead, seed_spread


def test_the_share_of_configurations_is_the_intraclass_correlation_of_the_analysis_of_variance():
    groups = np.random.default_rng(0).normal([[0.0], [1.0], [3.0], [0.5]], 1.0, (4, 5))
    found = seed_spread(groups)
    f = stats.f_oneway(*groups).statistic
    assert found.share == pytest.approx((f - 1) / (f - 1 + 5))
    assert found.between_seeds == pytest.approx(np.sqrt(groups.var(axis=1, ddof=1).mean()))
    largest = f / stats.f.ppf(0.05, 3, 16)
    assert found.upper == pytest.approx((largest - 1) / (largest + 4))


@pytest.mark.parametrize("deviation", [0.0, 0.5, 1.0, 2.0])
def test_the_upper_bound_of_the_share_holds_in_95_percent_of_draws(deviation):
    generator = np.random.default_rng(9)
    true = deviation**2 / (1 + deviation**2)
    held = 0
    for _ in range(1500):
        groups = generator.normal(generator.normal(0, deviation, 8)[:, None], 1.0, (8, 4))
        held += seed_spread(groups).upper >= true
    assert held / 1500 >= 0.935


def test_seeds_vary_more_where_configurations_are_level_and_not_where_they_differ():
    generator = np.random.default_rng(2)
    level = [seed_spread(generator.normal(size=(12, 5))).seeds_vary_more for _ in range(200)]
    apart = [
        seed_spread(generator.normal(generator.normal(0, 1.5, 12)[:, None], 1, (12, 5))).seeds_vary_more
        for _ in range(200)
    ]
    assert np.mean(level) > 0.9
    assert np.mean(apart) < 0.05
    assert seed_spread([[1.0, 2.0], [3.0, 1.0]]) is None
    assert seed_spread([[1.0] * 5, [2.0] * 5]) is None


def runs(generator, configurations=4, seeds=4):
    names = [(c, s) for c in range(configurations) for s in range(seeds)]
    values = [0.8 + 0.02 * c + generator.normal(0, 0.01) for c, _ in names]
    return values, [c for c, _ in names], [s for _, s in names]


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_the_one_seed_that_collapses_is_found(better):
    values, configurations, seeds = runs(np.random.default_rng(3))
    values[6] = 0.1
    sign = 1 if better == "higher" else -1
    found = collapsed_seeds([sign * one for one in values], configurations, seeds, better)
    assert [(one.row, one.in_others) for one in found] == [(6, 3)]
    assert found[0].deviations > 20
    assert found[0].others == pytest.approx(sign * 0.82, abs=0.02)
    other = "lower" if better == "higher" else "higher"
    assert collapsed_seeds([sign * one for one in values], configurations, seeds, other) == []


def test_a_seed_that_is_bad_everywhere_and_seeds_of_noise_do_not_collapse():
    values, configurations, seeds = runs(np.random.default_rng(4), 6, 5)
    everywhere = [0.1 if seed == 2 else value for value, seed in zip(values, seeds, strict=True)]
    assert collapsed_seeds(everywhere, configurations, seeds, "higher") == []
    generator = np.random.default_rng(5)
    claims = [bool(collapsed_seeds(*runs(generator, 4, 3), "higher")) for _ in range(500)]
    assert np.mean(claims) <= 0.01
    assert collapsed_seeds([0.8, 0.81, 0.1], ["a"] * 3, [0, 1, 2], "higher") == []


@pytest.mark.parametrize(
    ("values", "bounds", "chance", "end"),
    [
        ([0.5] * 6, (0.0, 1.0), None, "constant"),
        ([1.0, 1.0, 0.9999, 1.0, 1.0, 0.9995], (0.0, 1.0), None, "saturated"),
        ([100.0] * 9 + [99.0], (0.0, 100.0), None, "saturated"),
        ([1.0, 0.9, 0.8, 1.0, 1.0], (0.0, 1.0), None, None),
        ([0.5, 0.51, 0.49, 0.52, 0.48], (0.0, 1.0), "auc", "at chance"),
        ([50.0, 51.0, 49.0, 52.0, 48.0], (0.0, 100.0), "auc", "at chance"),
        ([0.5, 0.51, 0.49, 0.52, 0.58], (0.0, 1.0), "auc", None),
        ([0.5, 0.51, 0.49, 0.52, 0.48], (0.0, 1.0), None, None),  # of an accuracy the number of classes is not known
        ([-0.1, -3.0, 0.0, -0.2, -0.5], (None, 1.0), "r2", "at chance"),
        ([-0.1, -3.0, 0.1, -0.2, -0.5], (None, 1.0), "r2", None),
        ([1.0, 1.0, 1.0], (0.0, 1.0), None, None),
        ([], (0.0, 1.0), None, None),
    ],
)
def test_a_metric_that_tells_nothing_is_named(values, bounds, chance, end):
    assert end_of_metric(values, bounds, chance) == end


def test_held_out_values_far_ahead_in_every_run_are_found_and_those_ahead_by_less_are_not():
    training, held_out = [0.80, 0.82, 0.79, 0.81, 0.80], [0.97, 0.98, 0.96, 0.97, 0.99]
    found = held_out_ahead(training, held_out, "higher", (0.0, 1.0))
    assert (found.n, found.training, found.held_out) == (5, 0.80, 0.97)
    assert found.error == pytest.approx(0.15, abs=0.02)
    assert held_out_ahead(training, [*held_out[:4], 0.85], "higher", (0.0, 1.0)) is None
    assert held_out_ahead(training, held_out, "higher", (None, None)) is None
    assert held_out_ahead(held_out, training, "higher", (0.0, 1.0)) is None
    assert held_out_ahead([0.5] * 5, [0.2] * 5, "lower", (0.0, None)).error == pytest.approx(0.4)
    assert held_out_ahead([0.5] * 5, [0.4] * 5, "lower", (0.0, None)) is None
    assert held_out_ahead([0.5] * 4, [0.2] * 4, "lower", (0.0, None)) is None
    assert held_out_ahead([-0.5] * 5, [-0.9] * 5, "lower", (None, None)) is None
