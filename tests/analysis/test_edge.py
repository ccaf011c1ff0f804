"""The edge of the searched range: found where the objective rises towards it, and not in noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.edge import edge_of

RATES = [1e-5, 1e-4, 1e-3, 1e-2]


def test_a_rising_objective_leads_at_the_end_with_the_t_test_of_the_last_step():
    generator = np.random.default_rng(6)
    levels = np.repeat(RATES, 5)
    objective = np.repeat([0.6, 0.68, 0.76, 0.84], 5) + generator.normal(0, 0.004, 20)
    found = edge_of(levels, objective, greater_is_better=True)
    assert (found.end, found.level, found.levels) == ("highest", 1e-2, 4)
    groups = objective.reshape(4, 5)
    variance = groups.var(axis=1, ddof=1).mean()
    t = (groups[3].mean() - groups[2].mean()) / np.sqrt(variance * 2 / 5)
    assert found.step_p == pytest.approx(stats.t.sf(t, 16))
    assert found.trend_p == pytest.approx(stats.spearmanr(levels, objective).pvalue)
    assert found.p < 1e-6
    mirrored = edge_of(levels, -objective, greater_is_better=False)
    assert (mirrored.end, mirrored.p, mirrored.step) == ("highest", found.p, found.step)
    assert edge_of(1 / levels, objective, greater_is_better=True).end == "lowest"


def test_a_plateau_at_the_end_is_no_edge():
    generator = np.random.default_rng(7)
    p = []
    for _ in range(200):
        objective = np.repeat([0.6, 0.8, 0.9, 0.9], 5) + generator.normal(0, 0.01, 20)
        found = edge_of(np.repeat(RATES, 5), objective, greater_is_better=True)
        p.append(1 if found is None else found.p)
    assert np.mean(np.array(p) < 0.02) <= 0.04


def test_a_peak_within_the_range_is_no_edge():
    assert edge_of(np.repeat(RATES, 3), np.repeat([0.6, 0.9, 0.7, 0.5], 3), greater_is_better=True) is None


def test_single_runs_at_eight_levels_show_a_steady_rise():
    generator = np.random.default_rng(8)
    objective = np.linspace(0.5, 0.9, 8) + generator.normal(0, 0.005, 8)
    found = edge_of(2.0 ** np.arange(8), objective, greater_is_better=True)
    assert (found.end, found.level) == ("highest", 128.0)
    assert found.p < 0.001


def test_a_random_search_is_binned():
    generator = np.random.default_rng(9)
    rate = 10 ** generator.uniform(-5, -1, 60)
    rising = np.log10(rate) / 10 + generator.normal(0, 0.03, 60)
    found = edge_of(rate, rising, greater_is_better=True)
    assert (found.end, found.levels) == ("highest", 5)
    assert found.level == rate.max()
    assert found.p < 0.01


@pytest.mark.parametrize("levels", [np.repeat(RATES, 3), np.arange(10.0), np.arange(40.0), np.repeat([1, 2, 3], 4)])
def test_noise_hardly_ever_gives_an_edge(levels):
    generator = np.random.default_rng(10)
    found = [edge_of(levels, generator.normal(size=len(levels)), greater_is_better=True) for _ in range(800)]
    assert np.mean([one is not None and one.p < 0.02 for one in found]) <= 0.015


def test_too_few_values_or_levels_give_no_edge():
    assert edge_of([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6], greater_is_better=True) is None
    assert edge_of([1, 2] * 5, [1, 2] * 5, greater_is_better=True) is None
