"""Offers: a new version of a cell that a person edited, in a raw cell beside it with a line on how to take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.notebook.generated import NAMESPACE, digest, own_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

_EDITED = "A new version of the cell above, which you have edited, so that yours stayed."
_NOTES = {
    "code": f"# {_EDITED} To take it, delete that cell and make this one code (Esc, Y). Else delete this one.",
    "markdown": f"<!-- {_EDITED} To take it, delete that cell and make this one Markdown (Esc, M). Else delete this "
    "one. -->",
}
_NOTES["raw"] = _NOTES["code"]


def offered_cell(key: str, new: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the cell that offers a new version.

    Args:
        key: the key of the edited cell.
        new: the new version.
        before: the cell that offered an earlier version; its id stays.
    """
    source = f"{_NOTES[new['cell_type']]}\n{new['source']}"
    return {
        "cell_type": "raw",
        "id": (before or {}).get("id") or f"new-{new['id']}"[:64],
        "metadata": {NAMESPACE: {"offer": key, "digest": digest(source)}},
        "source": source,
    }


def offer_of(cell: Mapping[str, Any]) -> str:
    """Return the key of the cell of which this one offers a new version, or ""."""
    key = own_metadata(cell).get("offer")
    return key if isinstance(key, str) else ""


def is_offer(cell: Mapping[str, Any]) -> bool:
    """Whether a cell offers a new version that has not been taken."""
    return bool(offer_of(cell)) and cell["cell_type"] == "raw"


def is_taken(cell: Mapping[str, Any]) -> bool:
    """Whether the person turned an offer into a cell of the notebook."""
    return bool(offer_of(cell)) and cell["cell_type"] != "raw"


def offered_source(cell: Mapping[str, Any]) -> str:
    """Return the source of an offer without the line on how to take it."""
    source = str(cell["source"])
    first, _, rest = source.partition("\n")
    return rest if first in _NOTES.values() else source
