"""What a store says, made into values that a table can hold: text, int64, float64."""

from __future__ import annotations

import math
import re
from typing import Any

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}\Z")
_NUMBER = re.compile(r"(?i)[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?\Z|[+-]?(nan|inf|infinity)\Z")
_INT64 = range(-(2**63), 2**63)

# The numbers by which MLflow's files and messages mean these words.
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
    """The value as text that UTF-8 can hold; null stays null. Raises ValueError for lists and mappings."""
    if value is None:
        return None
    if isinstance(value, (list, dict)):
        raise ValueError(f"a {type(value).__name__} where text is expected")  # noqa: TRY004 - the data is wrong, not the call
    plain = value if isinstance(value, str) else str(value)
    return plain if plain.isascii() else plain.encode("utf-8", "backslashreplace").decode()


def decoded(data: bytes) -> str:
    """Bytes as UTF-8; those that are not stand there as hexadecimal escapes."""
    return data.decode("utf-8", "backslashreplace")


def integer(value: Any) -> int | None:
    """The value as int64; null and empty text are null. Raises ValueError for anything but a whole number."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and _INTEGER.match(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value not in _INT64:
        raise ValueError("no whole number of 64 bits")
    return value


def number(value: Any) -> float:
    """The value as float64, NaN and infinity among them. Raises ValueError for anything but a number."""
    if isinstance(value, str) and _NUMBER.match(value):
        return float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.copysign(math.inf, value)
    raise ValueError("no number")


def status(value: Any, names: dict[str, str]) -> str | None:
    """A status by its name, whether the store keeps the name or the number."""
    word = text(value)
    return None if word is None else names.get(word, word)
