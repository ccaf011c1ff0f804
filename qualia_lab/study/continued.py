"""Find trainings that were continued in another run, which names the earlier one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.columns import texts_of
from qualia_lab.inventory import is_number
from qualia_lab.study.factor_names import names_continued_run, words, words_of
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.study.setting_columns import SettingColumn
    from qualia_lab.tables import RunTables

_PIECE = re.compile(r"[\\/\s,;:=]+")
_TRUE = canonical("True")


def find_continued(tables: RunTables, columns: Sequence[SettingColumn]) -> dict[str, str]:
    """Map each run that a later one continues to that later run, the first if there are several.

    A run is named by its id or by a unique name, as the whole value or as a part of a path, under a key such as
    `resume_from`. If that key only says `resume=True`, it is found by its id in the path of a checkpoint.

    Args:
        tables: the tables of the runs.
        columns: the params and tags.
    """
    naming = [column for column in columns if names_continued_run(column.key)]
    if not naming:
        return {}
    run_ids = tables.run_ids
    starts = [start or 0 for start in tables.runs.column("start_time").to_pylist()]
    by_id = {run_id: place for place, run_id in enumerate(run_ids)}
    by_name = _unique_names(tables) | by_id
    resumed = {place for column in naming for place, text in _entries(column) if canonical(text) == _TRUE}
    references = [(place, text, by_name) for column in naming for place, text in _entries(column)]
    references += [
        (place, text, by_id)
        for column in (columns if resumed else ())
        if not words()["label"]["checkpoints"].isdisjoint(words_of(column.key))
        for place, text in _entries(column)
        if place in resumed
    ]
    continued: dict[int, int] = {}
    for place, text, known in sorted(references, key=lambda column: (starts[column[0]], column[0])):
        before = _named(text, known)
        if before is not None and starts[before] <= starts[place] and before not in _after(place, continued):
            continued.setdefault(before, place)
    return {run_ids[before]: run_ids[place] for before, place in continued.items()}


def _unique_names(tables: RunTables) -> dict[str, int]:
    """The index of each run with a unique name; numbers are not considered names."""
    place_of: dict[str, int] = {}
    duplicates: set[str] = set()
    for place, name in enumerate(texts_of(tables.runs.column("run_name"))):
        if name and not is_number(name):
            duplicates |= {name} & place_of.keys()
            place_of[name] = place
    return {name: place for name, place in place_of.items() if name not in duplicates}


def _named(text: str, known: Mapping[str, int]) -> int | None:
    """The run that a text names, as a whole or as a part of a path, with or without a file extension."""
    pieces = [text.strip(), *_PIECE.split(text)]
    pieces += [piece.rpartition(".")[0] for piece in pieces]
    return next((known[piece] for piece in pieces if piece in known), None)


def _after(place: int, continued: Mapping[int, int]) -> set[int]:
    """A run and the runs in which it was continued, directly or indirectly: it cannot continue any of them."""
    passed = {place}
    while place in continued and continued[place] not in passed:
        place = continued[place]
        passed.add(place)
    return passed


def _entries(column: SettingColumn) -> Iterator[tuple[int, str]]:
    texts = column.texts
    return (
        (place, texts[code])
        for place, code in zip(column.places.astype(np.int64).tolist(), column.codes.tolist(), strict=True)
    )
