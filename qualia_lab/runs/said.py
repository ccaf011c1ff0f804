"""Sentences that stand where a table or a chart would."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from qualia_lab.errors import NothingToCompare
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# What runs are that stand beside others and are no rivals of them, as `kind_of` says it.
ASIDE = ("parent", "part", "continued")


class Said:
    """A sentence in the place of something that cannot be shown."""

    def __init__(self, sentence: str) -> None:
        self._sentence = one_line(sentence, 300)

    def __len__(self) -> int:
        return 0  # there is no row in it

    def __repr__(self) -> str:
        return self._sentence


def or_said(make: Callable[[], T]) -> T | Said:
    """What is made; where these runs hold nothing to make it of, the sentence that says so."""
    try:
        return make()
    except NothingToCompare as error:
        return Said(str(error))
