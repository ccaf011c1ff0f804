"""Converts values from stores into values that a table can hold: text, int64, float64."""

from __future__ import annotations

import math
import re
from typing import Any

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}\Z")
_NUMBER = re.compile(r"(?i)[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?\Z|[+-]?(nan|inf|infinity)\Z")
_INT64 = range(-(2**63), 2**63)

# The numbers that MLflow's files and messages use for these statuses.
RUN_STATUSES = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
MODEL_STATUSES = {
    "1": "PENDING",
    "2": "READY",
    "3": "FAILED",
    "LOGGED_MODEL_PENDING": "PENDING",
    "LOGGED_MODEL_READY": "READY",
    "LOGGED_MODEL_UPLOAD_FAILED": "FAILED",
}


def text(value: Any) -> str | None:
    """The value as text that UTF-8 can encode; None stays None. Raises ValueError for lists and mappings."""
    if value is None:
        return None
    if isinstance(value, (list, dict)):
        raise ValueError(f"a {type(value).__name__} where text is expected")  # noqa: TRY004 - the data is wrong, not the call
    plain = value if isinstance(value, str) else str(value)
    return plain if plain.isascii() else plain.encode("utf-8", "backslashreplace").decode()


def decoded(data: bytes) -> str:
    """Bytes decoded as UTF-8, with invalid bytes as hexadecimal escapes."""
    return data.decode("utf-8", "backslashreplace")


def integer(value: Any) -> int | None:
    """The value as int64; None and empty text become None. Raises ValueError for anything but an integer."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and _INTEGER.match(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value not in _INT64:
        raise ValueError("not a 64-bit integer")
    return value


def number(value: Any) -> float:
    """The value as float64, which may be NaN or infinite. Raises ValueError for anything but a number."""
    if isinstance(value, str) and _NUMBER.match(value):
        return float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.copysign(math.inf, value)
    raise ValueError("not a number")


def status(value: Any, names: dict[str, str]) -> str | None:
    """The name of a status, whether the store holds the name or the number."""
    word = text(value)
    return None if word is None else names.get(word, word)
