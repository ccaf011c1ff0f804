"""Distinct rows by their numbers, with and without a table of all numbers."""

from __future__ import annotations

import numpy as np
import pytest

from qualia_lab.analysis.distinct_rows import distinct_rows, number_rows


@pytest.mark.parametrize("largest", [1, 30, 10**12])
def test_distinct_rows_are_those_of_numpy(largest):
    numbers = np.random.default_rng(largest).integers(0, largest, 100)
    _, first, place = np.unique(numbers, return_index=True, return_inverse=True)
    for got, expected in zip(distinct_rows(numbers), (first, place), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_rows_with_more_combinations_than_a_number_can_hold_stay_distinct():
    columns = np.random.default_rng(0).integers(0, 2**20, (5, 200))
    columns[:, 100:] = columns[:, :100]
    first, place = distinct_rows(number_rows(columns))
    np.testing.assert_array_equal(np.sort(first), np.arange(100))
    np.testing.assert_array_equal(columns[:, first[place]], columns)
