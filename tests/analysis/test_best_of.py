"""The best of several: coverage, bias and false claims by simulation, p values against scipy's tests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.best_of import best_of
from qualia_lab.analysis.intervals import mean_interval
from qualia_lab.analysis.studentized import largest_quantile, range_p


def drawn(means, n, repeats, seed, spreads=1.0):
    generator = np.random.default_rng(seed)
    for _ in range(repeats):
        values = generator.normal(means, spreads, (n, len(means))).T
        yield best_of(list(values), greater_is_better=True)


@pytest.mark.parametrize("k", [6, 40])
@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("lead", [0, 1, 2, 4])
def test_the_interval_holds_the_true_mean_of_whichever_was_selected(k, n, lead):
    means = np.zeros(k)
    means[k // 2] = lead
    found = list(drawn(means, n, 400, seed=k + n + lead))
    held = [one.low <= means[one.place] <= one.high for one in found]
    assert np.mean(held) >= 0.93
    assert all(one.low <= one.corrected <= one.mean <= one.high for one in found)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_holds_where_half_of_the_configurations_have_four_times_the_variance(n):
    for k in (6, 40):
        spreads = np.where(np.arange(k) < k / 2, 2.0, 1.0)
        found = drawn(np.zeros(k), n, 400, seed=n, spreads=spreads)
        assert np.mean([one.low <= 0 <= one.high for one in found]) >= 0.92


def test_the_corrected_mean_is_too_low_as_often_as_too_high_where_the_observed_one_is_too_high():
    for k in (6, 40):
        found = list(drawn(np.zeros(k), 10, 600, seed=k))
        assert np.mean([one.mean > 0 for one in found]) > 0.95
        assert np.mean([one.corrected > 0 for one in found]) == pytest.approx(0.5, abs=0.1)


def test_behind_a_clear_leader_nothing_is_corrected_and_the_interval_is_students():
    values = [[10.0, 11.0, 12.0], [0.0, 1.0, 2.0], [0.0, 2.0, 1.0]]
    found = best_of(values, greater_is_better=True)
    assert (found.place, found.mean, found.k, found.how) == (0, 11.0, 3, "pooled")
    assert found.corrected == pytest.approx(11, abs=0.01)
    reach = stats.t.ppf(0.975, 6) / np.sqrt(3)
    assert (found.low, found.high) == pytest.approx((11 - reach, 11 + reach), rel=1e-6)


@pytest.mark.parametrize("k", [2, 6, 40])
@pytest.mark.parametrize("n", [3, 10])
def test_of_level_configurations_any_is_called_apart_at_most_once_in_twenty(k, n):
    claims = [bool(one.apart) for one in drawn(np.zeros(k), n, 1000, seed=k * n)]
    assert np.mean(claims) <= 0.05


@pytest.mark.parametrize("k", [2, 4, 6])
def test_differences_of_five_and_more_deviations_are_found_with_three_runs_each(k):
    means = np.zeros(k)
    means[0] = 5
    found = list(drawn(means, 3, 500, seed=k))
    assert np.mean([len(one.apart) == k - 1 for one in found]) > 0.8
    means[0] = 7
    assert np.mean([len(one.apart) == k - 1 for one in drawn(means, 3, 500, seed=k)]) > 0.93


def test_less_is_better_is_the_same_mirrored():
    values = np.random.default_rng(4).normal([0, 0.5, 3], 1, (4, 3)).T
    up, down = best_of(list(values), greater_is_better=True), best_of(list(-values), greater_is_better=False)
    assert (down.place, down.level) == (up.place, up.level)
    assert (down.mean, down.corrected, down.low, down.high) == (-up.mean, -up.corrected, -up.high, -up.low)
    assert [one.difference for one in down.apart] == [-one.difference for one in up.apart]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [2.0**-900, 2.0**900])
def test_values_whose_squares_are_no_doubles_are_compared_as_others(unit):
    values = np.random.default_rng(5).normal([0, 1, 6], 1, (4, 3)).T
    plain, scaled = (best_of(list(values * by), greater_is_better=True) for by in (1, unit))
    assert (scaled.level, scaled.how, scaled.low, scaled.high) == (
        plain.level,
        plain.how,
        plain.low * unit,
        plain.high * unit,
    )
    assert best_of([[0.0, 0.0], [0.0, 0.0]], greater_is_better=True).how == "alike"


def test_p_is_that_of_tukey_and_kramer():
    generator = np.random.default_rng(7)
    groups = [generator.normal(shift, 1, n) for shift, n in ((4, 6), (1.5, 9), (0, 4), (0.5, 7))]
    found = best_of(groups, greater_is_better=True, alpha=0.5)
    tukey = stats.tukey_hsd(*groups).pvalue[0]
    assert [one.place for one in found.apart] == [1, 2, 3]
    for one in found.apart:
        assert one.p == pytest.approx(tukey[one.place], rel=0.02)


def test_what_a_noisy_configuration_shows_under_the_spread_of_quiet_ones_is_not_told_apart():
    noisy, quiet = [2.0, 9.0, -2.0], [[0.0, 0.5, -0.5, 0.2] * 5, [0.1, 0.3, -0.4, 0.2] * 5]
    found = best_of([noisy, *quiet], greater_is_better=True)
    assert (found.place, found.level) == (0, (1, 2))


def test_where_spreads_differ_each_pair_has_its_own_times_the_number_of_pairs():
    generator = np.random.default_rng(8)
    groups = [generator.normal(9, 0.1, 8), generator.normal(0, 9, 8), generator.normal(1, 1, 8)]
    found = best_of(groups, greater_is_better=True, alpha=1.01)
    assert found.how == "own"
    for one in found.apart:
        welch = stats.ttest_ind(groups[0], groups[one.place], equal_var=False).pvalue
        assert one.p == pytest.approx(min(1, 3 * welch))


def test_single_runs_take_part_once_three_degrees_of_freedom_tell_the_spread():
    few = best_of([[3.0], [1.0, 1.1], [0.0, 0.2]], greater_is_better=True)
    assert (few.how, few.place, few.low, few.level) == ("none", 0, None, (1, 2))
    enough = best_of([[3.0], [1.0, 1.1], [0.0, 0.2], [0.5, 0.4]], greater_is_better=True)
    assert enough.how == "pooled"
    assert [one.place for one in enough.apart] == [1, 2, 3]
    assert enough.low < 3 < enough.high


def test_empty_groups_keep_their_places_and_repeats_that_are_alike_carry_no_test():
    found = best_of([[], [1.0, 1.0], [], [2.0, 2.0, 2.0]], greater_is_better=True)
    assert (found.place, found.k, found.how, found.level, found.corrected) == (3, 2, "alike", (1,), None)
    assert best_of([[], []], greater_is_better=True) is None


def test_one_configuration_has_the_plain_interval_of_its_mean():
    values = [0.9, 0.91, 0.88, 0.93]
    found, plain = best_of([values], greater_is_better=True), mean_interval(values)
    assert (found.low, found.high, found.corrected) == pytest.approx((plain.low, plain.high, np.mean(values)))


def test_thousands_of_configurations_take_no_second():
    values = np.random.default_rng(0).normal(size=(5000, 3))
    found = best_of(list(values), greater_is_better=True)
    assert found.k == 5000
    assert len(found.level) + len(found.apart) == 4999


@pytest.mark.parametrize(("k", "degrees"), [(2, 4), (6, 12), (40, 80), (3, 1)])
def test_the_studentised_range_is_scipys(k, degrees):
    ranges = np.array([1.0, 2.5, 4.0, 6.0])
    assert range_p(ranges, k, degrees) == pytest.approx(stats.studentized_range.sf(ranges, k, degrees), rel=0.02)


def test_the_largest_studentised_mean_is_that_of_drawn_ones_and_of_one_students():
    assert largest_quantile(1, 7) == pytest.approx(stats.t.ppf(0.975, 7))
    generator = np.random.default_rng(0)
    largest = generator.normal(size=(100_000, 6)).max(axis=1) / np.sqrt(generator.chisquare(12, 100_000) / 12)
    assert np.quantile(largest, 0.975) == pytest.approx(largest_quantile(6, 12), abs=0.03)
