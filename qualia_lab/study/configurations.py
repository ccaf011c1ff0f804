"""Configurations: groups of runs of one task that are equal in all factors."""

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

_AT_ONCE = 4_096  # runs whose settings are Python objects one by one, before they are tuples


class _Settings:
    """The settings of runs in some columns; equal ones share one object, for the memory of a hundred thousand runs."""

    def __init__(self, columns: Iterable[SettingColumn], runs: int) -> None:
        self._named = named = sorted(columns, key=lambda one: one.name)
        places = np.concatenate([one.places for one in named] or [np.empty(0, np.int32)])
        order = np.argsort(places, kind="stable")
        self._columns = np.repeat(np.arange(len(named), dtype=np.int32), [len(one.places) for one in named])[order]
        self._codes = np.concatenate([one.codes for one in named] or [np.empty(0, np.int32)])[order]
        self._sizes = np.bincount(places, minlength=runs)
        self._ends = np.cumsum(self._sizes)
        self._pairs: list[list[Setting]] = [[(one.name, text) for text in one.texts] for one in named]

    def of(self, places: npt.NDArray[np.int64]) -> list[tuple[Setting, ...]]:
        """The settings of some runs, by name."""
        parts = (places[begin : begin + _AT_ONCE] for begin in range(0, len(places), _AT_ONCE))
        return [settings for part in parts for settings in self._of_part(part)]

    def _of_part(self, places: npt.NDArray[np.int64]) -> list[tuple[Setting, ...]]:
        sizes = self._sizes[places]
        ends = np.cumsum(sizes)
        rows = np.arange(sizes.sum()) + np.repeat(self._ends[places] - ends, sizes)
        named = zip(self._columns[rows].tolist(), self._codes[rows].tolist(), strict=True)
        pairs = [self._pairs[at][code] for at, code in named]
        return [tuple(pairs[begin:end]) for begin, end in zip((ends - sizes).tolist(), ends.tolist(), strict=True)]

    def of_all(self) -> list[tuple[Setting, ...]]:
        """The settings of every run, by name."""
        kinds = np.zeros(len(self._ends), np.int64)
        for one in self._named:
            kinds = kinds * (len(one.first_rows) + 1) + one.dense(len(kinds)) + 1
            kinds = np.unique(kinds, return_inverse=True)[1].ravel()  # from 0 without gaps, so that they stay small
        _, first, kinds = np.unique(kinds, return_index=True, return_inverse=True)
        distinct = self.of(first)
        return [distinct[kind] for kind in kinds.ravel().tolist()]


def find_configurations(
    tasks: Sequence[Task],
    places: Sequence[npt.NDArray[np.int64]],
    columns: Sequence[SettingColumn],
    factors: Sequence[Factor],
    run_ids: Sequence[str],
) -> tuple[Configuration, ...]:
    """Find the configurations of every task, in the order of their first run; values are spelled as in that run.

    Args:
        tasks: the tasks.
        places: for each task, the indices of its competing runs, in order.
        columns: the params and tags.
        factors: the role of each column.
        run_ids: the ids of all runs.
    """
    roles = dict(zip((one.name for one in factors), factors, strict=True))
    columns_of = {
        role: [one for one in columns if roles[one.name].role in members]
        for role, members in (
            ("leading", ("factor",)),
            ("alike", ("factor", "tied")),
            ("settings", ("factor", "tied", "constant")),
            ("seeds", ("seed",)),
        )
    }
    alike = fingerprints(columns_of["alike"], len(run_ids))
    settings, leading = (_Settings(columns_of[which], len(run_ids)) for which in ("settings", "leading"))
    repeats = _Settings(columns_of["seeds"], len(run_ids)).of_all()
    differs = {one.name: _differs(one, places, len(run_ids)) for one in columns_of["leading"]}
    configurations: list[Configuration] = []
    for number, (task, runs) in enumerate(zip(tasks, places, strict=True)):
        members = _members(alike, runs)
        firsts = np.array([places_of_one[0] for places_of_one in members], np.int64)
        differing = sorted(name for name, in_task in differs.items() if in_task[number])
        missing: dict[str, tuple[str, None]] = {name: (name, None) for name in differing}
        for places_of_one, first_settings, factors_of_one in zip(
            members, settings.of(firsts), leading.of(firsts), strict=True
        ):
            params: tuple[Setting | tuple[str, None], ...] = factors_of_one
            if not len(params) == len(differing) == len(differs):
                pairs = {pair[0]: pair for pair in factors_of_one}
                params = tuple(pairs.get(name, missing[name]) for name in differing)
            configurations.append(
                Configuration(
                    experiment_id=task.experiment_id,
                    params=params,
                    settings=first_settings,
                    run_ids=tuple([run_ids[place] for place in places_of_one]),
                    repeats=tuple([repeats[place] for place in places_of_one]),
                )
            )
    return tuple(configurations)


def _members(alike: npt.NDArray[np.uint64], runs: npt.NDArray[np.int64]) -> list[list[int]]:
    """Group runs with equal marks, in the order of the first run of each group."""
    if not len(runs):
        return []
    _, first, group = np.unique(alike[runs], return_index=True, return_inverse=True)
    order = np.argsort(first[group.ravel()], kind="stable")
    ends = (np.flatnonzero(np.diff(first[group.ravel()][order])) + 1).tolist()
    ordered = runs[order].tolist()
    return [ordered[begin:end] for begin, end in zip([0, *ends], [*ends, len(ordered)], strict=True)]


def _differs(column: SettingColumn, places: Sequence[npt.NDArray[np.int64]], runs: int) -> npt.NDArray[np.bool_]:
    """For each task, whether its runs differ in this column; a missing value counts as a value."""
    tasks = np.repeat(np.arange(len(places)), [len(runs_of_task) for runs_of_task in places])
    codes = column.dense(runs)[np.concatenate(places)] if len(places) else np.empty(0, np.int32)
    values = np.unique(tasks * (len(column.first_rows) + 1) + codes + 1)
    differs: npt.NDArray[np.bool_] = np.bincount(values // (len(column.first_rows) + 1), minlength=len(places)) > 1
    return differs
