"""Merge a newly generated notebook into one that a person works on: no text of theirs is lost.

The order of the person is kept. A generated cell is recognised by the key in its metadata; a tool that removed the
metadata has left its id or its source. Of a key that several cells have, because one was copied or split, one cell is
the generated one, and the others are the person's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from qualia_lab.notebook.build import cell_id
from qualia_lab.notebook.cell_ids import with_unique_ids
from qualia_lab.notebook.cell_owners import Cell, is_of_type, owners_of
from qualia_lab.notebook.generated import NAMESPACE, cell_key, digest, own_metadata
from qualia_lab.notebook.merge_parameters import merge_parameters
from qualia_lab.notebook.merge_text import is_same_text, merge_lines, parses
from qualia_lab.notebook.offers import is_offer, is_taken, offer_of, offered_cell, offered_source

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Outcome = Literal["same", "replaced", "kept", "merged", "offered"]

PARAMETERS = "parameters"  # the key of the cell that is merged value by value


@dataclass(frozen=True)
class Merged:
    """A merged notebook.

    Attributes:
        cells: the cells, with ids that are valid and unique.
        base: the sources that the next merge compares with, by key.
        deleted: the keys of the cells that the person deleted.
        outcomes: what happened to each generated cell that the person still has, by key: `same`, `replaced` by the new
            one, `kept` as the person edited it, `merged`, or kept with the new one `offered` beside it.
        added: the keys of new cells.
        removed: the keys of cells that are generated no longer and that nobody edited.
        owned: the keys of cells that are generated no longer, and that the person edited: they are the person's now.
        own: the number of the person's own cells.
    """

    cells: tuple[Cell, ...]
    base: Mapping[str, str]
    deleted: tuple[str, ...] = ()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()
    own: int = 0

    def keys(self, *outcomes: Outcome) -> tuple[str, ...]:
        """The keys with one of these outcomes."""
        return tuple(key for key, outcome in self.outcomes.items() if outcome in outcomes)


def merge_cells(
    local: Sequence[Cell],
    new: Sequence[Cell],
    base: Mapping[str, str],
    *,
    deleted: Collection[str] = (),
    restore: bool = False,
) -> Merged:
    """Merge generated cells into the cells of a notebook.

    Args:
        local: the cells of the notebook, with sources as text.
        new: the cells as they are generated now, of `build_notebook`, with sources as text.
        base: the sources that were generated before, by key; empty if a tool removed them.
        deleted: the keys of the cells that the person deleted before.
        restore: whether cells that the person deleted come back.

    Returns:
        The merged cells.
    """
    generated = {cell_key(cell): cell for cell in new}
    known = {key: source for key, source in base.items() if key not in deleted}
    owners = owners_of(local, generated, known)
    key_at = {place: key for key, place in owners.items()}
    offers = {offer_of(cell): cell for place, cell in enumerate(local) if place not in key_at and is_offer(cell)}
    gone = () if restore else [key for key in dict.fromkeys((*deleted, *base)) if key not in owners]
    result = _Result()
    for place, cell in enumerate(local):
        key = key_at.get(place)
        if key is None:
            _add_own(result, cell, offers, owners)
        elif key in generated:
            _add_generated(result, cell, generated[key], base.get(key), offers.get(key))
        else:
            _add_former(result, key, cell, base.get(key))
    added = [key for key in generated if key not in owners and key not in gone]
    _insert(result.cells, [generated[key] for key in added], list(generated))
    sources = {key: result.base.get(key, str(cell["source"])) for key, cell in generated.items()}
    return Merged(
        with_unique_ids(result.cells),
        sources,
        tuple(gone),
        result.outcomes,
        tuple(added),
        tuple(result.removed),
        tuple(result.owned),
        result.own,
    )


@dataclass
class _Result:
    """What is collected while the cells of a notebook are merged in their order."""

    cells: list[Cell] = field(default_factory=list)
    base: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    owned: list[str] = field(default_factory=list)
    own: int = 0


class _Resolved(NamedTuple):
    """What becomes of a generated cell: its source, what it is compared with next time, and what happened."""

    source: str
    base: str
    outcome: Outcome


def _add_own(result: _Result, cell: Cell, offers: Mapping[str, Cell], owners: Mapping[str, int]) -> None:
    """Add a cell of the person; an offer that nobody edited is left out, because its cell adds it again."""
    offer = is_offer(cell)
    if offer and offers.get(offer_of(cell)) is cell and offer_of(cell) in owners and not _is_edited(cell):
        return
    result.cells.append(_without_our_metadata(cell))
    result.own += 1


def _add_generated(result: _Result, cell: Cell, new: Cell, base: str | None, offer: Cell | None) -> None:
    """Add a generated cell as it is from now on, and the offer of a new source beside it."""
    key = cell_key(new)
    local = offered_source(cell) if is_taken(cell) else cell["source"]
    own = own_metadata(cell)
    if offer is None and own.get("offered") == digest(new["source"]):
        base = new["source"]  # it was offered, and the person removed the offer: what is there now is decided
    resolved = _resolve(key, local, new, base, own.get("digest"), is_same_type=is_of_type(cell, new))
    result.outcomes[key] = resolved.outcome
    result.base[key] = resolved.base
    metadata = {"key": key, "digest": digest(resolved.base)}
    if resolved.outcome == "offered":
        metadata["offered"] = digest(new["source"])
    merged = _with_source(cell, resolved.source, metadata)
    if key == PARAMETERS:
        merged["metadata"]["tags"] = list(
            dict.fromkeys((*merged["metadata"].get("tags", ()), *new["metadata"]["tags"]))
        )
    result.cells.append(merged)
    if resolved.outcome == "offered":
        result.cells.append(offered_cell(key, new, offer))


def _resolve(key: str, local: str, new: Cell, base: str | None, recorded: object, *, is_same_type: bool) -> _Resolved:
    """Decide between the source of the person and the new one."""
    is_code, wanted = new["cell_type"] == "code", new["source"]
    if local == wanted and is_same_type:
        return _Resolved(local, wanted, "same")
    if base is None and recorded == digest(local):
        base = local  # the sources were removed, but the cell is as it was generated
    if base is None and wanted.strip():
        return _Resolved(local, "", "offered")  # what was generated is unknown, so nothing can be merged
    if base is None:
        return _Resolved(local, wanted, "kept")
    if is_same_text(base, wanted, is_code=False):
        is_kept = not (is_same_type and is_same_text(local, base, is_code=is_code))
        return _Resolved(local, wanted, "kept" if is_kept else "same")
    if not (is_same_type and base):
        return _Resolved(local, base, "offered")
    if is_same_text(local, base, is_code=is_code):
        return _Resolved(wanted, wanted, "replaced")
    if is_same_text(local, wanted, is_code=is_code):
        return _Resolved(local, wanted, "same")
    merged = (merge_parameters if key == PARAMETERS else merge_lines)(base, local, wanted)
    if merged is None or (is_code and parses(local) and not parses(merged)):
        return _Resolved(local, base, "offered")
    return _Resolved(merged, wanted, "kept" if merged == local else "merged")


def _add_former(result: _Result, key: str, cell: Cell, base: str | None) -> None:
    """Leave out a cell that is generated no longer, unless the person edited it: then it is the person's."""
    is_code = cell["cell_type"] == "code"
    unedited = (
        own_metadata(cell).get("digest") == digest(cell["source"])
        if base is None
        else is_same_text(cell["source"], base, is_code=is_code)
    )
    if unedited:
        result.removed.append(key)
        return
    result.owned.append(key)
    result.own += 1
    result.cells.append(_without_our_metadata(cell))


