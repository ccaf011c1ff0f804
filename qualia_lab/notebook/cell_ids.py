"""Ids of cells: valid in nbformat and unique, and as they were where possible."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qualia_lab.notebook.build import cell_id
from qualia_lab.notebook.generated import cell_key, digest

if TYPE_CHECKING:
    from collections.abc import Sequence

_VALID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def with_unique_ids(cells: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return the cells with an id each: generated ones that of their key, others their own or a new one.

    Args:
        cells: the cells, of which some may have no id, an invalid one, or that of another cell.
    """
    ids: set[str] = set()
    given: dict[int, str] = {}
    for place, cell in enumerate(cells):
        if key := cell_key(cell):
            given[place] = cell_id(key, ids)
    for place, cell in enumerate(cells):
        if place not in given:
            found = cell.get("id")
            is_usable = isinstance(found, str) and _VALID.fullmatch(found) and found not in ids
            given[place] = found if is_usable else _new_id(cell["source"], ids)  # type: ignore[assignment]
            ids.add(given[place])
    return tuple({**cell, "id": given[place]} for place, cell in enumerate(cells))


def _new_id(source: str, ids: set[str]) -> str:
    """Return an id that follows from the source, so that the same merge gives the same file."""
    found, number = digest(source), 1
    while found in ids:
        number += 1
        found = f"{digest(source)}-{number}"
    return found
