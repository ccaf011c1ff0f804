"""The paired tests and the agreement of raters, against statsmodels, scipy and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import cohens_kappa as their_kappa

from qualia_lab.analysis.kappa import cohens_kappa
from qualia_lab.analysis.paired_test import paired_test, sign_flip_p


@pytest.mark.parametrize(
    ("more", "less", "ties"), [(0, 0, 4), (1, 0, 3), (6, 0, 0), (9, 2, 30), (40, 41, 5), (3, 17, 0)]
)
def test_mcnemars_test_is_that_of_statsmodels(more, less, ties):
    first = np.array([0.0] * more + [1.0] * less + [1.0] * ties)
    second = np.array([1.0] * more + [0.0] * less + [1.0] * ties)
    found = paired_test(first, second)
    table = [[ties, less], [more, 0]]  # rows: first is right, first is wrong
    assert found.test == "McNemar, exact"
    assert found.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert (found.n, found.above, found.below) == (more + less + ties, more, less)
    assert found.difference == pytest.approx((more - less) / (more + less + ties))
    assert found.low < found.difference <= found.high


def test_the_interval_of_paired_proportions_covers_the_difference_in_95_percent():
    generator = np.random.default_rng(0)
    for n, more, less in ((20, 0.2, 0.1), (60, 0.15, 0.15), (200, 0.05, 0.02)):
        covered = 0
        for _ in range(1500):
            drawn = generator.random(n)
            second = np.where(drawn < more, 1.0, np.where(drawn < more + less, 0.0, 1.0))
            first = np.where(drawn < more, 0.0, 1.0)
            found = paired_test(first, second)
            covered += found.low <= more - less <= found.high
        assert covered / 1500 >= 0.93, (n, more, less)


@pytest.mark.parametrize("n", [2, 5, 9, 13])
def test_few_sign_flips_are_all_tried_as_by_scipy(n):
    differences = np.random.default_rng(n).normal(0.5, 1, n)
    theirs = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_p(differences) == pytest.approx(theirs.pvalue)
    assert sign_flip_p(np.r_[differences, 0.0]) == sign_flip_p(differences)


def test_random_and_normal_sign_flips_agree_with_the_t_test():
    for n in (14, 80, 1500):
        differences = np.random.default_rng(n).normal(2 / math.sqrt(n), 1, n)
        assert sign_flip_p(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, rel=0.25)
    assert sign_flip_p(np.zeros(5)) == 1.0
    assert 2 / 2**40 <= sign_flip_p(np.full(40, 1e300)) < 1e-8
    assert sign_flip_p(np.full(14, 1e-300)) == pytest.approx(2 / 2**14, rel=2)


def test_numbers_get_the_mean_difference_with_an_interval():
    generator = np.random.default_rng(3)
    first = generator.integers(1, 6, 50).astype(float)
    second = np.minimum(5, first + (generator.random(50) < 0.4))
    found = paired_test(first, second)
    assert found.test == "sign flips"
    assert 0 < found.low < found.difference < found.high
    assert found.p < 0.01
    assert paired_test(first[:0], second[:0]).p is None


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("categories", [2, 3, 5])
def test_kappa_and_its_interval_are_those_of_statsmodels(ordered, categories):
    generator = np.random.default_rng(categories)
    for _ in range(20):
        counts = generator.integers(0, 12, (categories, categories)) + np.eye(categories) * 6
        found = cohens_kappa(counts, ordered=ordered)
        theirs = their_kappa(counts, wt="linear" if ordered else None)
        assert found.kappa == pytest.approx(theirs.kappa)
        assert (found.low, found.high) == pytest.approx((max(-1, theirs.kappa_low), min(1, theirs.kappa_upp)), abs=1e-6)
        assert found.agreement == pytest.approx(np.trace(counts) / counts.sum())
        assert found.n == counts.sum()


def test_kappa_of_raters_that_always_say_the_same_is_not_defined():
    assert cohens_kappa(np.array([[12.0]])).kappa is None
    assert cohens_kappa(np.array([[12.0, 0.0], [0.0, 0.0]])).kappa is None
    full = cohens_kappa(np.array([[5.0, 0.0], [0.0, 7.0]]))
    assert (full.kappa, full.low, full.agreement) == (1.0, None, 1.0)
    never_no = cohens_kappa(np.array([[20.0, 10.0], [0.0, 0.0]]))
    assert never_no.kappa == 0.0
