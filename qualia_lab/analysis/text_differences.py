"""Compare two texts line by line: removed and added lines, with a little context."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST = 2_000  # lines compared per text; the time grows with the product of both lengths
CONTEXT = 3  # unchanged lines shown before and after a change


@dataclass(frozen=True)
class DifferingLine:
    """A line of one of the texts or of both.

    Attributes:
        kind: whether the line was removed or added, is the same in both, or stands for a gap of unchanged lines.
        text: the line; for a gap the number of lines left out.
    """

    kind: Literal["removed", "added", "same", "gap"]
    text: str


@dataclass(frozen=True)
class TextDifference:
    """The difference between two texts.

    Attributes:
        lines: the lines, in order.
        removed, added: how many lines were removed and added.
        cut: whether either text was too long to be compared completely.
    """

    lines: tuple[DifferingLine, ...]
    removed: int
    added: int
    cut: bool


def text_difference(before: str, after: str) -> TextDifference:
    """Compare two texts by lines (Ratcliff and Obershelp's algorithm, as in Python's difflib)."""
    old, new = before.splitlines(), after.splitlines()
    cut = max(len(old), len(new)) > LONGEST
    old, new = old[:LONGEST], new[:LONGEST]
    # Equal lines at both ends are skipped first: difflib would spend time on them.
    head = sum(1 for _ in takewhile(_are_equal, zip(old, new, strict=False)))
    tail = sum(1 for _ in takewhile(_are_equal, zip(old[head:][::-1], new[head:][::-1], strict=False)))
    middle = difflib.SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail])
    steps = [("equal", 0, head, 0, head)] if head else []
    steps += [(tag, a + head, b + head, c + head, d + head) for tag, a, b, c, d in middle.get_opcodes()]
    if tail:
        steps.append(("equal", len(old) - tail, len(old), len(new) - tail, len(new)))
    lines: list[DifferingLine] = []
    for index, (tag, a, b, c, d) in enumerate(steps):
        if tag == "equal":
            lines += _context(old[a:b], first=index == 0, last=index == len(steps) - 1)
        else:
            lines += [DifferingLine("removed", line) for line in old[a:b]]
            lines += [DifferingLine("added", line) for line in new[c:d]]
    kinds = [line.kind for line in lines]
    return TextDifference(tuple(lines), kinds.count("removed"), kinds.count("added"), cut)


def _are_equal(pair: tuple[str, str]) -> bool:
    """Whether two lines are equal."""
    return pair[0] == pair[1]


def _context(alike: Sequence[str], *, first: bool, last: bool) -> Iterator[DifferingLine]:
    """The context lines of a stretch that is the same in both texts, with a gap in place of the rest."""
    start = 0 if first else CONTEXT
    end = 0 if last else CONTEXT
    left_out = len(alike) - start - end
    if left_out <= 1:
        start, end, left_out = len(alike), 0, 0
    for line in alike[:start]:
        yield DifferingLine("same", line)
    if left_out:
        yield DifferingLine("gap", str(left_out))
    for line in alike[len(alike) - end :] if end else ():
        yield DifferingLine("same", line)
