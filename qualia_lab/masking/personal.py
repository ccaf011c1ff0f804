"""Finds e-mail addresses and phone numbers within a text.

What cannot be told from an id, a date, a version or a number is left alone: a phone number is recognized by its `+`,
or by separators at the places where phone numbers have them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Every text with an e-mail address or a phone number matches this, which Arrow searches quickly.
MAY_HOLD = r"@|[0-9][0-9) ./\-]{5}"

_EMAIL = re.compile(
    r"(?<!\w)(?!git@)\w(?:[\w.+%'-]{0,200}[\w+%-])?"
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-]|@)"
)
_START, _END = r"(?<![\w.+,*/-])", r"(?![\w]|[.,:/-]\d)"
_DATE = r"(?!\d{2}(?P<between>[-./ ])\d{2}(?P=between)\d{4}(?!\d))"
_PHONES = (
    # +49 151 2345678, +1 (555) 123-4567, +4915123456789
    r"\+[1-9]\d{0,2}[ ./-]?(?:\(0?\d{0,4}\)[ ./-]?)?\d{1,14}(?:[ ./-]\d{2,8}){0,6}",
    # 0049 151 2345678: with a separator after the country
    r"00[1-9]\d{0,2}[ ./-](?:\(0?\d{0,4}\)[ ./-]?)?\d{2,12}(?:[ ./-]\d{2,8}){0,5}",
    # (555) 123-4567, 555-123-4567, 555.123.4567
    r"(?:\([2-9]\d{2}\) ?\d{3}[-. ]|[2-9]\d{2}(?P<sign>[-.])\d{3}(?P=sign))\d{4}",
    # (030) 1234567, 0151/23456789, 020 7946 0958, 01 23 45 67 89
    _DATE + r"(?:\(0[1-9]\d{0,4}\) ?|0[1-9]\d{0,4}[ /-])\d{2,8}(?:[ /-]\d{2,8}){0,4}",
)
_PHONE = re.compile(f"{_START}(?:{'|'.join(_PHONES)}){_END}")
_LAST_GROUP = re.compile(r"[ ./-]\d+\Z")
_FEWEST_DIGITS, _MOST_DIGITS = 9, 15


def replace_personal(text: str, replace: Callable[[str, str], str]) -> str:
    """The text with each e-mail address and phone number replaced.

    Args:
        text: any text.
        replace: called with `email` or `phone` and what was found; returns what stands in its place.
    """
    if "@" in text:
        text = _EMAIL.sub(lambda found: replace("email", found[0]), text)
    return _PHONE.sub(lambda found: _without_phone(found[0], replace), text)


def _without_phone(found: str, replace: Callable[[str, str], str]) -> str:
    """What was found with the phone number at its start replaced; a date or a number may follow it."""
    number = found
    while _digits(number) > _MOST_DIGITS and (last := _LAST_GROUP.search(number)):
        number = number[: last.start()]
    if not _FEWEST_DIGITS <= _digits(number) <= _MOST_DIGITS:
        return found
    return replace("phone", number) + found[len(number) :]


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))