def _insert(cells: list[Cell], added: Sequence[Cell], order: Sequence[str]) -> None:
    """Insert new cells, each after the nearest one that precedes it in `order`, and after what the person has there."""
    for new in added:
        places = {cell_key(cell): place for place, cell in enumerate(cells) if cell_key(cell)}
        before = order[: order.index(cell_key(new))]
        place = next((places[key] + 1 for key in reversed(before) if key in places), 0)
        while place and place < len(cells) and not cell_key(cells[place]):
            place += 1
        cells.insert(place, new)


def _with_source(cell: Cell, source: str, own: Mapping[str, str]) -> Cell:
    """The cell with this source and our metadata; outputs of another source are cleared."""
    changed = {**cell, "source": source, "metadata": {**cell["metadata"], NAMESPACE: dict(own)}}
    if changed["cell_type"] == "code":
        stale = source != cell["source"]
        changed["outputs"] = [] if stale else cell.get("outputs", [])
        changed["execution_count"] = None if stale else cell.get("execution_count")
    return changed


def _without_our_metadata(cell: Cell) -> Cell:
    """The cell as one of the person's: without our metadata, and without the id by which it would be recognised."""
    if NAMESPACE not in cell["metadata"]:
        return cell
    own = {**cell, "metadata": {name: value for name, value in cell["metadata"].items() if name != NAMESPACE}}
    if own.get("id") == cell_id(cell_key(cell), set()):
        del own["id"]
    return own


def _is_edited(cell: Cell) -> bool:
    return bool(own_metadata(cell).get("digest") != digest(cell["source"]))
