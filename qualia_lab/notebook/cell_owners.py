"""Which cell of an edited notebook is the generated one of a key, although cells were copied, split or stripped."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from qualia_lab.notebook.build import cell_id
from qualia_lab.notebook.generated import cell_key
from qualia_lab.notebook.merge_text import is_same_text
from qualia_lab.notebook.offers import is_offer, is_taken, offer_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Cell = dict[str, Any]


def owners_of(local: Sequence[Cell], generated: Mapping[str, Cell], base: Mapping[str, str]) -> dict[str, int]:
    """Return the index of the generated cell of each key: by its metadata, else by its id, else by its source.

    Args:
        local: the cells of the notebook.
        generated: the cells as they are generated now, by key.
        base: the sources that were generated before, by key, without those that the person deleted.
    """
    by_key: defaultdict[str, list[int]] = defaultdict(list)
    for place, cell in enumerate(local):
        if key := cell_key(cell):
            by_key[key].append(place)
    owners = {
        key: next((place for place in places if local[place].get("id") == cell_id(key, set())), places[0])
        for key, places in by_key.items()
    }
    taken = {place for places in by_key.values() for place in places}
    for place, cell in enumerate(local):  # an offer that the person turned into a cell of the right type
        key = offer_of(cell)
        if is_taken(cell) and key in generated and key not in owners and is_of_type(cell, generated[key]):
            owners[key] = place
            taken.add(place)
    for key in dict.fromkeys((*base, *generated)):
        # Only if no cell has our metadata did a tool remove it; else a cell of equal source is a copy of the person's.
        found = None if key in owners else _unmarked(key, local, None if by_key else base.get(key), taken)
        if found is not None:
            owners[key] = found
            taken.add(found)
    return owners


def _unmarked(key: str, local: Sequence[Cell], base: str | None, taken: Collection[int]) -> int | None:
    """Return the index of the cell of a key whose metadata was removed: the one with its id, or with its source."""
    free = [place for place, cell in enumerate(local) if place not in taken and not is_offer(cell)]
    wanted = cell_id(key, set())
    for place in free:
        if local[place].get("id") == wanted:
            return place
    if not base:
        return None
    return next(
        (
            place
            for place in free
            if is_same_text(local[place]["source"], base, is_code=local[place]["cell_type"] == "code")
        ),
        None,
    )


def is_of_type(cell: Cell, new: Cell) -> bool:
    """Whether a cell has the type of the generated one."""
    return bool(cell["cell_type"] == new["cell_type"])
