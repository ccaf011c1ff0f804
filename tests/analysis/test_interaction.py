"""Two factors together, against the sums of squares of the book and in noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.interaction import interaction


def layout(means, n, seed, deviation=1.0):
    generator = np.random.default_rng(seed)
    return {
        (a, b): list(generator.normal(mean, deviation, n)) for a, row in enumerate(means) for b, mean in enumerate(row)
    }


def test_f_of_a_balanced_layout_is_that_of_the_cell_means():
    cells = layout([[0, 1, 2], [1, 1, 5]], 4, seed=0)
    values = np.array([[cells[a, b] for b in range(3)] for a in range(2)])
    means = values.mean(axis=2)
    left = means - means.mean(axis=0) - means.mean(axis=1)[:, None] + means.mean()
    within = ((values - means[:, :, None]) ** 2).sum() / 18
    found = interaction(cells, greater_is_better=True)
    assert found.p == pytest.approx(stats.f.sf(4 * (left**2).sum() / 2 / within, 2, 18))
    assert found.share == pytest.approx((left**2).sum() / ((means - means.mean()) ** 2).sum())


def test_levels_that_change_places_are_found_with_the_best_of_each():
    cells = layout([[0.9, 0.7], [0.7, 0.9]], 5, seed=1, deviation=0.005)
    found = interaction({(f"lr{a}", f"bs{b}"): values for (a, b), values in cells.items()}, greater_is_better=True)
    assert found.best == (("bs0", "lr0"), ("bs1", "lr1"))
    assert max(found.p, found.crossing) < 1e-6
    assert found.share > 0.99
    lower = interaction(cells, greater_is_better=False)
    assert lower.best == ((0, 1), (1, 0))
    assert lower.crossing == pytest.approx(found.crossing)


def test_factors_that_add_up_do_not_interact_and_one_that_only_grows_does_not_cross():
    additive = [interaction(layout([[0, 5], [5, 10]], 4, seed), greater_is_better=True) for seed in range(400)]
    assert np.mean([one.p < 0.05 for one in additive]) == pytest.approx(0.05, abs=0.03)
    assert np.mean([one.crossing < 1 for one in additive]) < 0.01
    growing = interaction(layout([[0, 0], [5, 15]], 4, seed=3), greater_is_better=True)
    assert growing.p < 0.001
    assert growing.crossing == 1


def test_noise_interacts_no_more_often_than_p_says_and_crosses_hardly_ever():
    found = [interaction(layout(np.zeros((2, 3)), 3, seed), greater_is_better=True) for seed in range(800)]
    assert np.mean([one.p < 0.05 for one in found]) == pytest.approx(0.05, abs=0.025)
    assert np.mean([one.p < 0.05 and one.crossing < 0.05 for one in found]) <= 0.01


def test_empty_cells_are_left_out_and_a_layout_without_repeats_or_a_second_level_is_none():
    cells = layout([[0, 1, 2], [1, 1, 5], [1, 2, 9]], 4, seed=4)
    del cells[0, 2]
    assert interaction(cells, greater_is_better=True).p < 0.05
    assert interaction({cell: values[:1] for cell, values in cells.items()}, greater_is_better=True) is None
    assert interaction({("a", "x"): [1.0, 2.0], ("b", "x"): [1.0, 3.0]}, greater_is_better=True) is None
    diagonal = {("a", "x"): [1.0, 2.0, 3.0], ("b", "y"): [1.0, 3.0, 4.0]}
    assert interaction(diagonal, greater_is_better=True) is None
    alike = {cell: [1.0, 1.0] for cell in (("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"))}
    assert interaction(alike, greater_is_better=True) is None
