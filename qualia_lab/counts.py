"""Counts in words, with the grammar of one and of many."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """`1 run`, `2 runs`, `1,204 runs`.

    Args:
        number: how many there are.
        one: the word for one of them.
        many: the word for several, where it is not the same with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def none_of(number: int, one: str) -> str:
    """The subject of a sentence that denies something of all: `None of the 12 runs`; of a single one `No run`."""
    return f"No {one}" if number == 1 else f"None of the {counted(number, one)}"
