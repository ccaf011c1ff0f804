"""An even choice of what is too much to draw: more points would hide each other, and make a notebook of megabytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.marks import Numbers

MOST_POINTS = 3000


def even_by_value(values: Sequence[float] | Numbers, most: int = MOST_POINTS) -> list[int]:
    """Places of all values, or of very many an even choice by value, lowest and highest among them, as they stand."""
    if len(values) <= most:
        return list(range(len(values)))
    by_value = np.argsort(np.array(values, np.float64), kind="stable")
    return sorted(by_value[np.linspace(0, len(values) - 1, most).astype(np.int64)].tolist())


def drawn_note(drawn: int, in_all: int, what: str = "runs", more: str = "") -> str:
    """`Drawn: 3,000 of 98,000 runs, an even choice by value.`; "" where all are."""
    return f"Drawn: {drawn:,} of {in_all:,} {what}, an even choice by value{more}." if drawn < in_all else ""
