"""`canonical`: the value that a text represents, so that spelling does not distinguish runs."""

from __future__ import annotations

import ast
import json
import re
import warnings
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from qualia_lab.inventory import is_number

if TYPE_CHECKING:
    from collections.abc import Hashable

_LONGEST = 2000  # characters; longer texts are compared as written
_DEEPEST = 50  # levels of nested brackets
_WORDS: dict[str, Hashable] = {
    "true": ("bool", True),
    "false": ("bool", False),
    "none": ("none",),
    "null": ("none",),
    "nan": ("nan",),
}
_AROUND_SIGNS = re.compile(r"\s*([\[\](){},:])\s*")
_OPENING, _CLOSING = "[({", "])}"

NONE: Hashable = _WORDS["none"]


@lru_cache(maxsize=65_536)
def canonical(text: str) -> Hashable:
    """The value that the text of a param or tag represents: equal for texts that differ in spelling only.

    Numbers are exact decimals (`1e-3` equals `0.001`; 0.1 + 0.2 does not equal 0.3); `True` equals `true`; `None`,
    `none` and `null` are equal; lists, tuples and mappings are compared by their contents, in the spelling of JSON or
    Python (`[64,64]` equals `[64, 64]` and `(64, 64)`). All other texts represent themselves, without surrounding
    spaces.

    Args:
        text: the text of a param or tag.

    Example:
        >>> canonical("1e-3") == canonical("0.001")
        True
    """
    stripped = text.strip()
    if is_number(stripped):
        return _number(stripped)
    if len(stripped) <= len("false") and stripped.lower() in _WORDS:
        return _WORDS[stripped.lower()]
    if stripped[:1] and stripped[0] in _OPENING and stripped[-1] in _CLOSING and len(stripped) <= _LONGEST:
        return _structure(stripped)
    return stripped


def _number(text: str) -> Hashable:
    try:
        return Decimal(text)
    except ArithmeticError:  # the exponent is out of range for Decimal
        return text


def _structure(text: str) -> Hashable:
    """The value of a text in brackets; if it is not a literal, the text without spaces around brackets and commas."""
    if _depth(text) <= _DEEPEST:
        try:
            return _hashable(json.loads(text, parse_float=Decimal, parse_int=Decimal))
        except (ValueError, ArithmeticError):
            pass
        try:
            with warnings.catch_warnings():  # invalid escape sequences
                warnings.simplefilter("ignore")
                return _hashable(ast.literal_eval(text))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            pass
    return _AROUND_SIGNS.sub(r"\1", text)


def _depth(text: str) -> int:
    """The maximum depth of nested brackets, including those in quotes."""
    depth = deepest = 0
    for sign in text:
        if sign in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif sign in _CLOSING:
            depth -= 1
    return deepest


def _hashable(value: Any) -> Hashable:
    if isinstance(value, str):
        return ("text", value)
    if value is None or isinstance(value, bool):
        return _WORDS[str(value).lower()]
    if isinstance(value, int | float):
        return canonical(repr(value))
    if isinstance(value, list | tuple):
        return ("list", *map(_hashable, value))
    if isinstance(value, dict):
        return ("mapping", frozenset((_hashable(key), _hashable(item)) for key, item in value.items()))
    if isinstance(value, set):
        return ("set", frozenset(map(_hashable, value)))
    return value if isinstance(value, Decimal) else ("other", repr(value))
