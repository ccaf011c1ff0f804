"""The distinct rows of several columns of small integers, found by one integer per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_MOST = 2**62  # numbers of rows that fit into int64
_SPARSE = 4  # how many times as many numbers as rows are still worth a table


def number_rows(columns: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Number rows such that two have the same number if they are equal in all columns.

    Args:
        columns: one or more columns, each of integers from 0.

    Returns:
        A number for each row. `np.unique` of these takes a tenth of the time of `np.unique(axis=0)` of the rows.
    """
    numbers, size = np.zeros(1, np.int64), 1
    for column in columns:
        values = int(column.max(initial=0)) + 1
        if size * values > _MOST:
            different, numbers = np.unique(numbers, return_inverse=True)
            size = len(different)
        numbers = numbers * values + column
        size *= values
    return numbers


def distinct_rows(numbers: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first row with each number, by number, and for each row the place of its number among these.

    As `np.unique` returns them, without sorting where the numbers are small, as those of a grid are.

    Args:
        numbers: the number of each row, as `number_rows` returns it.
    """
    size = int(numbers.max(initial=0)) + 1
    if size > _SPARSE * len(numbers):
        _, first, place = np.unique(numbers, return_index=True, return_inverse=True)
        return first, place.ravel()
    first = np.full(size, -1)
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]  # of equal numbers the last assignment stays
    present = np.flatnonzero(first >= 0)
    places = np.empty(size, np.intp)
    places[present] = np.arange(len(present))
    return first[present], places[numbers]
