"""Trainings that went on in another run, which names the one before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.columns import texts_of
from qualia_lab.inventory import is_number
from qualia_lab.study.factor_names import says_continued, words, words_of
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.study.setting_columns import SettingColumn
    from qualia_lab.tables import RunTables

_PIECE = re.compile(r"[\\/\s,;:=]+")
_TRUE = canonical("True")


def find_continued(tables: RunTables, columns: Sequence[SettingColumn]) -> dict[str, str]:
    """Of each run that a later one names as the one it goes on from, that later one, the first of several.

    It is named by its id, or by a name that no other run has, as the whole value or as a part of a path, under a key
    such as `resume_from`; where that only says `resume=True`, by its id in the path of a checkpoint.
    """
    naming = [one for one in columns if says_continued(one.key)]
    if not naming:
        return {}
    run_ids = tables.run_ids
    starts = [start or 0 for start in tables.runs.column("start_time").to_pylist()]
    by_id = {run_id: place for place, run_id in enumerate(run_ids)}
    by_name = _unique_names(tables) | by_id
    resumed = {place for one in naming for place, text in _entries(one) if canonical(text) == _TRUE}
    said = [(place, text, by_name) for one in naming for place, text in _entries(one)]
    said += [
        (place, text, by_id)
        for one in (columns if resumed else ())
        if not words()["label"]["checkpoints"].isdisjoint(words_of(one.key))
        for place, text in _entries(one)
        if place in resumed
    ]
    found: dict[int, int] = {}
    for place, text, known in sorted(said, key=lambda one: (starts[one[0]], one[0])):
        before = _named(text, known)
        if before is not None and starts[before] <= starts[place] and before not in _after(place, found):
            found.setdefault(before, place)
    return {run_ids[before]: run_ids[place] for before, place in found.items()}


def _unique_names(tables: RunTables) -> dict[str, int]:
    """The place of each run whose name no other run has; a number is no name."""
    found: dict[str, int] = {}
    twice: set[str] = set()
    for place, name in enumerate(texts_of(tables.runs.column("run_name"))):
        if name and not is_number(name):
            twice |= {name} & found.keys()
            found[name] = place
    return {name: place for name, place in found.items() if name not in twice}


def _named(text: str, known: Mapping[str, int]) -> int | None:
    """The run that a text names as a whole, or between slashes, with or without the ending of a file."""
    pieces = [text.strip(), *_PIECE.split(text)]
    pieces += [piece.rpartition(".")[0] for piece in pieces]
    return next((known[piece] for piece in pieces if piece in known), None)


def _after(place: int, found: Mapping[int, int]) -> set[int]:
    """A run and those that it is continued in, one after the other: it cannot go on from any of them."""
    passed = {place}
    while place in found and found[place] not in passed:
        place = found[place]
        passed.add(place)
    return passed


def _entries(one: SettingColumn) -> Iterator[tuple[int, str]]:
    texts = one.texts
    return (
        (place, texts[code])
        for place, code in zip(one.places.astype(np.int64).tolist(), one.codes.tolist(), strict=True)
    )
