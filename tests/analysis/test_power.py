"""Detectable differences, against simulations, Cohen's tables and the noncentral t distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.power import detectable, spread_nodes, welch_power


@pytest.mark.parametrize(("d", "n"), [(0.2, 393), (0.5, 64), (0.8, 26)])
def test_the_detectable_difference_matches_cohens_tables(d, n):
    # Cohen 1988, table 2.4.1: n a side for a power of 0.80 at two-sided 5 %. (0.20 is 394 by the exact computation.)
    assert detectable(n + 1, n + 1) <= d <= detectable(n - 1, n - 1)


@pytest.mark.parametrize("sizes", [(1, 2), (3, None), (2, None), (10, None), (2000, 2000)])
def test_the_detectable_difference_matches_the_noncentral_t(sizes):
    n, m = sizes
    degrees, error = (n - 1, 1 / math.sqrt(n)) if m is None else (n + m - 2, math.sqrt(1 / n + 1 / m))
    shift = detectable(n, m) / error
    assert stats.nct.sf(stats.t.ppf(0.975, degrees), degrees, shift) == pytest.approx(0.8, abs=2e-3)


@pytest.mark.parametrize(
    "sizes", [(2, 2), (3, 3), (4, 4), (5, 5), (7, 7), (10, 10), (20, 20), (3, 12), (2, 6), (20, 4)]
)
def test_welchs_test_finds_the_detectable_difference_with_80_percent_power(sizes):
    n, m = sizes
    generator = np.random.default_rng(n * 100 + m)
    a, b = generator.normal(detectable(n, m), 1, (20_000, n)), generator.normal(0, 1, (20_000, m))
    found = stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.012)  # four standard errors


def test_the_power_without_a_difference_is_the_significance_level():
    assert welch_power(0, 50, 50) == pytest.approx(0.05, abs=5e-4)
    assert welch_power(0, 3, 3) < 0.05  # Welch's test is conservative for so few values


def test_spread_nodes_match_the_chi_distribution():
    for degrees in (1, 4, 30):
        spreads, weights = spread_nodes(degrees)
        assert weights @ spreads**2 == pytest.approx(1, rel=1e-6)
        assert weights @ spreads == pytest.approx(stats.chi(degrees).mean() / math.sqrt(degrees), rel=1e-6)
