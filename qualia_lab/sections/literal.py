"""Values as Python source; the only way in which a value gets into a code cell."""

from __future__ import annotations

import keyword
import math

Literal = None | bool | int | float | str | list["Literal"] | dict[str, "Literal"]


def assignment(name: str, value: Literal) -> str:
    """Return `NAME = literal`. Raises ValueError for an invalid name, TypeError for a value of another type."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"not a name: {name!r}")
    return f"{name} = {literal(value)}"


def literal(value: Literal) -> str:
    """Return source that evaluates to the value; long lists have one item per line.

    Strings use `repr`, which is exact for every string; `json.dumps` and manual quoting are not.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return repr(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
    if isinstance(value, list):
        items = [literal(item) for item in value]
        return _bracketed("[", items, "]")
    if isinstance(value, dict):
        return _bracketed("{", [f"{literal(key)}: {literal(item)}" for key, item in value.items()], "}")
    raise TypeError(f"no literal for {type(value).__name__}")


def _bracketed(opening: str, items: list[str], closing: str) -> str:
    line = opening + ", ".join(items) + closing
    if len(line) <= 88:
        return line
    return f"{opening}\n" + "".join(f"    {item},\n" for item in items) + closing
