"""Spreads of seeds and configurations, and seeds that collapse."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.spread_compare import collapsed_seeds, seed_spread


def test_the_share_matches_the_intraclass_correlation():
    groups = np.random.default_rng(0).normal([[0.0], [1.0], [3.0], [0.5]], 1.0, (4, 5))
    found = seed_spread(groups)
    f = stats.f_oneway(*groups).statistic
    assert found.share == pytest.approx((f - 1) / (f - 1 + 5))
    assert found.between_seeds == pytest.approx(np.sqrt(groups.var(axis=1, ddof=1).mean()))
    largest = f / stats.f.ppf(0.05, 3, 16)
    assert found.upper == pytest.approx((largest - 1) / (largest + 4))


@pytest.mark.parametrize("deviation", [0.0, 0.5, 1.0, 2.0])
def test_the_upper_bound_of_the_share_has_95_percent_coverage(deviation):
    generator = np.random.default_rng(9)
    true = deviation**2 / (1 + deviation**2)
    covered = 0
    for _ in range(1500):
        groups = generator.normal(generator.normal(0, deviation, 8)[:, None], 1.0, (8, 4))
        covered += seed_spread(groups).upper >= true
    assert covered / 1500 >= 0.935


def test_seeds_vary_more_only_where_configurations_are_level():
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
def test_a_collapsed_seed_is_found(better):
    values, configurations, seeds = runs(np.random.default_rng(3))
    values[6] = 0.1
    sign = 1 if better == "higher" else -1
    found = collapsed_seeds([sign * one for one in values], configurations, seeds, better)
    assert [(one.row, one.in_others) for one in found] == [(6, 3)]
    assert found[0].deviations > 20
    assert found[0].others == pytest.approx(sign * 0.82, abs=0.02)
    other = "lower" if better == "higher" else "higher"
    assert collapsed_seeds([sign * one for one in values], configurations, seeds, other) == []


def test_bad_seeds_and_noisy_seeds_are_not_reported_as_collapsed():
    values, configurations, seeds = runs(np.random.default_rng(4), 6, 5)
    everywhere = [0.1 if seed == 2 else value for value, seed in zip(values, seeds, strict=True)]
    assert collapsed_seeds(everywhere, configurations, seeds, "higher") == []
    generator = np.random.default_rng(5)
    claims = [bool(collapsed_seeds(*runs(generator, 4, 3), "higher")) for _ in range(500)]
    assert np.mean(claims) <= 0.01
    assert collapsed_seeds([0.8, 0.81, 0.1], ["a"] * 3, [0, 1, 2], "higher") == []


def test_collapsed_seeds_are_those_that_all_differences_give():
    generator = np.random.default_rng(8)
    found = []
    for distance in np.linspace(3, 14, 60):
        values, configurations, seeds = runs(generator, 6, 5)
        values[7] = np.median(values[5:7] + values[8:10]) - distance * 0.01
        rows = -np.reshape(values, (6, 5))
        spread = np.median([abs(a - b) for row in rows for a, b in combinations(row, 2)]) / 0.674490 / np.sqrt(2)
        others = np.array([[np.median(np.delete(row, at)) for at in range(5)] for row in rows])
        expected = np.flatnonzero((rows - others).ravel() / spread > 8).tolist()
        assert [one.row for one in collapsed_seeds(values, configurations, seeds, "higher")] == expected
        found.append(bool(expected))
    assert 10 < sum(found) < 50
