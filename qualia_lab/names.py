"""Shorten names for display so that different names stay different."""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    Pair = tuple[str, str]  # a name and its id

Key = TypeVar("Key")

_MIN_WIDTH = 8  # columns; fits a six-digit number in parentheses
_SHORT_ID = 8  # characters of an id, if they make it unique
_NAME_BEFORE_ID = 4  # minimum columns of a name; below, only its id is shown
_MIN_SHARED_START = 3  # a shared start up to this length is not worth replacing by `…`


@dataclass(frozen=True)
class _Shared:
    """What several lines have in common.

    Attributes:
        start: the number of equal characters at the start.
        end: the number of equal characters at the end.
        head: the maximum number of columns of the start to keep, the same for all lines for a uniform look.
    """

    start: int = 0
    end: int = 0
    head: int = sys.maxsize


def display_width(text: str) -> int:
    """The width of a text in terminal columns: two for East Asian wide characters, none for combining marks."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def distinct_names(names: Sequence[str], ids: Sequence[str] = (), width: int = 60) -> list[str]:
    """Shorten each name to one line of at most `width` columns; different names stay different.

    A name that fits and is unique is unchanged. In a name that is too wide, `…` replaces a part: the start or the end
    that all wide names share, if it is long enough, otherwise the middle. If two results are equal, the part is taken
    from what these two share; if that does not help, the start of the id is appended, or a number if there is no id.
    The result for a name does not depend on the order of the names.

    Args:
        names: names of runs, metrics, params or files, or values of params; "" for no name (the id is shown).
        ids: the id for each name, to distinguish equal names; () if there are none.
        width: the maximum width in terminal columns, at least 8.

    Returns:
        The text to show for each name, in order. Two are equal only if both their names and their ids are.

    Example:
        >>> distinct_names(["resnet50_imagenet_lr_0.1", "resnet50_imagenet_lr_0.01"], width=16)
        ['resnet50…_lr_0.1', 'resnet50…lr_0.01']
        >>> distinct_names(["mlp", "mlp"], ["77ab01cd", "1f0c5d6b"])
        ['mlp (77ab01cd)', 'mlp (1f0c5d6b)']
    """
    width = max(width, _MIN_WIDTH)
    if _are_short_and_plain(names, width):
        return list(names)
    pairs = list(zip(names, ids, strict=True)) if ids else [(name, "") for name in names]
    shown = _shorten_all(list(dict.fromkeys(pairs)), width)
    return [shown[pair] for pair in pairs]


def _are_short_and_plain(names: Sequence[str], width: int) -> bool:
    """Whether these are different names that fit as they are, like most names of runs; checked for all at once."""
    joined = f"|{'|'.join(names)}|"
    return (
        joined.isascii()
        and joined.isprintable()
        and not any(spaces in joined for spaces in ("  ", "| ", " |"))
        and all(names)
        and len(set(names)) == len(names)
        and max(map(len, names), default=0) <= width
    )


def aside(text: str, *, ends: bool = False) -> str:
    """Format a parenthetical remark: ` (text)`, with dashes or a colon instead of nested parentheses.

    Args:
        text: names or values, which may contain parentheses, as in `mlp (77ab01cd)`.
        ends: whether the clause ends after the remark; then a colon is used instead of dashes.

    Returns:
        The remark with a leading space or punctuation, to append to a sentence.
    """
    if not set("()") & set(text):
        return f" ({text})"
    return f": {text}" if ends else f" — {text} —"


def _shorten_all(pairs: Sequence[Pair], width: int) -> dict[Pair, str]:
    """The text for each pair: equal texts are replaced by the next strategy until all are distinct."""
    lines = {pair: one_line(pair[0]) for pair in pairs}
    short: dict[str, str] = {}  # computed where an id is shown
    if "" in lines.values():
        short = _short_ids({id_ for _, id_ in pairs})
        lines = {pair: line or short[pair[1]] for pair, line in lines.items()}
    # No character takes more than two columns.
    wide = {pair: line for pair, line in lines.items() if 2 * len(line) > width and display_width(line) > width}
    shared_by_all = _shared(wide.values(), width)
    shown = lines | {pair: _cut(line, width, shared_by_all) for pair, line in wide.items()}
    strategy_of: Counter[Pair] = Counter()
    numbers: dict[Pair, int] = {}
    while groups := _groups_of_equal(shown):
        short = short or _short_ids({id_ for _, id_ in pairs})
        numbers = numbers or {pair: number for number, pair in enumerate(sorted(pairs), 1)}
        for group in groups:
            # Two texts with numbers are never equal, so at least one of the group advances to the next strategy.
            shortened = _cut_again([lines[pair] for pair in group], width, shared_by_all)
            for pair, line in zip(group, shortened, strict=True):
                strategy_of[pair] += 1
                if strategy_of[pair] == 1:
                    shown[pair] = line
                elif strategy_of[pair] == 2 and pair[1]:
                    shown[pair] = _with_id(lines[pair], short[pair[1]], width, shared_by_all)
                else:
                    number = f" ({numbers[pair]})"
                    shown[pair] = (_cut(lines[pair], width - len(number), shared_by_all) + number).lstrip()
    return shown


def _cut_again(lines: Sequence[str], width: int, shared_by_all: _Shared) -> list[str]:
    """Shorten equal results again by cutting what these lines share, after removing what all lines share."""
    if shared_by_all.start <= _MIN_SHARED_START or any(display_width(line) <= width for line in lines):
        shared = _shared(lines, width)
        return [_cut(line, width, shared) for line in lines]
    rest = [line[shared_by_all.start :] for line in lines]
    shared = _shared(rest, width - 1)
    return ["…" + _cut(line, width - 1, shared).lstrip("…") for line in rest]


def _with_id(line: str, short: str, width: int, shared: _Shared) -> str:
    """`mlp (77ab01cd)`, or only the id if there is no space for a name."""
    suffix = f" ({short})"
    name_width = width - display_width(suffix)
    return _cut(line, name_width, shared) + suffix if name_width >= _NAME_BEFORE_ID else _cut(short, width, _Shared())


def _cut(line: str, width: int, shared: _Shared) -> str:
    """The line, with `…` for a part of it if it is too wide."""
    if display_width(line) <= width:
        return line
    if width < 1:
        return ""
    start, end = shared.start, len(line) - shared.end
    head = _prefix_length(line, min(width // 2, shared.head))
    tail = _suffix_start(line, width - 1 - display_width(line[:head]))
    if tail > start and head < end:  # the middle differs from the other lines
        prefix_width, suffix_width = display_width(line[:end]), display_width(line[start:])
        if suffix_width < width:
            head, tail = _prefix_length(line, width - 1 - suffix_width), start
        elif prefix_width < width:
            head, tail = end, _suffix_start(line, width - 1 - prefix_width)
        elif start > _MIN_SHARED_START:
            return "…" + _cut(line[start:], width - 1, _Shared(end=shared.end)).lstrip("…")
    # The line may already contain `…` at the cut.
    return f"{line[:head].rstrip('…')}…{line[tail:].lstrip('…')}"


def _prefix_length(line: str, width: int) -> int:
    """The number of characters at the start of a line that fit into `width` columns."""
    if line.isascii():
        return max(0, min(width, len(line)))
    for index, char in enumerate(line):
        width -= _columns(char)
        if width < 0:
            return index
    return len(line)


def _suffix_start(line: str, width: int) -> int:
    """The index from which the rest of a line fits into `width` columns."""
    return len(line) - _prefix_length(line[::-1], width)


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _shared(lines: Iterable[str], width: int) -> _Shared:
    """What all of these lines share; nothing if there is only one line."""
    different = set(lines)
    if len(different) < 2:
        return _Shared()
    start = _shared_start(different)
    end = _shared_start({line[start:][::-1] for line in different})
    if start <= _MIN_SHARED_START:
        return _Shared(start, end)
    widest = max(display_width(line[start:]) for line in different)
    return _Shared(start, end, max(0, width - 1 - widest))


def _shared_start(lines: Collection[str]) -> int:
    """The length of the common prefix, which is that of the smallest and the largest line."""
    first, last = min(lines), max(lines)
    return next(
        (index for index, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
    )


def _short_ids(ids: Iterable[str]) -> dict[str, str]:
    """The shortest unique prefix of each id, at least 8 characters; on one line."""
    short = {id_: id_[:_SHORT_ID] for id_ in ids}
    longest = max(map(len, short), default=0)
    length = _SHORT_ID
    while length < longest and (groups := _groups_of_equal(short)):
        length += 4
        short |= {id_: id_[:length] for group in groups for id_ in group}
    return {id_: one_line(start) for id_, start in short.items()}


def _groups_of_equal(shown: Mapping[Key, str]) -> list[list[Key]]:
    """Groups of keys with equal text."""
    if len(set(shown.values())) == len(shown):
        return []
    by_text: dict[str, list[Key]] = {}
    for key, text in shown.items():
        by_text.setdefault(text, []).append(key)
    return [keys for keys in by_text.values() if len(keys) > 1]
