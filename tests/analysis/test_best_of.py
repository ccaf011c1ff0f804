"""The best of several configurations: coverage, bias and error rates by simulation, p values against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.best_of import best_of
from qualia_lab.analysis.intervals import mean_interval
from qualia_lab.analysis.studentized import largest_quantile, range_p


def simulated(means, n, repeats, seed, spreads=1.0):
    generator = np.random.default_rng(seed)
    for _ in range(repeats):
        values = generator.normal(means, spreads, (n, len(means))).T
        yield best_of(list(values), greater_is_better=True)


@pytest.mark.parametrize("k", [6, 40])
@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("lead", [0, 1, 2, 4])
def test_the_interval_covers_the_true_mean_of_the_selected_configuration(k, n, lead):
    means = np.zeros(k)
    means[k // 2] = lead
    found = list(simulated(means, n, 400, seed=k + n + lead))
    held = [one.low <= means[one.place] <= one.high for one in found]
    assert np.mean(held) >= 0.93
    assert all(one.low <= one.corrected <= one.mean <= one.high for one in found)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_covers_the_true_mean_with_unequal_variances(n):
    for k in (6, 40):
        spreads = np.where(np.arange(k) < k / 2, 2.0, 1.0)
        found = simulated(np.zeros(k), n, 400, seed=n, spreads=spreads)
        assert np.mean([one.low <= 0 <= one.high for one in found]) >= 0.92


def test_the_corrected_mean_is_median_unbiased():
    for k in (6, 40):
        found = list(simulated(np.zeros(k), 10, 600, seed=k))
        assert np.mean([one.mean > 0 for one in found]) > 0.95
        assert np.mean([one.corrected > 0 for one in found]) == pytest.approx(0.5, abs=0.1)


def test_a_clear_leader_has_students_interval_without_correction():
    values = [[10.0, 11.0, 12.0], [0.0, 1.0, 2.0], [0.0, 2.0, 1.0]]
    found = best_of(values, greater_is_better=True)
    assert (found.place, found.mean, found.k, found.how) == (0, 11.0, 3, "pooled")
    assert found.corrected == pytest.approx(11, abs=0.01)
    reach = stats.t.ppf(0.975, 6) / np.sqrt(3)
    assert (found.low, found.high) == pytest.approx((11 - reach, 11 + reach), rel=1e-6)


@pytest.mark.parametrize("k", [2, 6, 40])
@pytest.mark.parametrize("n", [3, 10])
def test_the_family_wise_error_rate_of_level_configurations_is_at_most_5_percent(k, n):
    claims = [bool(one.apart) for one in simulated(np.zeros(k), n, 1000, seed=k * n)]
    assert np.mean(claims) <= 0.05


@pytest.mark.parametrize("k", [2, 4, 6])
def test_differences_of_five_deviations_are_found_with_three_runs_each(k):
    means = np.zeros(k)
    means[0] = 5
    found = list(simulated(means, 3, 500, seed=k))
    assert np.mean([len(one.apart) == k - 1 for one in found]) > 0.8
    means[0] = 7
    assert np.mean([len(one.apart) == k - 1 for one in simulated(means, 3, 500, seed=k)]) > 0.93


def test_less_is_better_mirrors_greater_is_better():
    values = np.random.default_rng(4).normal([0, 0.5, 3], 1, (4, 3)).T
    up, down = best_of(list(values), greater_is_better=True), best_of(list(-values), greater_is_better=False)
    assert (down.place, down.level) == (up.place, up.level)
    assert (down.mean, down.corrected, down.low, down.high) == (-up.mean, -up.corrected, -up.high, -up.low)
    assert [one.difference for one in down.apart] == [-one.difference for one in up.apart]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [2.0**-900, 2.0**900])
def test_values_whose_squares_overflow_are_compared(unit):
    values = np.random.default_rng(5).normal([0, 1, 6], 1, (4, 3)).T
    plain, scaled = (best_of(list(values * by), greater_is_better=True) for by in (1, unit))
    assert (scaled.level, scaled.how, scaled.low, scaled.high) == (
        plain.level,
        plain.how,
        plain.low * unit,
        plain.high * unit,
    )
    assert best_of([[0.0, 0.0], [0.0, 0.0]], greater_is_better=True).how == "alike"


def test_p_values_are_those_of_the_tukey_kramer_test():
    generator = np.random.default_rng(7)
    groups = [generator.normal(shift, 1, n) for shift, n in ((4, 6), (1.5, 9), (0, 4), (0.5, 7))]
    found = best_of(groups, greater_is_better=True, alpha=0.5)
    tukey = stats.tukey_hsd(*groups).pvalue[0]
    assert [one.place for one in found.apart] == [1, 2, 3]
    for one in found.apart:
        assert one.p == pytest.approx(tukey[one.place], rel=0.02)


def test_a_noisy_leader_is_not_told_apart_by_the_spread_of_quieter_ones():
    noisy, quiet = [2.0, 9.0, -2.0], [[0.0, 0.5, -0.5, 0.2] * 5, [0.1, 0.3, -0.4, 0.2] * 5]
    found = best_of([noisy, *quiet], greater_is_better=True)
    assert (found.place, found.level) == (0, (1, 2))


def test_unequal_spreads_use_welchs_test_with_bonferroni_correction():
    generator = np.random.default_rng(8)
    groups = [generator.normal(9, 0.1, 8), generator.normal(0, 9, 8), generator.normal(1, 1, 8)]
    found = best_of(groups, greater_is_better=True, alpha=1.01)
    assert found.how == "own"
    for one in found.apart:
        welch = stats.ttest_ind(groups[0], groups[one.place], equal_var=False).pvalue
        assert one.p == pytest.approx(min(1, 3 * welch))


def test_single_runs_take_part_from_three_degrees_of_freedom():
    few = best_of([[3.0], [1.0, 1.1], [0.0, 0.2]], greater_is_better=True)
    assert (few.how, few.place, few.low, few.level) == ("none", 0, None, (1, 2))
    enough = best_of([[3.0], [1.0, 1.1], [0.0, 0.2], [0.5, 0.4]], greater_is_better=True)
    assert enough.how == "pooled"
    assert [one.place for one in enough.apart] == [1, 2, 3]
    assert enough.low < 3 < enough.high


def test_empty_groups_are_skipped_and_identical_repeats_give_no_test():
    found = best_of([[], [1.0, 1.0], [], [2.0, 2.0, 2.0]], greater_is_better=True)
    assert (found.place, found.k, found.how, found.level, found.corrected) == (3, 2, "alike", (1,), None)
    assert best_of([[], []], greater_is_better=True) is None


def test_a_single_configuration_has_the_plain_interval_of_its_mean():
    values = [0.9, 0.91, 0.88, 0.93]
    found, plain = best_of([values], greater_is_better=True), mean_interval(values)
    assert (found.low, found.high, found.corrected) == pytest.approx((plain.low, plain.high, np.mean(values)))


def test_thousands_of_configurations_are_compared():
    values = np.random.default_rng(0).normal(size=(5000, 3))
    found = best_of(list(values), greater_is_better=True)
    assert found.k == 5000
    assert len(found.level) + len(found.apart) == 4999


@pytest.mark.parametrize(("k", "degrees"), [(2, 4), (6, 12), (40, 80), (3, 1)])
def test_range_p_matches_scipy(k, degrees):
    ranges = np.array([1.0, 2.5, 4.0, 6.0])
    assert range_p(ranges, k, degrees) == pytest.approx(stats.studentized_range.sf(ranges, k, degrees), rel=0.02)


def test_largest_quantile_matches_student_and_simulation():
    assert largest_quantile(1, 7) == pytest.approx(stats.t.ppf(0.975, 7))
    generator = np.random.default_rng(0)
    largest = generator.normal(size=(100_000, 6)).max(axis=1) / np.sqrt(generator.chisquare(12, 100_000) / 12)
    assert np.quantile(largest, 0.975) == pytest.approx(largest_quantile(6, 12), abs=0.03)
