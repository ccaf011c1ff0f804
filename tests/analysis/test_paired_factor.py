"""The comparison of two levels over contexts, against scipy's tests and in noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.paired_factor import compare_over_contexts, sign_test


def test_a_level_worse_in_sixteen_of_eighteen_contexts_is_lower():
    generator = np.random.default_rng(0)
    base = generator.normal(0.7, 0.2, 18)
    change = np.r_[generator.uniform(-0.05, -0.01, 16), 0.01, 0.02]
    found = compare_over_contexts(list(zip(base + change, base, strict=True)))
    expected = stats.ttest_rel(base + change, base)
    interval = expected.confidence_interval(0.95)
    assert (found.n, found.above, found.below, found.decision) == (18, 2, 16, "lower")
    assert (found.t_p, found.low, found.high) == pytest.approx((expected.pvalue, interval.low, interval.high))
    assert found.sign_p == pytest.approx(stats.binomtest(2, 18).pvalue)
    assert (found.test, found.p) == ("paired t", found.t_p)


def test_the_sign_test_decides_with_an_outlier():
    pairs = [(0.61, 0.6), (0.72, 0.7), (0.83, 0.8), (0.52, 0.5), (0.41, 0.4), (0.32, 0.3), (0.9, 0.1)]
    found = compare_over_contexts(pairs)
    assert (found.test, found.decision) == ("sign", "higher")
    assert found.p == pytest.approx(2 / 2**7)
    assert found.t_p > 0.05


def test_a_decision_needs_five_contexts():
    generator = np.random.default_rng(1)
    pairs = [(one + 0.3 + generator.normal(0, 0.02), one) for one in (1.0, 2.0, 5.0, 9.0, 4.0)]
    assert compare_over_contexts(pairs).decision == "higher"
    assert compare_over_contexts(pairs[:4]).decision == "too few"
    assert compare_over_contexts([]) is None


@pytest.mark.parametrize("n", [5, 6, 12, 40])
def test_the_error_rate_for_equal_levels_is_5_percent_even_with_heavy_tails(n):
    generator = np.random.default_rng(n)
    for draw in (generator.normal, lambda size: generator.standard_t(2, size)):
        found = [compare_over_contexts([(one, 0.0) for one in draw(size=n)]) for _ in range(1500)]
        assert np.mean([one.decision != "not told apart" for one in found]) <= 0.065


def test_ties_count_for_neither_level_and_constant_differences_have_no_t():
    found = compare_over_contexts([(1.0, 1.0)] * 4 + [(2.0, 1.0)] * 3)
    assert (found.above, found.below, found.n) == (3, 0, 7)
    shifted = compare_over_contexts([(one + 0.5, one) for one in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)])
    assert (shifted.t_p, shifted.low, shifted.test, shifted.decision) == (None, None, "sign", "higher")
    assert sign_test(0, 0) == 1.0
