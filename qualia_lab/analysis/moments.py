"""The means of samples, and the standard deviation that they have in common."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.histories import Numbers


def moments_of(samples: Sequence[Sequence[float] | Numbers]) -> tuple[Numbers, Numbers, Numbers]:
    """The mean, the size and the sum of squared deviations of each sample, all of one size at once.

    Args:
        samples: at least one value each.

    Returns:
        Three arrays of shape (samples,).
    """
    sizes = np.array([len(sample) for sample in samples], np.float64)
    means, squares = np.empty(len(sizes)), np.empty(len(sizes))
    for size in np.unique(sizes).tolist():
        places = np.flatnonzero(sizes == size)
        values = np.array([samples[place] for place in places.tolist()], np.float64)
        means[places], squares[places] = values.mean(axis=1), values.var(axis=1) * size
    return means, sizes, squares


def pooled_deviation(samples: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The standard deviation within samples, pooled over them, and its degrees of freedom; (0, 0) without repeats."""
    repeated = [sample for sample in samples if len(sample) > 1]
    degrees = sum(len(sample) - 1 for sample in repeated)
    if not degrees:
        return 0.0, 0
    unit = unit_of(np.concatenate(repeated))
    _, _, squares = moments_of([np.asarray(sample) / unit for sample in repeated])
    return unit * math.sqrt(sum(squares.tolist()) / degrees), degrees
