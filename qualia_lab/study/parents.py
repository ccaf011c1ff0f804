"""Families of runs: parents and their children, and trainings that went on in another run."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.columns import texts_of
from qualia_lab.inventory import is_number
from qualia_lab.study.factor_names import says_continued

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from qualia_lab.study.setting_columns import SettingColumn
    from qualia_lab.tables import RunTables

_PIECE = re.compile(r"[\\/\s,;:=]+")


@dataclass(frozen=True)
class Families:
    """parents: runs that only hold others, with these.  parts: of children that only measure their parent, that one.

    continued: of runs whose training went on in another one, that one.
    """

    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    continued: Mapping[str, str] = field(default_factory=dict)


def find_families(tables: RunTables, columns: Sequence[SettingColumn], with_objective: Collection[str]) -> Families:
    """What runs are to each other.

    A parent whose children are there holds them and competes with none, unless it has an objective and none below it
    has one: then it was trained, and they are parts of it.
    with_objective: the runs that have a metric of this role.
    """
    parents, parts = _parents_and_parts(tables, with_objective)
    return Families(parents, parts, _continued(tables, columns))


def _parents_and_parts(
    tables: RunTables, with_objective: Collection[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    run_ids = tables.run_ids
    if tables.runs.column("parent_run_id").null_count == len(run_ids):
        return {}, {}
    known = set(run_ids)
    said = texts_of(tables.runs.column("parent_run_id"))
    parent_of = {run: one for run, one in zip(run_ids, said, strict=True) if one in known and one != run}
    _break_circles(parent_of)
    children: dict[str, list[str]] = defaultdict(list)
    for run, parent in parent_of.items():
        children[parent].append(run)
    below: set[str] = set()  # parents of which some descendant has an objective
    for run in parent_of:
        if run in with_objective:
            above = parent_of.get(run)
            while above is not None and above not in below:
                below.add(above)
                above = parent_of.get(above)
    trained = {one for one in children if one in with_objective and one not in below}
    parts = {run: parent for run, parent in parent_of.items() if parent in trained}
    return {one: tuple(runs) for one, runs in children.items() if one not in trained}, parts


def _break_circles(parent_of: dict[str, str]) -> None:
    """Take out the parent of one run of each circle of parents, which only a damaged store has."""
    done: set[str] = set()
    for run in list(parent_of):
        passed: set[str] = set()
        while run in parent_of and run not in done:
            if parent_of[run] in passed:
                del parent_of[run]
                break
            passed.add(run)
            run = parent_of[run]  # noqa: PLW2901 - upwards
        done |= passed


def _continued(tables: RunTables, columns: Sequence[SettingColumn]) -> dict[str, str]:
    """Of each run that a later one names as the one it goes on from, that later one, the first of several."""
    naming = [one for one in columns if says_continued(one.key)]
    if not naming:
        return {}
    run_ids = tables.run_ids
    names = texts_of(tables.runs.column("run_name"))
    starts = tables.runs.column("start_time").to_pylist()
    place_of: dict[str, int] = {}
    twice: set[str] = set()
    for place, name in enumerate(names):
        if name and not is_number(name):
            twice |= {name} & place_of.keys()
            place_of[name] = place
    place_of = {name: place for name, place in place_of.items() if name not in twice}
    place_of |= {run_id: place for place, run_id in enumerate(run_ids)}
    found: dict[str, str] = {}
    later = [(starts[place] or 0, int(place), one.texts[code]) for one in naming for place, code in _entries(one)]
    for start, place, text in sorted(later):
        named = next((place_of[piece] for piece in (text.strip(), *_PIECE.split(text)) if piece in place_of), None)
        earlier = named is not None and ((starts[named] or 0), named) < (start, place)
        if named is not None and named != place and (earlier or (starts[named] or 0) < start):
            found.setdefault(run_ids[named], run_ids[place])
    return found


def _entries(one: SettingColumn) -> Iterator[tuple[int, int]]:
    return zip(one.places.astype(np.int64).tolist(), one.codes.tolist(), strict=True)
