"""Configurations: runs of one task that are alike in everything that sets runs apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.study.setting_columns import fingerprints
from qualia_lab.study.study import Configuration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from qualia_lab.study.setting_columns import SettingColumn
    from qualia_lab.study.study import Factor, Setting, Task


class _Settings:
    """The settings of runs in some columns, equal pairs being one object: a hundred thousand runs share them."""

    def __init__(self, columns: Iterable[SettingColumn], runs: int) -> None:
        named = sorted(columns, key=lambda one: one.name)
        places = np.concatenate([one.places for one in named] or [np.empty(0, np.int32)])
        order = np.argsort(places, kind="stable")
        self._columns = np.repeat(np.arange(len(named), dtype=np.int32), [len(one.places) for one in named])[order]
        self._codes = np.concatenate([one.codes for one in named] or [np.empty(0, np.int32)])[order]
        self._ends = np.cumsum(np.bincount(places, minlength=runs))
        self._pairs: list[list[Setting]] = [[(one.name, text) for text in one.texts] for one in named]

    def of(self, place: int) -> tuple[Setting, ...]:
        """Those that the run has, by name."""
        rows = slice(self._ends[place - 1] if place else 0, self._ends[place])
        found = zip(self._columns[rows].tolist(), self._codes[rows].tolist(), strict=True)
        return tuple(self._pairs[at][code] for at, code in found)


def find_configurations(
    tasks: Sequence[Task],
    places: Sequence[npt.NDArray[np.int64]],
    columns: Sequence[SettingColumn],
    factors: Sequence[Factor],
    run_ids: Sequence[str],
) -> tuple[Configuration, ...]:
    """The configurations of every task, in the order of their first run; equal values are spelled as they stand first.

    places: of each task its runs that compete, in order.  factors: of each column what it is.
    """
    roles = dict(zip((one.name for one in factors), factors, strict=True))
    of_role = {
        role: [one for one in columns if roles[one.name].role in members]
        for role, members in (
            ("apart", ("factor",)),
            ("alike", ("factor", "tied")),
            ("settings", ("factor", "tied", "constant")),
            ("seeds", ("seed",)),
        )
    }
    alike = fingerprints(of_role["alike"], len(run_ids))
    settings, repeats = _Settings(of_role["settings"], len(run_ids)), _Settings(of_role["seeds"], len(run_ids))
    differs = {one.name: _differs(one, places, len(run_ids)) for one in of_role["apart"]}
    found: list[Configuration] = []
    shared: dict[tuple[Setting, ...], tuple[Setting, ...]] = {}
    for number, (task, runs) in enumerate(zip(tasks, places, strict=True)):
        members = _members(alike, runs)
        differing = sorted(name for name, in_task in differs.items() if in_task[number])
        missing: dict[str, tuple[str, None]] = {name: (name, None) for name in differing}
        for of_one in members:
            first = int(of_one[0])
            of_first = settings.of(first)
            pairs = {pair[0]: pair for pair in of_first}
            found.append(
                Configuration(
                    experiment_id=task.experiment_id,
                    params=tuple(pairs.get(name, missing[name]) for name in differing),
                    settings=of_first,
                    run_ids=tuple(run_ids[place] for place in of_one.tolist()),
                    repeats=tuple(
                        shared.setdefault(one, one) for place in of_one.tolist() for one in [repeats.of(place)]
                    ),
                )
            )
    return tuple(found)


def _members(alike: npt.NDArray[np.uint64], runs: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """The runs with equal bits together, in the order of the first of each."""
    if not len(runs):
        return []
    _, first, group = np.unique(alike[runs], return_index=True, return_inverse=True)
    order = np.argsort(first[group.ravel()], kind="stable")
    ends = np.flatnonzero(np.diff(first[group.ravel()][order])) + 1
    return np.split(runs[order], ends)


def _differs(one: SettingColumn, places: Sequence[npt.NDArray[np.int64]], runs: int) -> npt.NDArray[np.bool_]:
    """Of each task, whether its runs are not alike in this column, a missing value being a value."""
    tasks = np.repeat(np.arange(len(places)), [len(of_one) for of_one in places])
    codes = one.dense(runs)[np.concatenate(places)] if len(places) else np.empty(0, np.int32)
    values = np.unique(tasks * (len(one.first_rows) + 1) + codes + 1)
    found: npt.NDArray[np.bool_] = np.bincount(values // (len(one.first_rows) + 1), minlength=len(places)) > 1
    return found
