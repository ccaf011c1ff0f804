"""Which params and tags set the same runs apart, so that nothing can tell one from the other."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qualia_lab.study.factor_names import names_a_problem
from qualia_lab.study.setting_columns import MISSING, fingerprints

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt

    from qualia_lab.study.setting_columns import SettingColumn


def tied_to(
    columns: Sequence[SettingColumn],
    chosen: npt.NDArray[np.bool_],
    tasks: npt.NDArray[np.int64],
    said: Collection[str],
) -> dict[str, str]:
    """Of each column that changes only together with another one, the name of that one, which leads.

    Judged over configurations, within tasks: values are one to one. Columns that are different in every configuration
    are one to one with each other whatever they mean, as in a random search: numbers of that kind have to be in the
    same or in reversed order, and texts are tied to them only where all such numbers are.
    Of tied columns one that the person calls a factor (`said`) leads, then one that names a problem such as a data set,
    since its size or its number only goes along with it, a param before a tag, then the shortest name, then the first
    in the alphabet; what the person calls a factor is tied to none.
    """
    rows = _one_run_of_each(columns, chosen, tasks)
    parts = {one.name: _parts(one, rows, tasks) for one in columns}
    orders: dict[bytes, set[bytes]] = {}
    for part in parts.values():
        if part.order:
            orders.setdefault(part.apart, set()).add(part.order)
    leads: dict[tuple[bytes, bytes], str] = {}
    found: dict[str, str] = {}
    for one in sorted(columns, key=lambda one: _rank(one, said)):
        apart, order = parts[one.name]
        several = len(orders.get(apart, ())) > 1
        lead = leads.setdefault((apart, order if several else b""), one.name)
        if lead != one.name and one.name not in said:
            found[one.name] = lead
    return found


def _rank(one: SettingColumn, said: Collection[str]) -> tuple[bool, bool, str, int, str]:
    return one.name not in said, not names_a_problem(one.key), one.kind, len(one.name), one.name


def _one_run_of_each(
    columns: Sequence[SettingColumn], chosen: npt.NDArray[np.bool_], tasks: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The place of the first run of each configuration."""
    alike = fingerprints(columns, len(chosen))
    places = np.flatnonzero(chosen)
    order = np.lexsort((places, alike[places], tasks[places]))
    runs = places[order]
    new = np.ones(len(runs), np.bool_)
    new[1:] = (tasks[runs][1:] != tasks[runs][:-1]) | (alike[runs][1:] != alike[runs][:-1])
    return np.sort(runs[new])


class _Parts(NamedTuple):
    """apart: alike for columns that set the same configurations apart.  order: of numbers that are all different.

    Both are digests: of ten thousand params the values themselves would not fit into memory.
    """

    apart: bytes
    order: bytes


def _parts(one: SettingColumn, rows: npt.NDArray[np.int64], tasks: npt.NDArray[np.int64]) -> _Parts:
    codes = one.dense(len(tasks))[rows].astype(np.int64)
    there = codes != MISSING
    within = tasks[rows] * (len(one.first_rows) + 1) + codes + 1
    _, first, place = np.unique(within, return_index=True, return_inverse=True)
    apart = _digest(np.argsort(np.argsort(first))[place.ravel()])
    if one.numeric and there.sum() > 1 and len(np.unique(within[there])) == there.sum():
        return _Parts(apart, _order(one.numbers[codes[there]], tasks[rows][there]))
    return _Parts(apart, b"")


def _order(numbers: npt.NDArray[np.float64], tasks: npt.NDArray[np.int64]) -> bytes:
    """The order of the numbers within each task, the same for the order turned round in all of them."""
    return min(_digest(np.lexsort((signed, tasks))) for signed in (numbers, -numbers))


def _digest(numbers: npt.NDArray[np.int64]) -> bytes:
    return hashlib.blake2b(numbers.tobytes(), digest_size=16).digest()
