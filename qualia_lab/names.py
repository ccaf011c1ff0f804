"""Names as they are shown where there is little room: cut so that different ones stay different."""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    Pair = tuple[str, str]  # a name and its id

Key = TypeVar("Key")

_NARROWEST = 8  # columns: room for a number of six digits in parentheses
_ID_SHOWN = 8  # characters of an id, where they tell it from the others
_BESIDE_ID = 4  # columns of a name, under which only its id is shown
_WORTH_LEAVING_OUT = 3  # characters that names share; a shorter start is no wider than the sign in its place


@dataclass(frozen=True)
class _Shared:
    """What lines have in common.

    start, end: how many characters at their start and at their end.  head: so many columns of the start remain at most,
    the same of all lines, so that they look alike.
    """

    start: int = 0
    end: int = 0
    head: int = sys.maxsize


def display_width(text: str) -> int:
    """The columns that a text takes in a terminal: two for East Asian wide characters, none for combining marks."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def distinct_names(names: Sequence[str], ids: Sequence[str] = (), width: int = 60) -> list[str]:
    """Each name on one line, at most `width` columns wide; different ones stay different.

    A name that fits, and that nothing else is called, stays as it is. Of one that is too wide `…` takes the place of
    a part: of what all that are too wide share at their start or at their end, where that is long enough, else of its
    middle. Where two become alike, the part is taken from what these two share; where that does not help, the start of
    the id stands behind the name, or a number where there is no id. What a name becomes does not depend on the order.

    Args:
        names: of runs, metrics, params, files, or values of params; "" for what has none: it is called by its id.
        ids: of each name the id of what it names, which tells apart what has the same name; () where there are none.
        width: columns of a terminal, at least 8.

    Returns:
        What to show for each name, in their order. Two are equal only where the names and the ids are.

    Example:
        >>> distinct_names(["resnet50_imagenet_lr_0.1", "resnet50_imagenet_lr_0.01"], width=16)
        ['resnet50…_lr_0.1', 'resnet50…lr_0.01']
        >>> distinct_names(["mlp", "mlp"], ["77ab01cd", "1f0c5d6b"])
        ['mlp (77ab01cd)', 'mlp (1f0c5d6b)']
    """
    pairs = list(zip(names, ids, strict=True)) if ids else [(name, "") for name in names]
    shown = _shown(list(dict.fromkeys(pairs)), max(width, _NARROWEST))
    return [shown[pair] for pair in pairs]


def aside(text: str, *, ends: bool = False) -> str:
    """What stands behind something else in a sentence: ` (text)`, and never parentheses within parentheses.

    Args:
        text: names or values, which may hold parentheses, as `mlp (77ab01cd)` does.
        ends: whether the clause ends behind it; then a colon leads to it where parentheses cannot.
    """
    if not set("()") & set(text):
        return f" ({text})"
    return f": {text}" if ends else f" — {text} —"


def _shown(pairs: Sequence[Pair], width: int) -> dict[Pair, str]:
    """What is shown for each pair: those that are alike are written in the next way, until none are."""
    short = _short_ids({own for _, own in pairs})
    lines = {(name, own): one_line(name) or short[own] for name, own in pairs}
    everywhere = _shared([line for line in lines.values() if display_width(line) > width], width)
    shown = {pair: _cut(line, width, everywhere) for pair, line in lines.items()}
    ways = dict.fromkeys(pairs, 0)
    numbers: dict[Pair, int] = {}
    while alike := _alike(shown):
        numbers = numbers or {pair: number for number, pair in enumerate(sorted(pairs), 1)}
        for group in alike:
            # Two with a number behind them are never alike, so one of the group moves on.
            again = _cut_again([lines[pair] for pair in group], width, everywhere)
            for pair, line in zip(group, again, strict=True):
                ways[pair] += 1
                if ways[pair] == 1:
                    shown[pair] = line
                elif ways[pair] == 2 and pair[1]:
                    shown[pair] = _with_id(lines[pair], short[pair[1]], width, everywhere)
                else:
                    number = f" ({numbers[pair]})"
                    shown[pair] = (_cut(lines[pair], width - len(number), everywhere) + number).lstrip()
    return shown


def _cut_again(lines: Sequence[str], width: int, everywhere: _Shared) -> list[str]:
    """Lines that were alike, cut in what these share; what all lines share is left out before that."""
    if everywhere.start <= _WORTH_LEAVING_OUT or any(display_width(line) <= width for line in lines):
        here = _shared(lines, width)
        return [_cut(line, width, here) for line in lines]
    own = [line[everywhere.start :] for line in lines]
    here = _shared(own, width - 1)
    return ["…" + _cut(line, width - 1, here).lstrip("…") for line in own]


def _with_id(line: str, short: str, width: int, shared: _Shared) -> str:
    """`mlp (77ab01cd)`; the id alone where there is no room for a name."""
    behind = f" ({short})"
    room = width - display_width(behind)
    return _cut(line, room, shared) + behind if room >= _BESIDE_ID else _cut(short, width, _Shared())


def _cut(line: str, width: int, shared: _Shared) -> str:
    """The line with `…` in the place of a part of it, where it is too wide."""
    if display_width(line) <= width:
        return line
    if width < 1:
        return ""
    start, end = shared.start, len(line) - shared.end
    head = _that_fit(line, min(width // 2, shared.head))
    tail = _end_that_fits(line, width - 1 - display_width(line[:head]))
    if tail > start and head < end:  # the middle is not what others have, too
        before, behind = display_width(line[:end]), display_width(line[start:])
        if behind < width:
            head, tail = _that_fit(line, width - 1 - behind), start
        elif before < width:
            head, tail = end, _end_that_fits(line, width - 1 - before)
        elif start > _WORTH_LEAVING_OUT:
            return "…" + _cut(line[start:], width - 1, _Shared(end=shared.end)).lstrip("…")
    # The line may have been cut before.
    return f"{line[:head].rstrip('…')}…{line[tail:].lstrip('…')}"


def _that_fit(line: str, room: int) -> int:
    """How many characters of the start of a line take so many columns at most."""
    if line.isascii():
        return max(0, min(room, len(line)))
    for place, char in enumerate(line):
        room -= _columns(char)
        if room < 0:
            return place
    return len(line)


def _end_that_fits(line: str, room: int) -> int:
    """The place from which on a line takes so many columns at most."""
    return len(line) - _that_fit(line[::-1], room)


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _shared(lines: Iterable[str], width: int) -> _Shared:
    """What all of these lines share; nothing where there is one line."""
    different = set(lines)
    if len(different) < 2:
        return _Shared()
    start = _shared_start(different)
    end = _shared_start({line[start:][::-1] for line in different})
    if start <= _WORTH_LEAVING_OUT:
        return _Shared(start, end)
    widest = max(display_width(line[start:]) for line in different)
    return _Shared(start, end, max(0, width - 1 - widest))


def _shared_start(lines: Collection[str]) -> int:
    """How many characters at their start lines share: those that the first and the last of them in order share."""
    first, last = min(lines), max(lines)
    return next(
        (place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
    )


def _short_ids(ids: Iterable[str]) -> dict[str, str]:
    """The start of each id, as long as it has to be for no two to be alike, 8 characters at least; on one line."""
    short = {own: own[:_ID_SHOWN] for own in ids}
    longest = max(map(len, short), default=0)
    length = _ID_SHOWN
    while length < longest and (alike := _alike(short)):
        length += 4
        short |= {own: own[:length] for group in alike for own in group}
    return {own: one_line(start) for own, start in short.items()}


def _alike(shown: Mapping[Key, str]) -> list[list[Key]]:
    """What is shown as the same text, in groups."""
    by_text: dict[str, list[Key]] = {}
    for key, text in shown.items():
        by_text.setdefault(text, []).append(key)
    return [keys for keys in by_text.values() if len(keys) > 1]
