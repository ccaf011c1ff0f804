"""Configurations over the same seeds, folds or data: what those share is taken out before means are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from qualia_lab.analysis.histories import Numbers

FEWEST_BLOCKS = 3
_SHARED = 0.01  # p of the blocks, under which runs of one block have something in common


def block_values(repeats: Sequence[Sequence[object]], values: Sequence[Sequence[float] | Numbers]) -> Numbers | None:
    """The values as configurations by blocks; None where they are not all over the same blocks, each once.

    Args:
        repeats: of each configuration the seed, fold or data of each of its runs; an empty one is none.
        values: in the same order.
    """
    first = list(repeats[0]) if repeats else []
    if len(repeats) < 2 or len(first) < FEWEST_BLOCKS or len(set(first)) < len(first) or not all(first):
        return None
    rows = []
    for of_one, numbers in zip(repeats, values, strict=True):
        by_block = dict(zip(of_one, numbers, strict=True))
        if len(by_block) != len(of_one) or by_block.keys() != set(first):
            return None
        rows.append([by_block[block] for block in first])
    return np.array(rows, np.float64)


def share_something(values: Numbers) -> bool:
    """Whether runs of one block have something in common: the F test of the blocks of a randomised block design.

    Fisher (1935), "The Design of Experiments", chapter 4. Without a common part blocks only cost degrees of freedom.

    Args:
        values: configurations by blocks.
    """
    from scipy.special import fdtrc

    k, n = values.shape
    error = _error(values)
    of_blocks = float(k * values.mean(axis=0).var(ddof=1))
    if error <= 0:
        return of_blocks > 0
    p = float(fdtrc(n - 1, (n - 1) * (k - 1), of_blocks / error))
    return p < _SHARED


def block_ranges(values: Numbers, first: int) -> tuple[Numbers, int]:
    """The differences of the means from the leader's, in standard errors of a mean, and their degrees of freedom.

    For Tukey's studentised range in a randomised block design.
    """
    k, n = values.shape
    means = values.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ranges: Numbers = np.nan_to_num((means[first] - means) / np.sqrt(_error(values) / n), nan=0.0)
    return ranges, (n - 1) * (k - 1)


def pair_ps(values: Numbers, first: int) -> NDArray[np.float64]:
    """Two-sided p of Student's paired t test (1908) of each against the leader; NaN where all pairs differ alike."""
    from scipy.special import stdtr

    differences = values[first] - values
    n = values.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / np.sqrt(n))
    ps: NDArray[np.float64] = 2 * stdtr(n - 1, -np.abs(ratios))
    return ps


def _error(values: Numbers) -> float:
    """The variance of a value around its configuration and its block."""
    k, n = values.shape
    rest = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return float((rest**2).sum()) / float((n - 1) * (k - 1))
