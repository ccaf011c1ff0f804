"""Lines of `py:percent` texts as jupytext reads them: which begin a cell, magics in comments, and texts in quotes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEADING = re.compile(r"^\s*#\s*%%+(?=[\s\[]|$)(?P<rest>.*)$")
# A comment, a text on this line, or the quotes of a text that may end on another line.
_OUTSIDE = re.compile(r"#.*|(?P<quotes>\"\"\"|''')|\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?")
_INSIDE = {quotes: re.compile(rf"(?:\\.|[^\\])*?(?P<quotes>{quotes})") for quotes in ('"""', "'''")}
_TEXT = re.compile(r"[rR]?(?P<quotes>\"\"\"|''')\n?(?P<text>.*?)\n?(?P=quotes)", re.DOTALL)
_MAGIC = re.compile(
    r"\s*(?:# |#)*%{1,3}[A-Za-z](?!.*#\s*noescape)"
    r"|\s*(?:(?:# |#)+\s*)?[?!]\s*[A-Za-z.~$\\/{}]"
    r"|(?:# |#)*\s*[A-Za-z_]\w*\s*=\s*(?:%{1,3}|!)[A-Za-z]"
)


def begins_of_cells(lines: Sequence[str]) -> list[int]:
    """Return the indices of the lines that begin a cell; one within a text in triple quotes does not.

    Args:
        lines: the lines of a text.
    """
    places = []
    for place, (line, is_quoted) in enumerate(_with_quoted(lines)):
        if not is_quoted and HEADING.match(line):
            places.append(place)
    return places


def code_of(lines: Sequence[str]) -> list[str]:
    """Return the lines of a code cell, with magics such as `# %matplotlib inline` out of their comments.

    Shell commands without `!` and single words with `?` stay comments, since they may be just that.

    Args:
        lines: the lines below the heading of the cell.
    """
    code, goes_on = [], False
    for line, is_quoted in _with_quoted(lines):
        is_magic = not is_quoted and (goes_on or _MAGIC.match(line) is not None)
        goes_on = is_magic and line.rstrip().endswith("\\")
        code.append(re.sub(r"^(\s*)# ?", r"\1", line) if is_magic else line)
    return code


def text_of(lines: Sequence[str]) -> list[str]:
    """Return the lines of a Markdown or raw cell: without comment marks, or within triple quotes.

    Args:
        lines: the lines below the heading of the cell.
    """
    quoted = _TEXT.fullmatch("\n".join(lines).strip())
    return quoted["text"].splitlines() if quoted else without_marks(code_of(lines))


def without_marks(lines: Sequence[str]) -> list[str]:
    """Return lines without the mark of a comment at their beginning, if they have one.

    Args:
        lines: the lines.
    """
    return [re.sub(r"^# ?", "", line) for line in lines]


def _with_quoted(lines: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield each line, and whether it begins within a text in triple quotes."""
    quotes = ""
    for line in lines:
        yield line, bool(quotes)
        position: int | None = 0
        while position is not None:
            found = (_INSIDE[quotes].match if quotes else _OUTSIDE.search)(line, position)
            if found is not None and found["quotes"]:
                quotes = "" if quotes else found["quotes"]
            position = found.end() if found is not None else None
