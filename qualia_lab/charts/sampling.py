"""Even samples of too many points to draw: more would overlap and make the notebook megabytes large."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.marks import Numbers

MAX_POINTS = 3000


def sample_by_value(values: Sequence[float] | Numbers, max_points: int = MAX_POINTS) -> list[int]:
    """Return the indices of all values or, if there are more than `max_points`, of an even sample of the sorted values.

    The lowest and the highest value are in the sample. The indices are in ascending order.
    """
    if len(values) <= max_points:
        return list(range(len(values)))
    ascending = np.argsort(np.array(values, np.float64), kind="stable")
    return sorted(ascending[np.linspace(0, len(values) - 1, max_points).astype(np.int64)].tolist())


def sample_note(drawn: int, total: int, what: str = "runs", more: str = "") -> str:
    """Return `Drawn: 3,000 of 98,000 runs, evenly sampled by value.`, or "" if all are drawn."""
    return f"Drawn: {drawn:,} of {total:,} {what}, evenly sampled by value{more}." if drawn < total else ""
