"""Comparisons to a baseline: against scipy's tests, and on samples with known truth."""

from __future__ import annotations

import math
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from qualia_lab.analysis.baseline import choose_baseline, compare_to_baseline
from qualia_lab.analysis.two_samples import (
    compare_pairs,
    compare_samples,
    difference_of_rank,
    hedges,
    holm,
    superiority,
)
from qualia_lab.errors import QualiaLabError

from .study_samples import groups_of


def table(*configurations, seeds=True, better=True, baseline=None):
    """Compare every configuration, a list of values with one per seed, to the first."""
    rows = [
        ({"lr": str(place), **({"seed": str(seed)} if seeds else {})}, {"auc": float(value)})
        for place, values in enumerate(configurations)
        for seed, value in enumerate(values)
    ]
    groups = groups_of(rows, better=better)
    started = {run_id: place for place, group in enumerate(groups) for run_id in group.run_ids}
    return compare_to_baseline(groups, *choose_baseline(groups, started, baseline))


def normal(seed, *shapes):
    generator = np.random.default_rng(seed)
    return [list(generator.normal(mean, 1, n)) for mean, n in shapes]


def test_runs_with_the_same_seeds_are_paired_with_scipys_result():
    base, other = normal(0, (0, 8), (0.4, 8))
    (found,) = table(base, other).differences
    expected = stats.ttest_rel(other, base)
    interval = expected.confidence_interval(0.95)
    assert (found.comparison.test, found.pairs, found.comparison.why) == ("paired t", 8, "the same seeds in both")
    assert found.comparison.p == pytest.approx(expected.pvalue)
    assert (found.comparison.low, found.comparison.high) == pytest.approx((interval.low, interval.high))
    differences = np.subtract(other, base)
    assert found.comparison.effect == pytest.approx(differences.mean() / differences.std(ddof=1))  # d_z


def test_unpaired_runs_are_compared_by_welchs_test_with_scipys_result():
    base, other = normal(1, (0, 7), (1, 12))
    for found in table(base, other).differences + table(base, other, seeds=False).differences:
        expected = stats.ttest_ind(other, base, equal_var=False)
        interval = expected.confidence_interval(0.95)
        assert (found.comparison.test, found.pairs) == ("Welch's t", None)
        assert found.comparison.p == pytest.approx(expected.pvalue)
        assert (found.comparison.low, found.comparison.high) == pytest.approx((interval.low, interval.high))
        pooled = math.sqrt((6 * np.var(base, ddof=1) + 11 * np.var(other, ddof=1)) / 17)
        g = (np.mean(other) - np.mean(base)) / pooled * (1 - 3 / (4 * 17 - 1))  # Hedges' own approximation
        assert found.comparison.effect == pytest.approx(g, rel=1e-3)


def test_values_with_outliers_are_compared_by_ranks_with_scipys_result():
    base, other = normal(2, (0, 12), (1.5, 14))
    other[3] = 500.0
    found = compare_samples(other, base, "different seeds")
    expected = stats.mannwhitneyu(other, base, alternative="two-sided")
    assert (found.test, found.why) == ("Mann-Whitney U", "different seeds, with outliers")
    assert found.p == pytest.approx(expected.pvalue)
    assert found.superiority == pytest.approx(expected.statistic / (12 * 14))
    assert 0.5 < found.difference < 3  # the Hodges-Lehmann shift is robust against the outlier
    # The interval contains the shifts that the test does not reject.
    shifted = [stats.mannwhitneyu(np.subtract(other, by), base).pvalue for by in (found.low - 0.01, found.high + 0.01)]
    assert max(shifted) < 0.06
    inside = [stats.mannwhitneyu(np.subtract(other, by), base).pvalue for by in (found.low + 0.01, found.high - 0.01)]
    assert min(inside) > 0.045


def test_superiority_is_u_over_the_number_of_pairs():
    a, b = [1.0, 2.0, 2.0, 5.0], [2.0, 1.0, 0.0]
    u = stats.mannwhitneyu(a, b).statistic
    assert compare_samples(a, b, "").superiority == pytest.approx(u / 12)


def test_holms_correction_matches_a_manual_computation():
    # By hand: sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, and never below the one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


def test_hedges_correction_matches_the_published_table():
    assert hedges(2) == pytest.approx(0.5642, abs=1e-4)  # Hedges 1981, table 1
    assert hedges(10) == pytest.approx(0.9228, abs=1e-4)


def test_verdicts_for_a_large_difference_with_ten_runs_and_a_small_one_with_three():
    base, apart, near = normal(3, (0, 10), (2, 10), (0.5, 3))
    apart_from, near_to = table(base, apart, near).differences
    assert (apart_from.verdict, near_to.verdict) == ("better", "too few runs to tell")
    assert near_to.comparison.smallest > 0.5
    assert table(base, apart, near, better=False).differences[0].verdict == "worse"
    assert table(base, apart, near, better=None).differences[0].verdict == "higher"


