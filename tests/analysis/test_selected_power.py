"""The power of the comparison of the best of k, against simulations of the comparison itself."""

from __future__ import annotations

import numpy as np
import pytest

from qualia_lab.analysis.best_of import best_of
from qualia_lab.analysis.selected_power import detectable_among, needed_among

STORES = 400


def share_found(k, n, difference, seed):
    """The share of simulated stores where the best of k is told apart from a given rival."""
    dice = np.random.default_rng(seed)
    found = 0
    for _ in range(STORES):
        values = dice.normal(0, 1, (k, n))
        values[0] += difference
        one = best_of(values.tolist(), greater_is_better=True)
        found += one.place == 0 and any(apart.place == 1 for apart in one.apart)
    return found / STORES


@pytest.mark.parametrize(("k", "n"), [(2, 3), (2, 6), (4, 3), (6, 3), (6, 5), (12, 4)])
def test_the_detectable_difference_is_found_with_80_percent_power(k, n):
    shown = detectable_among(k, n, n, k * (n - 1))
    assert 0.72 <= share_found(k, n, shown, seed=k * 10 + n) <= 0.88


@pytest.mark.parametrize(("difference", "k"), [(1.0, 2), (2.0, 6), (1.5, 4)])
def test_the_needed_n_finds_the_difference_with_80_percent_power(difference, k):
    n = needed_among(difference, k)
    assert 0.75 <= share_found(k, n, difference, seed=n) <= 0.88
    assert detectable_among(k, n - 1, n - 1, k * (n - 2)) > difference


def test_more_rivals_need_more_repeats():
    assert needed_among(1.0, 2) < needed_among(1.0, 6) < needed_among(1.0, 20)
