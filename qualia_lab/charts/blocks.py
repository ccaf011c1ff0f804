"""Foldable tables of a card: what they hold, and their HTML. Strings come from a store and are escaped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.escaping import for_html

if TYPE_CHECKING:
    from collections.abc import Sequence

_VALUE_WIDTH = 400
_FOLDED_ABOVE = 40

# JupyterLab aligns cells at their right, which the style of a table does not change, and removes `<style>` from
# notebooks that nobody has trusted. So each cell of text has its style, in few characters; cells of numbers have none.
_TEXT_CELL = " style=text-align:left"
_CELL_OF_LINES = ' style="text-align:left;vertical-align:top;white-space:pre-wrap"'


@dataclass(frozen=True)
class Block:
    """A table of a card: its title, the names of its columns, and its rows; columns of numbers are the last ones."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    number_columns: int = 0


def block_html(block: Block) -> str:
    """Render a foldable table, folded at first if it is long."""
    texts = len(block.header) - block.number_columns
    head = "".join(
        f"<th{_TEXT_CELL if place < texts else ''}>{for_html(name)}</th>" for place, name in enumerate(block.header)
    )
    body = "".join(
        f"<tr>{''.join(_cell(text, is_number=place >= texts) for place, text in enumerate(row))}</tr>"
        for row in block.rows
    )
    opened = " open" if len(block.rows) <= _FOLDED_ABOVE else ""
    table = f'<table style="overflow-wrap:anywhere"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f"<details{opened}><summary>{for_html(block.title)}</summary>{table}</details>"


def _cell(text: str, *, is_number: bool) -> str:
    style = "" if is_number else _CELL_OF_LINES if "\n" in text or "  " in text else _TEXT_CELL
    return f"<td{style}>{for_html(_cut(text))}</td>"


def _cut(text: str) -> str:
    """Return the text, or its start and a note on the length if it is too long."""
    if len(text) <= _VALUE_WIDTH:
        return text
    return f"{text[:_VALUE_WIDTH]} … (showing {_VALUE_WIDTH} of {len(text):,} characters)"
