"""Rows of a cursor become Arrow tables: whole columns at once, and cell by cell where one holds something odd."""

from __future__ import annotations

import gc
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.columns import column
from qualia_lab.schema import FLOAT, INT, STRING
from qualia_lab.stores.values import decoded, integer, number, text
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    # Told the row's place, the column's name and why its value could not be taken as it stands.
    Unread = Callable[[int, str, str], None]

# Databases limit the parameters of a statement, and rows in Python are large.
IDS_PER_QUERY = 2_000


@contextmanager
def gc_paused() -> Iterator[None]:
    """No cyclic garbage collection in here: it would look at every new row, again and again, and find nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def arrow_table(columns: pa.Schema, rows: Sequence[Sequence[Any]], unread: Unread) -> pa.Table:
    """A table with these columns, in this order, from rows of as many values; a number that is null means NaN."""
    if not rows:
        return table_of(columns, [])
    with gc_paused():
        arrays = [_array(values, field, unread) for values, field in zip(zip(*rows, strict=True), columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=columns)


def in_order(table: pa.Table, by: str, ids: Sequence[str], then: Iterable[str]) -> pa.Table:
    """The rows whose id is among these, in their order and then by other columns."""
    rank = pc.index_in(table.column(by), value_set=column(ids, STRING))
    ranked = table.append_column("rank", rank).filter(rank.is_valid())
    keys = [("rank", "ascending"), *((name, "ascending") for name in then)]
    return ranked.take(pc.sort_indices(ranked, sort_keys=keys)).drop_columns(["rank"])


def batched(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """The items in lists of this size at most."""
    for first in range(0, len(items), size):
        yield list(items[first : first + size])


def ignore(place: int, name: str, reason: str) -> None:
    """A value that could not be read in a list of runs is null there; `read` names it."""


def _array(values: Sequence[Any], field: pa.Field, unread: Unread) -> pa.Array:
    if field.type == FLOAT and None in values:
        values = [math.nan if value is None else value for value in values]
    try:
        return column(values, field.type)
    except (TypeError, ValueError, OverflowError):
        cells = []
        for place, value in enumerate(values):
            cell, reason = _cell(value, field.type)
            cells.append(cell)
            if reason:
                unread(place, field.name, reason)
        return column(cells, field.type)


def _cell(value: Any, kind: pa.DataType) -> tuple[Any, str]:
    """The value as this type, as near as it gets, and what a reader has to know about it, or ""."""
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
