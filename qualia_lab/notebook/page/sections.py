"""The sections of the page: consecutive cells of one section of the notebook, by the keys of generated cells."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qualia_lab.notebook.generated import cell_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Keys of cells that belong to a section of another name.
_PART_OF = {"run": "each_run", "parameters": "configuration", "client": "configuration"}
# What stands at the end of the page: a reader of the results does not need it first.
HOW_IT_WAS_MADE = frozenset(
    f"{of}{name}" for of in ("", "aggregate_", "traces_") for name in ("setup", "configuration", "loading")
)
_KEY = re.compile(r"([A-Za-z][\w-]{0,63})(?::.*)?", re.ASCII | re.DOTALL)


@dataclass
class PageSection:
    """Consecutive cells of one section.

    Attributes:
        name: the name of the section in the notebook; "" for cells before the first generated one.
        anchor: the id of the element, unique on the page.
        cells: the cells, in order; those of users belong to the section before them.
    """

    name: str
    anchor: str
    cells: list[Mapping[str, Any]] = field(default_factory=list)


def page_sections(cells: Sequence[Mapping[str, Any]]) -> list[PageSection]:
    """Group the cells of a notebook in sections."""
    sections: list[PageSection] = []
    anchors: set[str] = set()
    for cell in cells:
        name = section_name(cell)
        if not sections or (name and name != sections[-1].name):
            sections.append(PageSection(name, _anchor(name, anchors)))
        sections[-1].cells.append(cell)
    # The answer is always at #headline, whichever of the two sections a template has.
    if "headline" not in anchors:
        for section in sections:
            if section.name == "findings":
                section.anchor = "headline"
                break
    return sections


def section_name(cell: Mapping[str, Any]) -> str:
    """Return the name of the section that a generated cell belongs to, or "" for any other cell."""
    key = cell_key(cell)
    match = _KEY.fullmatch(key)
    return _PART_OF.get(match[1], match[1]) if match else ""


def _anchor(name: str, anchors: set[str]) -> str:
    anchor, count = name, 1
    while anchor and anchor in anchors:
        count += 1
        anchor = f"{name}-{count}"
    anchors.add(anchor)
    return anchor
