"""The tables of `mlflow.log_table`, known by their form: the tag that names them is not on every run that has one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# As pandas writes them with orient="split": the names of the columns stand before the rows.
_COLUMNS = re.compile(r'\s*\{\s*"columns"\s*:\s*(?=\[)')
_INDEX = re.compile(r'\s*,\s*"index"\s*:\s*(?=\[)')
_DATA = re.compile(r'\s*,\s*"data"\s*:\s*\[\s*')
_NEXT = re.compile(r"\s*,\s*")
_END = re.compile(r"\s*\]\s*\}\s*")


@dataclass(frozen=True)
class LoggedTable:
    """Names of the columns, and rows of JSON values.  whole: whether the text ended where the table does."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    whole: bool


def read_logged_table(text: str) -> LoggedTable | None:
    """The table that a JSON text is, or its first rows where the text is cut; None where it is none."""
    try:
        return _read(text)
    except (ValueError, RecursionError):
        return None


def is_logged_table(text: str) -> bool:
    """Whether a text is such a table, and all of it."""
    table = read_logged_table(text)
    return table is not None and table.whole


def cell_text(value: Any) -> str:
    """A cell on one line; a picture, which `log_table` keeps in a file of its own, by the path of that file."""
    if isinstance(value, dict) and value.get("type") == "image" and isinstance(value.get("filepath"), str):
        return f"picture {value['filepath']}"
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _read(text: str) -> LoggedTable | None:
    decode = json.JSONDecoder().raw_decode
    start = _COLUMNS.match(text)
    if start is None:
        return None
    names, at = decode(text, start.end())
    if index := _INDEX.match(text, at):
        at = decode(text, index.end())[1]
    data = _DATA.match(text, at)
    if data is None:
        return None
    rows: list[list[Any]] = []
    at, whole = data.end(), False
    while not (whole := bool(_END.fullmatch(text, at))):
        if rows:
            comma = _NEXT.match(text, at)
            if comma is None:
                break
            at = comma.end()
        try:
            row, at = decode(text, at)
        except ValueError:
            break  # here the text is cut
        if not isinstance(row, list) or len(row) != len(names):
            return None
        rows.append(row)
    return LoggedTable(tuple(cell_text(name) for name in names), rows, whole) if rows or whole else None
