"""Output for programs: rows as JSON or CSV on stdout."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from qualia_lab import console
from qualia_lab.escaping import for_csv

if TYPE_CHECKING:
    from collections.abc import Sequence


def show_json(rows: Sequence[dict[str, Any]]) -> None:
    """Print a JSON array in ASCII, a row per line; NaN and infinities become "NaN", "Infinity" and "-Infinity"."""
    console.show(_json_array(rows))


def show_json_object(name: str, rows: Sequence[dict[str, Any]], **others: dict[str, Any]) -> None:
    """Print a JSON object like `show_json`: the other values first, then the rows under their name."""
    parts = [f"{json.dumps(key)}: {json.dumps(plain_json(value), allow_nan=False)}" for key, value in others.items()]
    console.show("{" + ",\n ".join([*parts, f"{json.dumps(name)}: {_json_array(rows)}"]) + "}")


def _json_array(rows: Sequence[dict[str, Any]]) -> str:
    lines = ",\n ".join(json.dumps(plain_json(row), allow_nan=False) for row in rows)
    return f"[{lines}]"


def show_csv(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
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
    return for_csv("" if value is None else str(plain_json(value)))
