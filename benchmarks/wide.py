"""Shared by all readers: pivot tidy tables to a wide one, and compute digests of results."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def widen(runs: pa.Table, **tidy: pa.Table) -> pa.Table:
    """One row for each run and one column for each key, named as in mlflow.search_runs."""
    columns = {name: runs.column(name) for name in ("run_id", "experiment_id", "status", "start_time", "end_time")}
    for kind, table in tidy.items():
        table = table.combine_chunks()  # noqa: PLW2901 - the same rows
        keys = table.column("key").combine_chunks().dictionary_encode()
        rows = pc.index_in(table.column("run_id"), value_set=runs.column("run_id").combine_chunks()).to_numpy()
        names = keys.dictionary.to_pylist()
        indices = np.full((len(names), runs.num_rows), -1, np.int64)
        indices[keys.indices.to_numpy(), rows] = np.arange(table.num_rows)
        for name, index in zip(names, indices, strict=True):
            values = table.column("value").take(pa.Array.from_pandas(index, mask=index < 0))
            columns[f"{kind}.{name}"] = values
    return pa.table(columns)


def digest(table: pa.Table, sort: bool = True) -> str:
    """A digest of the rows, independent of their order if `sort`; missing numbers equal NaN."""
    names = sorted(table.column_names)
    table = table.select(names)
    keys = [(name, "ascending") for name in names if sort and _sorts(name)]
    if keys:
        table = table.take(pc.sort_indices(table, sort_keys=keys))
    sha256 = hashlib.sha256(f"{table.num_rows} {names}".encode())
    for name in names:
        column = table.column(name)
        if pa.types.is_floating(column.type):
            numbers = column.fill_null(float("nan")).to_numpy()
            sha256.update(np.where(np.isnan(numbers), np.nan, numbers + 0.0).tobytes())
        elif pa.types.is_integer(column.type):
            sha256.update(column.cast(pa.int64()).fill_null(-1).to_numpy().tobytes())
        else:
            for text in column.to_pylist():
                sha256.update(b"\0\0" if text is None else text.encode() + b"\0")
    return sha256.hexdigest()[:16]


def _sorts(name: str) -> bool:
    return name in ("run_id", "trace_id", "key", "step", "timestamp", "value", "experiment_id")
