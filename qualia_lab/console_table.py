"""Lay out tables for a terminal of a given width."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.names import display_width

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = 2  # spaces between two columns
_MIN_TEXT = 12  # minimum width of a text or a title before its column is dropped
_MIN_NAME = 32  # minimum width of a name before it wraps
_MIN_WRAPPED_NAME = 8

_WORDS = re.compile(r"(?<=[\s_./:-])(?=[^\s_./:-])")


@dataclass(frozen=True)
class Column:
    """A column of a terminal table. A column without a title (a mark) is never truncated or dropped.

    Attributes:
        title: the heading.
        right: right-aligned and never truncated, for numbers.
        whole: never truncated or dropped.
        name: never dropped; a long text wraps between words.
        short: truncated to this many characters before any other column shrinks, and never dropped; for ids.
        early: dropped before the other columns; otherwise the last column is dropped first.
    """

    title: str
    right: bool = False
    whole: bool = False
    name: bool = False
    short: int | None = None
    early: bool = False

    @property
    def stays(self) -> bool:
        """Whether the column is never dropped."""
        return self.whole or self.name or not self.title or self.short is not None


def lay_out(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width_limit: int | None
) -> tuple[list[str], list[str], list[str]]:
    """Lay out a table in at most `width_limit` terminal columns, if the columns that are never dropped fit.

    Args:
        columns: the columns of the table.
        rows: one text for each column, without line breaks.
        width_limit: the width of the terminal; None for no limit.

    Returns:
        The lines of the headings, the lines of the rows, and the titles of the columns that were dropped.
    """
    width_of = [max((display_width(row[index]) for row in rows), default=0) for index in range(len(columns))]
    natural = [max(width, display_width(column.title)) for width, column in zip(width_of, columns, strict=True)]
    shown = list(range(len(columns)))
    widths = dict(enumerate(natural))
    if width_limit is not None:
        min_widths = [_min_width(*arguments) for arguments in zip(columns, width_of, natural, strict=True)]
        if _excess(widths, width_limit) > 0:
            widths |= {index: min_widths[index] for index in shown if columns[index].short is not None}
        _shrink(widths, shown, min_widths, width_limit)
        for index in sorted(shown, key=lambda index: (not columns[index].early, -index)):
            if _excess(widths, width_limit) > 0 and not columns[index].stays:
                del widths[index]
        names = [index for index in widths if columns[index].name]
        _shrink(widths, names, [_MIN_WRAPPED_NAME] * len(columns), width_limit)
        _widen(widths, columns, natural, width_limit)
    shown = list(widths)
    shown_columns = [columns[index] for index in shown]
    titles = [_wrapped(column.title, widths[index]) for index, column in zip(shown, shown_columns, strict=True)]
    lines = [
        line
        for row in rows
        for line in _lines([_cell(columns[index], row[index], widths[index]) for index in shown], shown_columns, widths)
    ]
    left_out = [column.title for index, column in enumerate(columns) if index not in widths]
    return _lines(titles, shown_columns, widths), lines, left_out


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Wrap a sentence at spaces; lines after the first begin with `indent`. Words longer than a line are not split."""
    first, *words = text.lstrip(" ").split(" ")
    lines = [" " * (len(text) - len(text.lstrip(" "))) + first]
    for word in words:
        longer = f"{lines[-1]} {word}"
        if display_width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(f"{indent}{word}")
    return lines


def _min_width(column: Column, values: int, natural: int) -> int:
    """The width to which a column shrinks before columns are dropped."""
    if column.short is not None:
        return min(natural, column.short)
    if column.whole or column.early or not column.title:
        return natural
    if column.name:
        return min(natural, _MIN_NAME)
    return max(values, min(natural, _MIN_TEXT)) if column.right else min(natural, _MIN_TEXT)


def _excess(widths: dict[int, int], width_limit: int) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1) - width_limit


def _shrink(widths: dict[int, int], indices: Sequence[int], min_widths: Sequence[int], width_limit: int) -> None:
    """Shrink the widest of these columns, one step at a time, until the table fits or all are at their minimum."""
    while _excess(widths, width_limit) > 0:
        shrinkable = [index for index in indices if widths[index] > min_widths[index]]
        if not shrinkable:
            return
        widths[max(shrinkable, key=widths.__getitem__)] -= 1


def _widen(widths: dict[int, int], columns: Sequence[Column], natural: Sequence[int], width_limit: int) -> None:
    """Distribute the remaining width to names, then to other columns; an id is either complete or short."""
    for index in sorted(widths, key=lambda index: (not columns[index].name, index)):
        extra = min(natural[index] - widths[index], max(0, -_excess(widths, width_limit)))
        if columns[index].short is None or widths[index] + extra == natural[index]:
            widths[index] += extra


def _cell(column: Column, text: str, width: int) -> list[str]:
    """The lines of a cell: names wrap, ids are truncated, other texts end in `…`."""
    if display_width(text) <= width:
        return [text]
    if column.name:
        return _wrapped(text, width)
    return [_cut(text, width)] if column.short is not None else [_cut(text, width - 1) + "…"]


def _wrapped(text: str, width: int) -> list[str]:
    """Wrap a name after spaces and `_ - . / :`; a word is split only if it is longer than a line."""
    lines = [""]
    for part in _WORDS.split(text):
        if display_width((lines[-1] + part).rstrip()) > width and lines[-1]:
            lines.append("")
        rest = part
        while display_width(rest.rstrip()) > width:
            first = _cut(rest, width) or rest[0]
            lines[-1:] = [first, ""]
            rest = rest[len(first) :]
        lines[-1] += rest
    return [line.rstrip() for line in lines]


def _lines(cells: Sequence[Sequence[str]], columns: Sequence[Column], widths: dict[int, int]) -> list[str]:
    """The lines of one row."""
    lines = []
    for number in range(max(map(len, cells), default=0)):
        texts = [cell[number] if number < len(cell) else "" for cell in cells]
        padded = [
            " " * (width - display_width(text)) + text if column.right else text + " " * (width - display_width(text))
            for text, column, width in zip(texts, columns, widths.values(), strict=True)
        ]
        lines.append((" " * _GAP).join(padded).rstrip())
    return lines


def _cut(text: str, width: int) -> str:
    """The longest prefix of the text that fits."""
    while display_width(text) > width:
        text = text[: max(0, min(len(text) - 1, width))]
    return text
