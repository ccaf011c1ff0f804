"""Counts in sentences, with singular and plural."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def counted(number: int, singular: str, plural: str = "") -> str:
    """A number with its noun: `1 run`, `2 runs`, `1,204 runs`.

    Args:
        number: the count.
        singular: the singular noun.
        plural: the plural, if it is not the singular with an s.
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def none_of(number: int, singular: str) -> str:
    """The subject of a negative sentence: `None of the 12 runs`, or `No run` for a single one."""
    return f"No {singular}" if number == 1 else f"None of the {counted(number, singular)}"


def and_more(names: Sequence[str], most: int) -> str:
    """The first names and how many others there are: `a, b and 3 more`."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown
