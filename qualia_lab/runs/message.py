"""`Message`: a sentence that is shown instead of a table or chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from qualia_lab.errors import NothingToCompare
from qualia_lab.escaping import for_html, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Kinds of runs (see `kind_of`) that belong to other runs and do not compete with them.
ASIDE = ("parent", "part", "continued")


class Message:
    """A sentence that is shown instead of a table or chart that cannot be made. Its length is 0.

    Args:
        sentence: the sentence.
        most: the largest number of characters that are shown.
    """

    def __init__(self, sentence: str, most: int = 300) -> None:
        self._sentence = one_line(sentence, most)

    def __len__(self) -> int:
        return 0  # as a table without rows

    def __repr__(self) -> str:
        return self._sentence

    def _repr_html_(self) -> str:
        return f"<p>{for_html(self._sentence)}</p>"


def or_message(make: Callable[[], T]) -> T | Message:
    """Return what `make` returns, or the message of the NothingToCompare that it raises."""
    try:
        return make()
    except NothingToCompare as error:
        return Message(str(error))
