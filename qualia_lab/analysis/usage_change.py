"""How much slower, dearer or wordier one version is than another, as a ratio with its 95 % interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.intervals import mean_interval
from qualia_lab.analysis.paired_test import sign_flip_p
from qualia_lab.analysis.two_samples import compare_samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.evaluations import EvaluationRow
    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.row_pairs import RowPair

Quantity = Literal["duration", "total_cost", "total_tokens"]
QUANTITIES: tuple[Quantity, ...] = ("duration", "total_cost", "total_tokens")


@dataclass(frozen=True)
class UsageChange:
    """The second version against the first by one quantity.

    Attributes:
        quantity: duration (ms), total_cost (USD) or total_tokens.
        n_first, n_second: the number of values; equal where they are paired.
        first, second: the geometric means of these values.
        ratio: how many times as much the second version takes; of the geometric means, or the Hodges-Lehmann estimate.
        low, high: its 95 % interval; None where it has none.
        paired: whether the same inputs are compared.
        p: the two-sided p value, not corrected.
    """

    quantity: Quantity
    n_first: int
    n_second: int
    first: float
    second: float
    ratio: float
    low: float | None
    high: float | None
    paired: bool
    p: float


def paired_usage(pairs: Sequence[RowPair], quantity: Quantity) -> UsageChange | None:
    """Compare the same inputs: the mean difference of the logarithms, tested by sign flips (Fisher 1935).

    Args:
        pairs: the paired rows; those that failed or have no positive value on a side are left out.
        quantity: the quantity.

    Returns:
        The change; None for fewer than two pairs.
    """
    logs = [(_mean_log(pair.first, quantity), _mean_log(pair.second, quantity)) for pair in pairs]
    both = np.array([one for one in logs if None not in one], np.float64).reshape(-1, 2)
    if len(both) < 2:
        return None
    differences = both[:, 1] - both[:, 0]
    interval = mean_interval(differences.tolist())
    return UsageChange(
        quantity,
        len(both),
        len(both),
        math.exp(both[:, 0].mean()),
        math.exp(both[:, 1].mean()),
        math.exp(differences.mean()),
        None if interval is None else math.exp(interval.low),
        None if interval is None else math.exp(interval.high),
        paired=True,
        p=sign_flip_p(differences),
    )


def unpaired_usage(first: Numbers, second: Numbers, quantity: Quantity) -> UsageChange | None:
    """Compare different inputs: the logarithms as two samples, see `two_samples.compare_samples`.

    Args:
        first: the values of the first version; those that are not positive are left out, shape (n,).
        second: those of the second, shape (m,).
        quantity: the quantity.

    Returns:
        The change; None where there is no test.
    """
    before, after = (np.log(values[np.isfinite(values) & (values > 0)]) for values in (first, second))
    compared = compare_samples(after.tolist(), before.tolist(), "the inputs differ")
    if compared.p is None or compared.difference is None:
        return None
    return UsageChange(
        quantity,
        len(before),
        len(after),
        math.exp(before.mean()),
        math.exp(after.mean()),
        math.exp(compared.difference),
        None if compared.low is None else math.exp(compared.low),
        None if compared.high is None else math.exp(compared.high),
        paired=False,
        p=compared.p,
    )


def _mean_log(rows: Sequence[EvaluationRow], quantity: Quantity) -> float | None:
    values = [value for row in rows if not row.failed and (value := getattr(row, quantity)) is not None and value > 0]
    return sum(map(math.log, values)) / len(values) if values else None
