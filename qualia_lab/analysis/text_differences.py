"""Two texts line by line: what was taken out, what came in, and a little of what is around it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST = 2_000  # lines of each text that are compared; the time taken grows with their product
CONTEXT = 3


@dataclass(frozen=True)
class DifferingLine:
    """A line of one of two texts, or of both. `gap`: lines alike in both, as many as `text` says, that are left out."""

    kind: Literal["removed", "added", "same", "gap"]
    text: str


@dataclass(frozen=True)
class TextDifference:
    """What sets the second text apart from the first. `cut`: whether either was too long to be compared whole."""

    lines: tuple[DifferingLine, ...]
    removed: int
    added: int
    cut: bool


def text_difference(before: str, after: str) -> TextDifference:
    """Compare two texts by lines (the algorithm of Ratcliff and Obershelp, as in Python's difflib)."""
    old, new = before.splitlines(), after.splitlines()
    cut = max(len(old), len(new)) > LONGEST
    old, new = old[:LONGEST], new[:LONGEST]
    # What is alike at both ends is found at once: difflib would take its time over it.
    head = sum(1 for _ in takewhile(_alike, zip(old, new, strict=False)))
    tail = sum(1 for _ in takewhile(_alike, zip(old[head:][::-1], new[head:][::-1], strict=False)))
    middle = difflib.SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail])
    steps = [("equal", 0, head, 0, head)] if head else []
    steps += [(tag, a + head, b + head, c + head, d + head) for tag, a, b, c, d in middle.get_opcodes()]
    if tail:
        steps.append(("equal", len(old) - tail, len(old), len(new) - tail, len(new)))
    lines: list[DifferingLine] = []
    for index, (tag, a, b, c, d) in enumerate(steps):
        if tag == "equal":
            lines += _around(old[a:b], first=index == 0, last=index == len(steps) - 1)
        else:
            lines += [DifferingLine("removed", line) for line in old[a:b]]
            lines += [DifferingLine("added", line) for line in new[c:d]]
    kinds = [line.kind for line in lines]
    return TextDifference(tuple(lines), kinds.count("removed"), kinds.count("added"), cut)


def _alike(pair: tuple[str, str]) -> bool:
    return pair[0] == pair[1]


def _around(alike: Sequence[str], *, first: bool, last: bool) -> Iterator[DifferingLine]:
    """The ends of a stretch that both texts have, next to where they differ."""
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
