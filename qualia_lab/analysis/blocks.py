"""Randomised blocks: remove what runs of the same seed, fold or data set share before configurations are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from qualia_lab.analysis.histories import Numbers

FEWEST_BLOCKS = 3
_SHARED = 0.01  # p of the block effect below which runs of one block count as correlated


def block_values(repeats: Sequence[Sequence[object]], values: Sequence[Sequence[float] | Numbers]) -> Numbers | None:
    """Arrange the values as a matrix of configurations by blocks.

    Args:
        repeats: for each configuration, the seed, fold or data set of each of its runs; an empty one means none.
        values: the values of the same runs in the same order.

    Returns:
        The values, shape (configurations, blocks); None where the configurations do not all have the same blocks, each
        once.
    """
    first = list(repeats[0]) if repeats else []
    if len(repeats) < 2 or len(first) < FEWEST_BLOCKS or len(set(first)) < len(first) or not all(first):
        return None
    rows: list[Sequence[float] | Numbers] = []
    for blocks, numbers in zip(repeats, values, strict=True):
        if list(blocks) == first:
            rows.append(numbers)
            continue
        by_block = dict(zip(blocks, numbers, strict=True))
        if len(by_block) != len(blocks) or by_block.keys() != set(first):
            return None
        rows.append([by_block[block] for block in first])
    return np.array(rows, np.float64)


def has_block_effect(values: Numbers) -> bool:
    """Whether runs of one block are correlated, by the F test of the blocks in a randomised block design.

    Fisher (1935), "The Design of Experiments", chapter 4. Without a block effect, blocking only costs degrees of
    freedom.

    Args:
        values: shape (configurations, blocks).
    """
    from scipy.special import fdtrc

    k, n = values.shape
    error = _error(values)
    block_mean_square = float(k * values.mean(axis=0).var(ddof=1))
    if error <= 0:
        return block_mean_square > 0
    p = float(fdtrc(n - 1, (n - 1) * (k - 1), block_mean_square / error))
    return p < _SHARED


def block_ranges(values: Numbers, first: int) -> tuple[Numbers, int]:
    """Studentised differences of the means from the leader's, for Tukey's range in a randomised block design.

    Args:
        values: shape (configurations, blocks).
        first: the row of the leader.

    Returns:
        The differences in standard errors of a mean, shape (configurations,), and the degrees of freedom of the error.
    """
    k, n = values.shape
    means = values.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ranges: Numbers = np.nan_to_num((means[first] - means) / np.sqrt(_error(values) / n), nan=0.0)
    return ranges, (n - 1) * (k - 1)


def pair_ps(values: Numbers, first: int) -> NDArray[np.float64]:
    """Two-sided p values of Student's paired t test (1908) against the leader.

    Args:
        values: shape (configurations, blocks).
        first: the row of the leader.

    Returns:
        The p values, shape (configurations,); NaN where all paired differences are equal.
    """
    from scipy.special import stdtr

    differences = values[first] - values
    n = values.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / np.sqrt(n))
    ps: NDArray[np.float64] = 2 * stdtr(n - 1, -np.abs(ratios))
    return ps


def _error(values: Numbers) -> float:
    """The residual variance of a value after its configuration and its block."""
    k, n = values.shape
    rest = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return float((rest**2).sum()) / float((n - 1) * (k - 1))