def test_no_difference_seen_requires_enough_power():
    base, same, few = normal(5, (0, 30), (0, 30), (0, 4))
    found = table(base, same, few).differences
    assert [one.verdict for one in found] == ["no difference seen", "too few runs to tell"]


@pytest.mark.parametrize("counts", [(1, 1), (1, 9), (2, 2), (2, 30), (30, 2)])
def test_fewer_than_three_runs_on_a_side_give_no_difference(counts):
    n, m = counts
    base, other = ([mean + 0.001 * place for place in range(k)] for mean, k in ((0, n), (1000, m)))
    (found,) = table(base, other, baseline={"lr": "0"}).differences
    assert (found.verdict, found.corrected_p) == ("too few runs to tell", None)
    assert (found.comparison.smallest is None) == (n + m == 2)


def test_identical_repeats_count_as_one_run():
    alike, other = table([0.8] * 5, [0.8] * 5, [0.9] * 5).differences
    assert (alike.verdict, other.verdict) == ("no difference seen", "too few runs to tell")
    assert other.comparison.why == "the repeats are all equal"


def test_pairs_with_constant_differences_are_compared_by_welchs_test():
    base = [0.5, 0.6, 0.7, 0.8]
    (found,) = table(base, [value + 0.1 for value in base]).differences
    assert found.comparison.test == "Welch's t"


def test_the_partner_of_a_diverged_run_is_dropped_from_the_pairs():
    base, other = normal(5, (0, 10), (3, 10))
    other[4] = math.nan
    (found,) = table(base, other).differences
    kept = [place for place in range(10) if place != 4]
    assert found.pairs == 9
    assert found.comparison.p == pytest.approx(compare_pairs([other[k] for k in kept], [base[k] for k in kept], "").p)
    assert (len(found.group.run_ids), len(found.group.values)) == (10, 9)


def test_the_family_wise_error_rate_in_noise_is_at_most_5_percent():
    generator = np.random.default_rng(6)
    false = 0
    for family in range(200):
        heavy = family % 2  # heavy tails, so that there are outliers too
        draw = generator.standard_t if heavy else generator.normal
        base, *others = [list(draw(*((3, 10) if heavy else (0, 1, 10)))) for _ in range(6)]
        verdicts = {one.verdict for one in table(base, *others, seeds=family % 4 < 2).differences}
        false += bool(verdicts & {"better", "worse"})
    assert false <= 10


def test_the_default_baseline_is_the_first_configuration_with_three_runs():
    shapes = ([1.0], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    chosen = table(*shapes)
    assert chosen.baseline.params == (("lr", "1"),)
    assert "first that was started of those with three runs" in chosen.chosen
    assert table(*shapes, baseline=f"{6:032x}").baseline.params == (("lr", "2"),)
    assert table(*shapes, baseline={"lr": "2.0"}).baseline.params == (("lr", "2"),)
    with pytest.raises(QualiaLabError, match=r"No configuration has lr=7.*lr=0, lr=1, lr=2"):
        table(*shapes, baseline={"lr": "7"})
    with pytest.raises(QualiaLabError, match="The baseline nobody is not one of these runs"):
        table(*shapes, baseline="nobody")


def test_a_thousand_runs_are_compared_in_under_a_second():
    generator = np.random.default_rng(7)
    rows = [
        ({"lr": str(place % 300), "depth": "3", "seed": str(place // 300)}, {"auc": float(generator.normal())})
        for place in range(1000)
    ]
    groups = groups_of(rows)
    start = time.perf_counter()
    compare_to_baseline(groups, *choose_baseline(groups, {}, None))
    assert len(groups) == 300
    assert time.perf_counter() - start < 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.floats(-1e6, 1e6).map(lambda x: round(x, 2)) | st.sampled_from([0.0, -0.0, 1.0, 1e300]),
        min_size=1,
        max_size=30,
    ),
    st.lists(
        st.floats(-1e6, 1e6).map(lambda x: round(x, 2)) | st.sampled_from([0.0, 1.0, -1e-300]), min_size=1, max_size=30
    ),
)
def test_difference_of_rank_matches_sorting_all_differences(a, b):
    first, second = np.array(a), np.array(b)
    ordered = np.sort((first[:, None] - second[None, :]).ravel())
    for rank in {0, len(ordered) // 3, len(ordered) // 2, len(ordered) - 1}:
        assert difference_of_rank(first, second, rank) == ordered[rank]
    above = (first[:, None] > second[None, :]) + (first[:, None] == second[None, :]) / 2
    assert superiority(a, b) == pytest.approx(float(above.mean()), rel=1e-12)


def test_large_samples_are_compared_without_holding_all_pairs_in_memory():
    generator = np.random.default_rng(5)
    first, second = generator.normal(0.3, 1, 4000), generator.normal(0, 1, 3000)
    first[0] = 500.0  # an outlier, so that ranks are used
    tracemalloc.start()
    found = compare_samples(first, second, "different seeds")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.test == "Mann-Whitney U"
    assert found.difference == float(np.median(first[:, None] - second[None, :]))
    assert peak < 30_000_000  # all pairs: 96 MB
