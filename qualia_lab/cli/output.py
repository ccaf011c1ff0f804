"""Output for programs: rows as JSON or CSV on stdout."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from qualia_lab import console
from qualia_lab.escaping import for_csv

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def show_json(rows: Iterable[dict[str, Any]]) -> None:
    """Print a JSON array in ASCII, a row per line; NaN and infinities become "NaN", "Infinity" and "-Infinity"."""
    line = "["
    for place, row in enumerate(rows):
        if place:
            console.show(f"{line},")
        line = f"{' ' if place else '['}{json.dumps(plain_json(row), allow_nan=False)}"
    console.show(f"{line}]")


def show_csv(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Print CSV with a header; missing values are empty, and text that starts a formula gets a leading `'`."""
    console.show(",".join(_cell(column) for column in columns))
    for row in rows:
        console.show(",".join(_cell(row.get(column)) for column in columns))


def plain_json(value: Any) -> Any:
    """The value in standard JSON types: NaN and infinities as text, tuples as lists."""
    if isinstance(value, dict):
        return {key: plain_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _cell(value: Any) -> str:
    return "" if value is None else for_csv(str(plain_json(value)))
