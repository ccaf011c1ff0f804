"""The means of samples, and the standard deviation that they have in common."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import unit_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from qualia_lab.analysis.histories import Numbers

    Sizes = NDArray[np.int64]


def joined(samples: Sequence[Sequence[float] | Numbers]) -> tuple[Numbers, Sizes]:
    """The values of all samples, one after another, and the size of each sample."""
    sizes = np.fromiter(map(len, samples), np.int64, len(samples))
    return np.fromiter(chain.from_iterable(samples), np.float64, int(sizes.sum())), sizes


def rows_by_size(values: Numbers, sizes: Sizes) -> Iterator[tuple[NDArray[np.intp], Numbers]]:
    """Samples of one size as rows of a matrix: what is computed of each row takes a fraction of the time.

    Args:
        values: the values of all samples, as `joined` returns them.
        sizes: the size of each sample.

    Yields:
        For each size above 0, the places of the samples and their values, shape (places, size).
    """
    begins = np.cumsum(sizes) - sizes
    for size in np.unique(sizes[sizes > 0]).tolist():
        places = np.flatnonzero(sizes == size)
        yield places, values[begins[places][:, None] + np.arange(size)]


def moments_of(values: Numbers, sizes: Sizes) -> tuple[Numbers, Numbers]:
    """The mean and the sum of squared deviations of each sample; arguments as in `rows_by_size`.

    Args:
        values: the values of all samples.
        sizes: the size of each sample, at least 1.

    Returns:
        Two arrays of shape (samples,).
    """
    means, squares = np.empty(len(sizes)), np.empty(len(sizes))
    for places, rows in rows_by_size(values, sizes):
        means[places], squares[places] = rows.mean(axis=1), rows.var(axis=1) * rows.shape[1]
    return means, squares


def pooled_deviation(samples: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The standard deviation within samples, pooled over them, and its degrees of freedom; (0, 0) without repeats."""
    values, sizes = joined([sample for sample in samples if len(sample) > 1])
    degrees = int((sizes - 1).sum())
    if not degrees:
        return 0.0, 0
    unit = unit_of(values)
    _, squares = moments_of(values / unit, sizes)
    return unit * math.sqrt(sum(squares.tolist()) / degrees), degrees
