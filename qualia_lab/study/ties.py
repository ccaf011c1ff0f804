"""Find params and tags that distinguish the same runs, so that their effects cannot be separated."""

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
    named_factors: Collection[str],
) -> dict[str, str]:
    """Map each column that changes only together with another one to the name of that one, the leader.

    Configurations are compared, within tasks: columns are tied if their values correspond one to one. Columns with a
    different value in every configuration, as in a random search, correspond one to one whatever they mean: numeric
    ones are only tied if they have the same or the reversed order, and texts are tied to them only if all of the
    numeric ones are tied. The leader is a factor named in the settings, then a column that names a problem such as a
    data set (its size or number only follows from it), a param before a tag, the shortest name, then the first by
    alphabet. Factors named in the settings are never tied.

    Args:
        columns: the columns with the role factor.
        chosen: whether each run competes.
        tasks: the number of the task of each run.
        named_factors: the factors named in the settings.
    """
    rows = _first_runs(columns, chosen, tasks)
    parts = {column.name: _parts(column, rows, tasks) for column in columns}
    orders: dict[bytes, set[bytes]] = {}
    for part in parts.values():
        if part.order:
            orders.setdefault(part.partition, set()).add(part.order)
    leaders: dict[tuple[bytes, bytes], str] = {}
    leader_of: dict[str, str] = {}
    for column in sorted(columns, key=lambda column: _rank(column, named_factors)):
        partition, order = parts[column.name]
        has_several_orders = len(orders.get(partition, ())) > 1
        lead = leaders.setdefault((partition, order if has_several_orders else b""), column.name)
        if lead != column.name and column.name not in named_factors:
            leader_of[column.name] = lead
    return leader_of


def _rank(column: SettingColumn, named_factors: Collection[str]) -> tuple[bool, bool, str, int, str]:
    return column.name not in named_factors, not names_a_problem(column.key), column.kind, len(column.name), column.name


def _first_runs(
    columns: Sequence[SettingColumn], chosen: npt.NDArray[np.bool_], tasks: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The index of the first run of each configuration."""
    alike = fingerprints(columns, len(chosen))
    places = np.flatnonzero(chosen)
    order = np.lexsort((places, alike[places], tasks[places]))
    runs = places[order]
    new = np.ones(len(runs), np.bool_)
    new[1:] = (tasks[runs][1:] != tasks[runs][:-1]) | (alike[runs][1:] != alike[runs][:-1])
    return np.sort(runs[new])


class _Parts(NamedTuple):
    """Digests of how a column divides the configurations; the values of ten thousand params would not fit into memory.

    Attributes:
        partition: equal for columns that distinguish the same configurations.
        order: the order of the values, for numbers that are all different.
    """

    partition: bytes
    order: bytes


def _parts(column: SettingColumn, rows: npt.NDArray[np.int64], tasks: npt.NDArray[np.int64]) -> _Parts:
    codes = column.dense(len(tasks))[rows].astype(np.int64)
    present = codes != MISSING
    within = tasks[rows] * (len(column.first_rows) + 1) + codes + 1
    _, first, place = np.unique(within, return_index=True, return_inverse=True)
    partition = _digest(np.argsort(np.argsort(first))[place.ravel()])
    if column.numeric and present.sum() > 1 and len(np.unique(within[present])) == present.sum():
        return _Parts(partition, _order(column.numbers[codes[present]], tasks[rows][present]))
    return _Parts(partition, b"")


def _order(numbers: npt.NDArray[np.float64], tasks: npt.NDArray[np.int64]) -> bytes:
    """A digest of the order of the numbers within each task, the same if all orders are reversed."""
    return min(_digest(np.lexsort((signed, tasks))) for signed in (numbers, -numbers))


def _digest(numbers: npt.NDArray[np.int64]) -> bytes:
    return hashlib.blake2b(numbers.tobytes(), digest_size=16).digest()
