"""Metric histories in Parquet, sorted by metric, so that one metric can be read alone; uses bounded memory."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qualia_lab import schema
from qualia_lab.columns import column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# The size of the buffer before it is written: some hundred megabytes at most.
_MAX_BUFFERED_POINTS = 1 << 20
_MAX_BUFFERED_BYTES = 256 << 20
# Metrics with fewer points share row groups, so that a thousand short ones do not make a thousand row groups.
_OWN_ROW_GROUP = 4096
_ROW_GROUP = 1 << 16
_LARGEST_ROW_GROUP = 1 << 18


def write_history(batches: Iterable[pa.RecordBatch], write: Callable[[Iterable[pa.Table]], None]) -> None:
    """Sort points by metric and write them to one or more files.

    The points of a series (a metric of a run) stay consecutive: a series that exceeds the buffer has files of its own.

    Args:
        batches: the points, as `read_metric_history` returns them.
        write: writes one file from its row groups.
    """
    buffered: list[pa.RecordBatch] = []
    unfinished: tuple[str, str] | None = None  # the series whose first points are in the last file
    points = size = 0
    for batch in batches:
        buffered.append(batch)
        points += batch.num_rows
        size += batch.nbytes
        if points < _MAX_BUFFERED_POINTS and size < _MAX_BUFFERED_BYTES:
            continue
        table = pa.Table.from_batches(buffered, schema.METRIC_HISTORY)
        table, unfinished = _write_rest_of_series(unfinished, table, write)
        if table.num_rows:
            begin, last = _last_series(table)
            _write_sorted(table.slice(0, begin), write)
            table = table.slice(begin)
            if table.num_rows > _MAX_BUFFERED_POINTS // 2:
                write([table])
                table, unfinished = table.slice(0, 0), last
        buffered, points, size = table.to_batches(), table.num_rows, table.nbytes
    if buffered:
        table, _ = _write_rest_of_series(unfinished, pa.Table.from_batches(buffered, schema.METRIC_HISTORY), write)
        _write_sorted(table, write)


def read_encoded(file: Any, keys: pa.Array | None) -> Iterator[pa.RecordBatch]:
    """The points of these metrics (None: all), read only from row groups that can contain them.

    Run ids and keys are dictionaries: rows are chosen by them much faster, see `points_of`.
    """
    with pq.ParquetFile(file, page_checksum_verification=True, read_dictionary=["run_id", "key"]) as parquet:
        groups = list(range(parquet.num_row_groups))
        if keys is not None:
            names = keys.to_pylist()
            groups = [group for group in groups if _may_hold(parquet.metadata.row_group(group), names)]
        for batch in parquet.iter_batches(batch_size=_ROW_GROUP, row_groups=groups) if groups else ():
            yield batch if keys is None else _with(batch, "key", keys)


def points_of(batches: Iterable[pa.RecordBatch], run_ids: pa.Array | None) -> Iterator[pa.RecordBatch]:
    """The points of these runs (None: all) among those of `read_encoded`, as METRIC_HISTORY of the schema."""
    for batch in batches:
        chosen = batch if run_ids is None else _with(batch, "run_id", run_ids)
        if chosen.num_rows:
            columns = [
                one.dictionary_decode() if isinstance(one, pa.DictionaryArray) else one for one in chosen.columns
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema.METRIC_HISTORY)


def _with(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    """The rows with one of these values in a column, which is a dictionary."""
    encoded = batch.column(name)
    return batch.filter(pc.is_in(encoded.dictionary, value_set=values).take(encoded.indices))


def _write_rest_of_series(
    series: tuple[str, str] | None, table: pa.Table, write: Callable[[Iterable[pa.Table]], None]
) -> tuple[pa.Table, tuple[str, str] | None]:
    """Write the leading points if they belong to this series; return the rest, and the series if it may continue."""
    if series is None:
        return table, None
    others = np.flatnonzero(~_is_of(table, *series))
    end = int(others[0]) if len(others) else table.num_rows
    if end:
        write([table.slice(0, end)])
    return table.slice(end), series if end == table.num_rows else None


def _last_series(table: pa.Table) -> tuple[int, tuple[str, str]]:
    """The first row of the last series of a table, and the series as (run id, key)."""
    run_id, key = (table.column(name)[-1].as_py() for name in ("run_id", "key"))
    others = np.flatnonzero(~_is_of(table, run_id, key))
    return (int(others[-1]) + 1 if len(others) else 0), (run_id, key)


def _is_of(table: pa.Table, run_id: str, key: str) -> Any:
    """A boolean for each point: whether it belongs to this series."""
    is_in_series = np.ones(table.num_rows, bool)
    for name, value in (("run_id", run_id), ("key", key)):
        same = pc.is_in(table.column(name), value_set=column([value], schema.STRING))
        is_in_series &= np.concatenate([_bits(chunk) for chunk in same.chunks])
    return is_in_series


def _write_sorted(table: pa.Table, write: Callable[[Iterable[pa.Table]], None]) -> None:
    """Write one file of these points, sorted by metric with a stable sort."""
    if not table.num_rows:
        return
    encoded = table.column("key").dictionary_encode().combine_chunks()
    codes = _numbers(encoded.indices, np.int32)
    names = encoded.dictionary.to_pylist()
    rank = np.empty(len(names), np.int32)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names), dtype=np.int32)
    ranks = rank[codes]
    if np.any(ranks[1:] < ranks[:-1]):
        order = np.argsort(ranks, kind="stable")
        table, ranks = (
            table.take(pa.Array.from_buffers(pa.int64(), len(order), [None, pa.py_buffer(order)])),
            ranks[order],
        )
    begins = [0, *(np.flatnonzero(np.diff(ranks)) + 1).tolist(), len(ranks)]
    write(table.slice(begin, end - begin) for begin, end in _row_groups(begins))


def _row_groups(begins: list[int]) -> Iterator[tuple[int, int]]:
    """(first row, end) of each row group: long metrics have their own, short ones share. `begins`: of each metric."""
    first = 0
    for begin, end in pairwise(begins):
        is_long = end - begin >= _OWN_ROW_GROUP
        if first < begin and (is_long or end - first > _ROW_GROUP):
            yield first, begin
            first = begin
        if is_long:
            for start in range(begin, end, _LARGEST_ROW_GROUP):
                yield start, min(start + _LARGEST_ROW_GROUP, end)
            first = end
    if first < begins[-1]:
        yield first, begins[-1]


def _may_hold(group: Any, keys: list[str]) -> bool:
    """Whether a row group can contain one of these metrics, by its statistics."""
    index = schema.METRIC_HISTORY.get_field_index("key")
    statistics = group.column(index).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return any(statistics.min <= key <= statistics.max for key in keys)


def _numbers(array: pa.Array, kind: type) -> Any:
    """The numbers of an array without nulls; `to_numpy` would import pandas."""
    return np.frombuffer(array.buffers()[1], kind)[array.offset : array.offset + len(array)]


def _bits(array: pa.Array) -> Any:
    """The booleans of an array without nulls."""
    bits = np.unpackbits(np.frombuffer(array.buffers()[1], np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].astype(bool)
