"""Parse an answer to a list: numbers, all items, or text to filter the list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qualia_lab.errors import SelectionError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERS = re.compile(r"([0-9]+)(?:-([0-9]+))?")


def parse_choice(text: str, count: int, shown: int | None = None) -> tuple[int, ...] | str:
    """Parse which items of a list an answer chooses.

    `1,3-5` are numbers from 1; `all` is every item. Everything else is text to filter the list, as is any text after a
    leading `/`, which is removed.

    Args:
        text: the answer.
        count: the number of items in the list.
        shown: how many items, from the first, have been shown so far; None for all.

    Returns:
        Positions from 0, in the order given and without duplicates; or the text to filter by.

    Raises:
        SelectionError: a number is not in the list, or has not been shown yet.
    """
    answer = text.strip()
    if answer.startswith("/"):
        return answer[1:].strip()
    if answer.lower() == "all":
        return tuple(range(count))
    parts = re.sub(r"\s*-\s*", "-", answer.replace(",", " ")).split()
    if parts and all(_NUMBERS.fullmatch(part) for part in parts):
        return _positions(parts, count, count if shown is None else shown)
    return answer


def narrow(text: str, items: Sequence[str]) -> tuple[int, ...]:
    """The positions of the items that contain the text, ignoring case."""
    wanted = text.casefold()
    return tuple(index for index, item in enumerate(items) if wanted in item.casefold())


def _positions(parts: Sequence[str], count: int, shown: int) -> tuple[int, ...]:
    chosen: dict[int, None] = {}
    for part in parts:
        first, last = (_read(text) for text in (part.partition("-")[0], part.rpartition("-")[2]))
        if not (1 <= first <= count and 1 <= last <= count):
            raise SelectionError(
                f"{part[:40]} is not in the list.", f"It goes from 1 to {count}; /{part[:40]} searches for text."
            )
        if max(first, last) > shown:
            raise SelectionError(
                f"{part} was not shown yet: the list was shown up to {shown}.",
                "Type more for the next; all selects all.",
            )
        if first > last:
            raise SelectionError(f"{part} runs backwards.", f"Write {last}-{first}, or /{part} to search for it.")
        chosen.update(dict.fromkeys(range(first - 1, last)))
    return tuple(chosen)


def _read(digits: str) -> int:
    """The number; long ones are not parsed, since Python refuses more than 4,300 digits."""
    return int(digits) if len(digits) < 10 else 10**9
