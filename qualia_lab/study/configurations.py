"""Configurations: runs of one task that are alike in everything that sets runs apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.study.setting_columns import MISSING, fingerprints
from qualia_lab.study.study import Configuration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from qualia_lab.study.setting_columns import Codes, SettingColumn
    from qualia_lab.study.study import Factor, Setting, Task


class _Settings:
    """The settings of runs in some columns, equal pairs being one object: a hundred thousand runs share them."""

    def __init__(self, columns: Iterable[SettingColumn], runs: int) -> None:
        self._columns: list[tuple[Codes, list[Setting]]] = [
            (one.dense(runs), [(one.name, text) for text in one.texts])
            for one in sorted(columns, key=lambda one: one.name)
        ]

    def of(self, place: int) -> tuple[Setting, ...]:
        """Those that the run has, by name."""
        found = ((pairs, codes[place]) for codes, pairs in self._columns)
        return tuple(pairs[code] for pairs, code in found if code != MISSING)


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
    found: list[Configuration] = []
    shared: dict[tuple[Setting, ...], tuple[Setting, ...]] = {}
    for task, runs in zip(tasks, places, strict=True):
        members = _members(alike, runs)
        differing = sorted(one.name for one in of_role["apart"] if _differs(one, runs, len(run_ids)))
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


def _differs(one: SettingColumn, runs: npt.NDArray[np.int64], count: int) -> bool:
    codes = one.dense(count)[runs]
    return len(codes) > 0 and bool((codes != codes[0]).any())
