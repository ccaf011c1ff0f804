"""The section that a cell of a notebook belongs to, by the key that generated cells carry in their metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.notebook.build import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

# Cells whose key is not the name of their section.
_PART_OF = {"parameters": "configuration", "client": "configuration"}


def section_of(cell: Mapping[str, Any]) -> str:
    """Return the name of the section of a generated cell, "" for a cell of the user; the metadata may be anything."""
    metadata = cell.get("metadata")
    own = metadata.get(NAMESPACE) if isinstance(metadata, dict) else None
    key = own.get("key") if isinstance(own, dict) else None
    name = key.partition(":")[0] if isinstance(key, str) else ""
    return _PART_OF.get(name, name)
