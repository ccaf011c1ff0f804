"""The comparison of two levels over contexts, against scipy's tests and in noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.paired_factor import compare_all, compare_over_contexts, sign_test


def compare(pairs):
    """The comparison of two levels, given their means in each context."""
    a, b = np.array(pairs, dtype=np.float64).T
    return compare_over_contexts(a, b)


def test_a_level_worse_in_sixteen_of_eighteen_contexts_is_lower():
    generator = np.random.default_rng(0)
    base = generator.normal(0.7, 0.2, 18)
    change = np.r_[generator.uniform(-0.05, -0.01, 16), 0.01, 0.02]
    found = compare(list(zip(base + change, base, strict=True)))
    expected = stats.ttest_rel(base + change, base)
    interval = expected.confidence_interval(0.95)
    assert (found.n, found.above, found.below) == (18, 2, 16)
    assert found.difference == pytest.approx(change.mean())
    assert (found.t_p, found.low, found.high) == pytest.approx((expected.pvalue, interval.low, interval.high))
    assert found.sign_p == pytest.approx(stats.binomtest(2, 18).pvalue)
    assert found.p == found.t_p


def test_the_sign_test_decides_with_an_outlier():
    pairs = [(0.61, 0.6), (0.72, 0.7), (0.83, 0.8), (0.52, 0.5), (0.41, 0.4), (0.32, 0.3), (0.9, 0.1)]
    found = compare(pairs)
    assert found.p == found.sign_p == pytest.approx(2 / 2**7)
    assert found.t_p > 0.05


def test_comparisons_made_at_once_equal_those_made_alone():
    a, b = np.random.default_rng(1).normal(0.5, 0.1, (2, 200, 7))
    a[3, 2] = 9.0  # an outlier
    a[4] = b[4] + 0.5  # no spread
    a[5] = b[5]
    together = compare_all(a, b)
    alone = [compare_over_contexts(*pair) for pair in zip(a, b, strict=True)]
    for name in ("difference", "low", "high", "above", "below", "sign_p", "t_p", "p"):
        expected = [np.nan if getattr(one, name) is None else getattr(one, name) for one in alone]
        np.testing.assert_array_equal(getattr(together, name), expected)
    assert (alone[3].p, alone[4].t_p, alone[5].p) == (alone[3].sign_p, None, 1.0)


@pytest.mark.parametrize("n", [5, 6, 12, 40])
def test_the_error_rate_for_equal_levels_is_5_percent_even_with_heavy_tails(n):
    generator = np.random.default_rng(n)
    for draw in (generator.normal, lambda size: generator.standard_t(2, size)):
        differences = draw(size=(1500, n))
        found = compare_all(differences, np.zeros_like(differences))
        assert np.mean(found.p < 0.05) <= 0.065


def test_ties_count_for_neither_level_and_constant_differences_have_no_t():
    found = compare([(1.0, 1.0)] * 4 + [(2.0, 1.0)] * 3)
    assert (found.above, found.below, found.n) == (3, 0, 7)
    shifted = compare([(one + 0.5, one) for one in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)])
    assert (shifted.t_p, shifted.low, shifted.p) == (None, None, shifted.sign_p)
    assert sign_test(np.array([0]), np.array([0])).tolist() == [1.0]
