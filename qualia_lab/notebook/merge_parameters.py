"""Merge the `parameters` cell value by value: a value that a person changed is kept, the others are the new ones."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class _Assignment:
    """`NAME = literal` in a source: its lines, counted from 0, the last one excluded, and its value."""

    start: int
    end: int
    value: Any


def merge_parameters(base: str, local: str, new: str) -> str | None:
    """Merge the new values of the `parameters` cell into the one that a person edited.

    Args:
        base: the cell as it was generated before.
        local: the cell as it is.
        new: the cell as it is generated now.

    Returns:
        The lines of the person with the new values of names that still have their old value, and with names that are
        new. A name that the person removed stays removed. None if one of the three is not Python, or if the person
        assigns a name of `base` twice or together with others, so that it is unknown which value counts.
    """
    try:
        before, ours, theirs = _assignments(base), _assignments(local), _assignments(new)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    lines, new_lines = local.splitlines(), new.splitlines()
    if any(len(ours[name]) > 1 for name in ours.keys() & (before.keys() | theirs.keys())):
        return None
    replaced: dict[int, tuple[int, list[str]]] = {}
    for name, (found, *_) in ours.items():
        if name not in before or not _is_same(found.value, before[name][0].value):
            continue
        if name not in theirs:
            replaced[found.start] = found.end, []
        elif not _is_same(found.value, theirs[name][0].value):
            wanted = theirs[name][0]
            replaced[found.start] = found.end, new_lines[wanted.start : wanted.end]
    result = _with_replaced(lines, replaced)
    return "\n".join(_with_added(result, theirs, new_lines, frozenset(before) | frozenset(ours)))


def changed_values(base: str, local: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that a person changed or added, by name.

    Args:
        base: the `parameters` cell as it was generated.
        local: the parameters of the notebook as it is.
    """
    try:
        before = {name: found[-1].value for name, found in _assignments(base).items()}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        before = {}
    return {name: value for name, value in local.items() if name not in before or not _is_same(value, before[name])}


def _with_replaced(lines: list[str], replaced: Mapping[int, tuple[int, list[str]]]) -> list[str]:
    """The lines, with those of each assignment in `replaced` exchanged."""
    result: list[str] = []
    place = 0
    while place < len(lines):
        if place in replaced:
            place, wanted = replaced[place]
            result += wanted
        else:
            result.append(lines[place])
            place += 1
    return result


def _with_added(
    lines: list[str], theirs: Mapping[str, list[_Assignment]], new_lines: list[str], known: frozenset[str]
) -> list[str]:
    """The lines, with the assignments of names that are new, each after the one that precedes it in the new cell."""
    previous: str | None = None
    for name, (wanted, *_) in theirs.items():
        if name not in known:
            present = _assignments("\n".join(lines))
            end = present[previous][-1].end if previous in present else len(lines)
            lines = [*lines[:end], *new_lines[wanted.start : wanted.end], *lines[end:]]
        previous = name
    return lines


def _assignments(source: str) -> dict[str, list[_Assignment]]:
    """Return the literals assigned at the top level of a source by name, in order.

    Raises ValueError if a line has several statements or names, which cannot be exchanged alone.
    """
    found: dict[str, list[_Assignment]] = {}
    taken = -1
    for statement in ast.parse(source).body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        several = isinstance(statement, ast.Assign) and len(statement.targets) > 1
        start, end = statement.lineno - 1, statement.end_lineno or statement.lineno
        if start <= taken or several:
            raise ValueError("several assignments on one line")
        taken = end - 1
        if isinstance(target, ast.Name) and isinstance(statement, ast.Assign | ast.AnnAssign):
            found.setdefault(target.id, []).append(_Assignment(start, end, _value(statement.value)))
    return found


def _value(node: ast.expr | None) -> Any:
    """The value of a literal; of any other expression its syntax, which equals no literal."""
    try:
        return ast.literal_eval(node)  # type: ignore[arg-type]
    except (ValueError, TypeError, MemoryError, RecursionError):
        return node if node is None else ("expression", ast.dump(node))


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same type; NaN equals itself, and True is not 1."""
    return repr(one) == repr(other)
