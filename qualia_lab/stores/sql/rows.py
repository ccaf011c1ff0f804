"""Rows of a cursor to Arrow tables: by whole columns, and cell by cell where a column holds an unexpected value."""

from __future__ import annotations

import gc
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.columns import column, column_of, filled, numbers_of, whole
from qualia_lab.schema import EXPERIMENT_LIST, FLOAT, INT, STRING, TABLES
from qualia_lab.stores.values import decoded, integer, number, text
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    Numbers = npt.NDArray[Any]

    # Called with the row's index, the column's name, and why the value could not be converted as it is.
    Unread = Callable[[int, str, str], None]

# Databases limit the number of parameters of a statement, and rows in Python take much memory.
IDS_PER_QUERY = 2_000

# Rows that are sorted in Python.
_FEW = 500


class GcPaused:
    """Disables cyclic garbage collection inside the block: it would traverse every new row and free nothing."""

    def __enter__(self) -> None:
        self.was_enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self.was_enabled:
            gc.enable()


def _fields_of(columns: pa.Schema) -> tuple[tuple[str, pa.DataType], ...]:
    return tuple(zip(columns.names, columns.types, strict=True))


# A schema makes its names and types anew each time, which takes a tenth of the time of a small table.
_FIELDS = {id(columns): _fields_of(columns) for columns in (EXPERIMENT_LIST, *TABLES.values())}


def arrow_table(columns: pa.Schema, rows: Sequence[Sequence[Any]], unread: Unread) -> pa.Table:
    """A table with these columns, in this order, from rows with as many values; a null float becomes NaN."""
    if not rows:
        return table_of(columns, [])
    fields = _FIELDS.get(id(columns)) or _fields_of(columns)
    with GcPaused():
        cells = zip(zip(*rows, strict=True), fields, strict=True)
        arrays = [_array(values, name, kind, unread) for values, (name, kind) in cells]
    return pa.Table.from_arrays(arrays, schema=columns)


def in_order(table: pa.Table, by: str, ids: Sequence[str], then: Iterable[str]) -> pa.Table:
    """The rows whose id is among `ids`, in the order of `ids` and then by the columns `then`."""
    then = tuple(then)
    if max(table.num_rows, len(ids)) <= _FEW and not any(table.schema.field(name).type == FLOAT for name in then):
        return _few_in_order(table, by, ids, then)
    rank = pc.index_in(table.column(by), value_set=column(ids, STRING))
    if rank.null_count:
        table, rank = table.filter(rank.is_valid()), rank.drop_null()
    keys = [_rank(table.column(name)) for name in then]
    place = _places([_numbers(rank), *keys])
    return table if place is None else table.take(column_of(place, INT))


def _few_in_order(table: pa.Table, by: str, ids: Sequence[str], then: tuple[str, ...]) -> pa.Table:
    """The same for few rows, which Python sorts in a third of the time that Arrow's functions take to begin."""
    ranks = {value: rank for rank, value in reversed(list(enumerate(ids)))}
    owners = table.column(by).to_pylist()
    columns = [_sortable(table.column(name)) for name in then]
    keys = [
        (ranks[owner], *cells)
        for owner, *cells in zip(owners, *columns, range(table.num_rows), strict=True)
        if owner in ranks
    ]
    places = [key[-1] for key in sorted(keys)]
    return table if places == list(range(table.num_rows)) else table.take(column_of(np.array(places, np.int64), INT))


def _sortable(values: pa.ChunkedArray) -> list[Any]:
    """Python values that sort as those of the column do, nulls last."""
    cells: list[Any] = values.to_pylist()
    return [(cell is None, cell) for cell in cells] if values.null_count else cells


def _rank(values: pa.ChunkedArray) -> Numbers:
    """Numbers that sort as the values do, nulls last: only the distinct texts are sorted."""
    if not pa.types.is_string(values.type):
        return _numbers(values)
    codes = whole(values).dictionary_encode()
    order = numbers_of(pc.sort_indices(codes.dictionary))
    rank = np.empty(len(order) + 1, np.int64)
    rank[order] = np.arange(len(order))
    rank[-1] = len(order)
    ranks: Numbers = rank[numbers_of(filled(codes.indices, len(order)))]
    return ranks


def _numbers(values: pa.ChunkedArray) -> Numbers:
    return numbers_of(filled(values, 2**63 - 1 if values.type == INT else math.nan))


def _places(keys: Sequence[Numbers]) -> Numbers | None:
    """The permutation that sorts the rows, or None when they are sorted already, as databases often return them."""
    if not len(keys[0]):
        return None
    first, rest = _packed(keys)
    if _are_sorted([first, *rest]):
        return None
    places = np.argsort(first, kind="stable")
    ordered = first[places]
    return np.lexsort([*rest[::-1], first]) if rest and np.any(ordered[:-1] == ordered[1:]) else places


def _packed(keys: Sequence[Numbers]) -> tuple[Numbers, list[Numbers]]:
    """As many of the first keys as fit packed into one 64-bit number, and the rest: one key sorts faster than many."""
    packed, size = np.zeros(len(keys[0]), np.int64), 1
    for place, key in enumerate(keys):
        if key.dtype.kind not in "iu":
            return packed, list(keys[place:])
        lowest, span = int(key.min()), int(key.max()) - int(key.min()) + 1
        size *= span
        if size >= 2**62:
            return packed, list(keys[place:])
        packed = packed * span + (key.astype(np.int64) - lowest)
    return packed, []


def _are_sorted(keys: Sequence[Numbers]) -> bool:
    tied = np.ones(len(keys[0]) - 1, np.bool_)
    for key in keys:
        before, after = key[:-1], key[1:]
        if np.any(tied & ~(before <= after)):
            return False
        tied &= before == after
    return True


def batched(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """The items in lists of this size at most."""
    for first in range(0, len(items), size):
        yield list(items[first : first + size])


def ignore(place: int, name: str, reason: str) -> None:
    """Report nothing: in a list of runs a value that cannot be read is null, and `read` reports it."""


def _array(values: Sequence[Any], name: str, kind: pa.DataType, unread: Unread) -> pa.Array:
    if kind.id == FLOAT.id and None in values:
        values = [math.nan if value is None else value for value in values]
    try:
        return column(values, kind)
    except (TypeError, ValueError, OverflowError):
        cells = []
        for place, value in enumerate(values):
            cell, reason = _cell(value, kind)
            cells.append(cell)
            if reason:
                unread(place, name, reason)
        return column(cells, kind)


def _cell(value: Any, kind: pa.DataType) -> tuple[Any, str]:
    """The value converted to this type as closely as possible, and a remark for the reader, or ""."""
    if value is None:
        return None, ""
    try:
        if kind == INT:
            if isinstance(value, float) and math.isfinite(value) and not value.is_integer():
                return integer(float(math.floor(value))), f"{value} is no whole number and was read as the one below it"
            return integer(value), ""
        if kind == FLOAT:
            return number(value), ""
        if isinstance(value, bytes):
            return decoded(value), "it is no valid UTF-8; what is not is shown as escapes"
        return text(value), ""
    except ValueError as error:
        return None, f"it is {error}"
