"""Short computations of what a library computes in general give its results."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from qualia_lab.analysis.best_range import _rank_sum_p
from qualia_lab.analysis.distinct_rows import number_rows


@pytest.mark.parametrize("digits", [1, 12], ids=["ties", "no ties"])
@pytest.mark.parametrize("sizes", [(3, 30), (8, 9), (9, 9), (40, 120)])
def test_the_rank_sum_test_has_the_p_of_scipy(digits, sizes):
    generator = np.random.default_rng(sum(sizes))
    for shift in (0.0, -0.4, -2.0):
        low, high = generator.normal(shift, 1, sizes[0]).round(digits), generator.normal(0, 1, sizes[1]).round(digits)
        assert _rank_sum_p(low, high) == pytest.approx(mannwhitneyu(low, high, alternative="less").pvalue, rel=1e-9)


@pytest.mark.parametrize(("columns", "values"), [(3, 4), (12, 900)])  # 900 to the power of 12 exceeds 64 bits
def test_rows_have_equal_numbers_exactly_where_they_are_equal(columns, values):
    generator = np.random.default_rng(columns)
    rows = generator.integers(0, values, (200, columns))
    rows = np.concatenate([rows, rows[::2]])
    numbers = number_rows(rows.T)
    assert np.array_equal(numbers[:, None] == numbers, (rows[:, None] == rows).all(axis=2))
