"""Tables for a terminal: rows and columns become lines that fit into so many columns of text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BETWEEN = 2  # spaces between two columns
_TITLE = 12  # columns of text that a title or a text keeps before its column is left out
_NAME = 32  # and that a name keeps before it goes on in the next line
_NARROWEST = 8

_WORDS = re.compile(r"(?<=[\s_./:-])(?=[^\s_./:-])")


@dataclass(frozen=True)
class Column:
    """A column of a table for people. One without a title, such as a sign, stays whole and is never left out.

    right: numbers, which stand to the right and stay whole.
    whole: never cut and never left out.
    name: never left out either; a long one goes on in the next line, between two words.
    short: cut to so many characters before anything else gives way, and never left out; of an id they are enough.
    early: left out whole before the others; else the last column goes first.
    """

    title: str
    right: bool = False
    whole: bool = False
    name: bool = False
    short: int | None = None
    early: bool = False

    @property
    def stays(self) -> bool:
        """Whether it is never left out."""
        return self.whole or self.name or not self.title or self.short is not None


def lay_out(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int | None
) -> tuple[list[str], list[str], list[str]]:
    """Lines of at most so much room, where what may never be left out fits.

    Args:
        columns: of the table.
        rows: a text per column each, without line breaks.
        room: columns of text; None for any number of them.

    Returns:
        The lines of the titles, those of the rows, and the titles of the columns that were left out for want of room.
    """
    width_of = [max((_width(row[place]) for row in rows), default=0) for place in range(len(columns))]
    natural = [max(width, _width(column.title)) for width, column in zip(width_of, columns, strict=True)]
    shown = list(range(len(columns)))
    widths = dict(enumerate(natural))
    if room is not None:
        least = [_least(*one) for one in zip(columns, width_of, natural, strict=True)]
        if _over(widths, room) > 0:
            widths |= {place: least[place] for place in shown if columns[place].short is not None}
        _shrink(widths, shown, least, room)
        for place in sorted(shown, key=lambda place: (not columns[place].early, -place)):
            if _over(widths, room) > 0 and not columns[place].stays:
                del widths[place]
        names = [place for place in widths if columns[place].name]
        _shrink(widths, names, [_NARROWEST] * len(columns), room)
        _widen(widths, columns, natural, room)
    shown = list(widths)
    kept = [columns[place] for place in shown]
    titles = [_wrapped(column.title, widths[place]) for place, column in zip(shown, kept, strict=True)]
    lines = [
        line
        for row in rows
        for line in _lines([_cell(columns[place], row[place], widths[place]) for place in shown], kept, widths)
    ]
    left_out = [column.title for place, column in enumerate(columns) if place not in widths]
    return _lines(titles, kept, widths), lines, left_out


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of a sentence, broken at spaces; those after the first begin with `indent`. A longer word stays whole."""
    first, *words = text.lstrip(" ").split(" ")
    lines = [" " * (len(text) - len(text.lstrip(" "))) + first]
    for word in words:
        longer = f"{lines[-1]} {word}"
        if _width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(f"{indent}{word}")
    return lines


def _least(column: Column, values: int, natural: int) -> int:
    """The width down to which a column gives way before others are left out."""
    if column.short is not None:
        return min(natural, column.short)
    if column.whole or column.early or not column.title:
        return natural
    if column.name:
        return min(natural, _NAME)
    return max(values, min(natural, _TITLE)) if column.right else min(natural, _TITLE)


def _over(widths: dict[int, int], room: int) -> int:
    return sum(widths.values()) + _BETWEEN * (len(widths) - 1) - room


def _shrink(widths: dict[int, int], places: Sequence[int], least: Sequence[int], room: int) -> None:
    """Take from the widest of these columns, one by one, until all fits or each is as narrow as it may be."""
    while _over(widths, room) > 0:
        can = [place for place in places if widths[place] > least[place]]
        if not can:
            return
        widths[max(can, key=widths.__getitem__)] -= 1


def _widen(widths: dict[int, int], columns: Sequence[Column], natural: Sequence[int], room: int) -> None:
    """Give the room that is left, once columns were left out, to names, then to others; an id is whole or short."""
    for place in sorted(widths, key=lambda place: (not columns[place].name, place)):
        more = min(natural[place] - widths[place], max(0, -_over(widths, room)))
        if columns[place].short is None or widths[place] + more == natural[place]:
            widths[place] += more


def _cell(column: Column, text: str, width: int) -> list[str]:
    """The lines of a cell: a name goes on, an id is cut, another text ends in `…`."""
    if _width(text) <= width:
        return [text]
    if column.name:
        return _wrapped(text, width)
    return [_cut(text, width)] if column.short is not None else [_cut(text, width - 1) + "…"]


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of a name, broken after spaces and `_ - . / :`, and within a word only where that is longer than a line."""
    lines = [""]
    for part in _WORDS.split(text):
        if _width((lines[-1] + part).rstrip()) > width and lines[-1]:
            lines.append("")
        rest = part
        while _width(rest.rstrip()) > width:
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
            " " * (width - _width(text)) + text if column.right else text + " " * (width - _width(text))
            for text, column, width in zip(texts, columns, widths.values(), strict=True)
        ]
        lines.append((" " * _BETWEEN).join(padded).rstrip())
    return lines


def _cut(text: str, width: int) -> str:
    """As much of the text as fits."""
    while _width(text) > width:
        text = text[: max(0, min(len(text) - 1, width))]
    return text


def _width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    from rich.cells import cell_len

    return cell_len(text)
