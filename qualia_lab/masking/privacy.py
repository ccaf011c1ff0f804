"""Privacy: what of people's words is shown: everything, everything but what identifies people, or no words at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.errors import SettingsError
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Privacy:
    """What is replaced in everything that is read from a store, besides secrets.

    Attributes:
        redact: replace e-mail addresses, phone numbers and what the patterns match: `‹email 1›`.
        content: False replaces what people and models wrote in traces, assessments and evaluation datasets.
        patterns: regular expressions of the project, in addition to the built-in ones.
    """

    redact: bool = False
    content: bool = True
    patterns: tuple[str, ...] = ()

    @property
    def is_active(self) -> bool:
        """Whether anything is replaced."""
        return self.redact or not self.content

    def as_data(self) -> dict[str, bool]:
        """What differs from showing everything, by name."""
        return ({"redact": True} if self.redact else {}) | ({} if self.content else {"content": False})

    def and_of(self, data: Mapping[str, object]) -> Privacy:
        """The same, and what these data of `as_data` leave out besides."""
        return Privacy(
            self.redact or data.get("redact") is True, self.content and data.get("content") is not False, self.patterns
        )

    def with_choice(self, redact: bool | None, content: bool | None) -> Privacy:
        """The same with what a flag or a cell says; None leaves the setting as it is."""
        return Privacy(
            self.redact if redact is None else redact, self.content if content is None else content, self.patterns
        )


EVERYTHING_SHOWN = Privacy()


def check_pattern(text: str, where: str) -> str:
    """The pattern, if it can be used.

    Args:
        text: a regular expression of Python.
        where: where it stands, for the message.

    Raises:
        SettingsError: it is no regular expression, or matches the empty text.
    """
    try:
        matches_nothing = re.compile(text).search("") is not None
    except (re.error, RecursionError, OverflowError) as error:
        raise SettingsError(
            f"{where} has the pattern {one_line(text, 60)!r}, which is no regular expression: {error}.",
            r"Write it as re.compile of Python takes it, in single quotes: patterns = ['C-\d{6}'].",
        ) from error
    if matches_nothing:
        raise SettingsError(
            f"{where} has the pattern {one_line(text, 60)!r}, which matches the empty text.",
            r"Write at least one character that has to be there: patterns = ['C-\d{6}'].",
        )
    return text
