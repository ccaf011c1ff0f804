"""Merge two edits of one text line by line, and tell which texts of a cell are the same but for their format."""

from __future__ import annotations

import ast
import io
import tokenize
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def merge_lines(base: str, local: str, new: str) -> str | None:
    """Merge two edits of a text, as `diff3` does.

    Args:
        base: the text before both edits.
        local: one edit of it.
        new: the other edit of it.

    Returns:
        The text with both edits; None if they change the same or neighbouring lines in different ways.
    """
    before, ours, theirs = (text.splitlines() for text in (base, local, new))
    merged: list[str] = []
    base_at = local_at = new_at = 0
    for base_start, local_start, new_start, length in _unchanged(before, ours, theirs):
        gaps = before[base_at:base_start], ours[local_at:local_start], theirs[new_at:new_start]
        lines = _merge_gap(*gaps)
        if lines is None:
            return None
        merged += [*lines, *before[base_start : base_start + length]]
        base_at, local_at, new_at = base_start + length, local_start + length, new_start + length
    return "\n".join(merged)


def _merge_gap(before: list[str], ours: list[str], theirs: list[str]) -> list[str] | None:
    """The lines between two unchanged parts, if at most one side changed them or both did so equally."""
    if theirs in (ours, before):
        return ours
    return theirs if ours == before else None


def _unchanged(
    before: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (start in each of the three, length) of the lines that both sides kept, and an empty part at the end."""
    in_ours, in_theirs = _matches(before, ours), _matches(before, theirs)
    start = 0
    while start < len(before):
        ends = [where.get(start) for where in (in_ours, in_theirs)]
        if ends[0] is None or ends[1] is None:
            start += 1
            continue
        length = 1
        while in_ours.get(start + length) == ends[0] + length and in_theirs.get(start + length) == ends[1] + length:
            length += 1
        yield start, ends[0], ends[1], length
        start += length
    yield len(before), len(ours), len(theirs), 0


def _matches(before: Sequence[str], after: Sequence[str]) -> dict[int, int]:
    """Return {index before: index after} of the lines that were kept, in order."""
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    return {block.a + place: block.b + place for block in blocks for place in range(block.size)}


def is_same_text(one: str, other: str, *, is_code: bool) -> bool:
    """Whether two sources of a cell say the same, although a tool formatted one of them.

    Spaces at the ends of lines and empty lines at the ends of the text do not count; in code that parses, neither do
    line breaks, quotes and everything else that changes neither the syntax tree nor a comment.
    """
    if _stripped(one) == _stripped(other):
        return True
    if not is_code:
        return False
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other)) and _comments(one) == _comments(other)
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return False


def parses(source: str) -> bool:
    """Whether a source is Python without commands of IPython."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _stripped(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def _comments(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string.lstrip("# ").rstrip() for token in tokens if token.type == tokenize.COMMENT]
