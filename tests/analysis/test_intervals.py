"""Intervals, against scipy's implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.intervals import (
    RESAMPLES,
    bootstrap_interval,
    interquartile_mean,
    mean_interval,
    mean_intervals,
)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 11, 100])
def test_the_interquartile_mean_matches_scipys_trimmed_mean(n):
    # rliable's aggregate_iqm makes this call of scipy.
    values = np.random.default_rng(n).lognormal(size=n)
    assert interquartile_mean(list(values)) == pytest.approx(stats.trim_mean(values, 0.25), rel=1e-14)


@pytest.mark.parametrize("n", [2, 3, 9])
def test_few_values_have_students_interval(n):
    values = list(np.random.default_rng(n).normal(size=n))
    found = mean_interval(values)
    low, high = stats.t.interval(0.95, n - 1, loc=np.mean(values), scale=stats.sem(values))
    assert found.how == "t"
    assert (found.low, found.high) == pytest.approx((low, high))


def test_one_value_has_no_interval():
    assert mean_interval([1.0]) is None
    assert mean_interval([]) is None


@pytest.mark.parametrize("confidence", [0.95, 0.9])
def test_the_bootstrap_matches_scipys_percentile_bootstrap(confidence):
    values = np.random.default_rng(5).lognormal(size=30)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=confidence, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    actual = bootstrap_interval(values, lambda drawn: drawn.mean(axis=-1), confidence=confidence)
    assert actual == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_resampling_within_strata_excludes_the_spread_between_them():
    generator = np.random.default_rng(2)
    values = [float(fold * 100 + generator.normal()) for fold in range(3) for _ in range(8)]
    folds = [fold for fold in range(3) for _ in range(8)]
    within, without = mean_interval(values, folds), mean_interval(values)
    assert within.how == without.how == "bootstrap"
    assert within.half_width < 1 < 20 < without.half_width
    # A fold with one run has no spread of its own, so all values are resampled together.
    assert mean_interval(values, list(range(24))) == without


@pytest.mark.parametrize("n", [3, 5, 10, 15, 20, 30])
def test_intervals_of_normal_data_have_nominal_coverage(n):
    generator = np.random.default_rng(n)
    covered = 0
    for _ in range(800):
        found = mean_interval(generator.normal(size=n))
        covered += found.low <= 0 <= found.high
    assert 0.927 <= covered / 800 <= 0.973  # 0.95 ± 3 standard errors


def test_intervals_are_deterministic():
    values = list(np.random.default_rng(0).normal(size=20))
    assert mean_interval(values) == mean_interval(values)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_equal_values_have_no_interval(n):
    assert mean_interval([0.925] * n) is None  # an interval without width would say that all others are equal, too


@pytest.mark.parametrize("n", [1, 5, 10, 24, 400])
def test_intervals_of_many_samples_are_those_of_each(n):
    samples = np.random.default_rng(n).normal(size=(4, n))
    samples[1] = 0.925
    samples[2] *= 1e300
    low, high = mean_intervals(samples)
    for place, sample in enumerate(samples):
        found = mean_interval(sample)
        expected = (math.nan, math.nan) if found is None else (found.low, found.high)
        assert (low[place], high[place]) == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("n", [10, 24, 250])
def test_resamples_are_those_of_the_bootstrap(n):
    values = np.random.default_rng(n).normal(size=n)
    confidence = 2 * stats.norm.cdf(np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1)) - 1  # Hesterberg (2015)
    expected = bootstrap_interval(values, lambda drawn: drawn.mean(axis=-1), confidence=confidence)
    found = mean_interval(values)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)
