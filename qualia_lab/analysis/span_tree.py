"""The tree of the spans of one trace, also where parents are missing or form a cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class TreeSpan:
    """One span in the order of the tree: a span is followed by its descendants.

    Attributes:
        row: its index in the given spans.
        depth: 0 for a root.
        parent: the index of its parent in the given spans; None for a root.
        remark: why it is a root although it names a parent; "" if it is not.
    """

    row: int
    depth: int
    parent: int | None = None
    remark: str = ""


def span_tree(
    span_ids: Sequence[str], parent_ids: Sequence[str | None], starts: Sequence[int | None]
) -> list[TreeSpan]:
    """Order the spans of a trace as a tree: siblings by start, then as given.

    A span whose parent is not among the spans is a root, with a remark. Where spans are parents of each other, the one
    that starts first becomes a root. If two spans have the same id, the first one is the parent of those that name it.

    Args:
        span_ids: the ids of the spans.
        parent_ids: the ids of their parents; None or "" for a root.
        starts: their start times; None if unknown.

    Returns:
        Every span exactly once.
    """
    parents = parents_of(span_ids, parent_ids)
    order = sorted(range(len(span_ids)), key=lambda row: (starts[row] is None, starts[row] or 0, row))
    children: dict[int, list[int]] = {}
    for row in order:
        parent = parents[row]
        if parent is not None:
            children.setdefault(parent, []).append(row)
    tree: list[TreeSpan] = []
    placed = [False] * len(span_ids)

    def place(root: int, remark: str) -> None:
        stack = [TreeSpan(root, 0, None, remark)]
        while stack:
            span = stack.pop()
            if placed[span.row]:  # only in a cycle, which leads back to its root
                continue
            placed[span.row] = True
            tree.append(span)
            stack += [TreeSpan(child, span.depth + 1, span.row) for child in reversed(children.get(span.row, ()))]

    for row in order:
        if parents[row] is None:
            place(row, "its parent is missing" if parent_ids[row] else "")
    for row in order:
        if not placed[row]:
            place(row, "its parents form a cycle")
    return tree


def parents_of(span_ids: Sequence[str], parent_ids: Sequence[str | None]) -> list[int | None]:
    """The index of the parent of each span of a trace; None for none, a missing one, or the span itself."""
    places: dict[str, int] = {}
    for row, span_id in enumerate(span_ids):
        places.setdefault(span_id, row)
    found = [places.get(parent_id) if parent_id else None for parent_id in parent_ids]
    return [None if parent == row else parent for row, parent in enumerate(found)]
