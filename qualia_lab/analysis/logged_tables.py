"""Read tables of `mlflow.log_table`, recognised by their JSON form: not every run has the tag that names them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# The form that pandas writes with orient="split": the column names come before the rows.
_COLUMNS = re.compile(r'\s*\{\s*"columns"\s*:\s*(?=\[)')
_INDEX = re.compile(r'\s*,\s*"index"\s*:\s*(?=\[)')
_DATA = re.compile(r'\s*,\s*"data"\s*:\s*\[\s*')
_NEXT = re.compile(r"\s*,\s*")
_END = re.compile(r"\s*\]\s*\}\s*")


@dataclass(frozen=True)
class LoggedTable:
    """A table of `mlflow.log_table`.

    Attributes:
        columns: the names of the columns.
        rows: the rows of JSON values.
        is_complete: whether the text was complete, not cut.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    is_complete: bool


def read_logged_table(text: str) -> LoggedTable | None:
    """Parse a JSON text as a logged table, or its first rows where the text is cut; None where it is no such table."""
    try:
        return _read(text)
    except (ValueError, RecursionError):
        return None


def is_logged_table(text: str) -> bool:
    """Whether a text is a complete logged table."""
    table = read_logged_table(text)
    return table is not None and table.is_complete


def cell_text(value: Any) -> str:
    """A cell as one line of text; an image, which `log_table` keeps in a separate file, as the path of that file."""
    if isinstance(value, dict) and value.get("type") == "image" and isinstance(value.get("filepath"), str):
        return f"picture {value['filepath']}"
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _read(text: str) -> LoggedTable | None:
    """Parse the table.

    Raises:
        ValueError: the text is not JSON up to the rows.
    """
    decode = json.JSONDecoder().raw_decode
    start = _COLUMNS.match(text)
    if start is None:
        return None
    names, position = decode(text, start.end())
    if index := _INDEX.match(text, position):
        position = decode(text, index.end())[1]
    data = _DATA.match(text, position)
    if data is None:
        return None
    rows: list[list[Any]] = []
    position, is_complete = data.end(), False
    while not (is_complete := bool(_END.fullmatch(text, position))):
        if rows:
            comma = _NEXT.match(text, position)
            if comma is None:
                break
            position = comma.end()
        try:
            row, position = decode(text, position)
        except ValueError:
            break  # here the text is cut
        if not isinstance(row, list) or len(row) != len(names):
            return None
        rows.append(row)
    return LoggedTable(tuple(cell_text(name) for name in names), rows, is_complete) if rows or is_complete else None
