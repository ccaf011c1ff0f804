"""Listings for programs: rows as JSON or CSV on stdout."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

from qualia_lab import console

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def show_json(rows: Sequence[dict[str, Any]]) -> None:
    """A JSON array, a row a line, in ASCII; NaN and infinities as the strings "NaN", "Infinity" and "-Infinity"."""
    lines = ",\n ".join(json.dumps(_jsonable(row), allow_nan=False) for row in rows)
    console.show(f"[{lines}]")


def show_csv(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """CSV with a header; a missing value is empty, and text that a spreadsheet would run gets a leading `'`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([[_cell(row.get(column)) for column in columns] for row in rows])
    console.show(text.getvalue().removesuffix("\n"))


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _cell(value: Any) -> Any:
    value = _jsonable(value)
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
