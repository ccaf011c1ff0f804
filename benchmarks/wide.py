"""Tidy tables to one wide one, and results to a digest: the same for every reader, so that only reading differs."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def widen(runs: pa.Table, **tidy: pa.Table) -> pa.Table:
    """A row per run, and a column per key of each table, named as MLflow's search_runs names them."""
    columns = {name: runs.column(name) for name in ("run_id", "experiment_id", "status", "start_time", "end_time")}
    for kind, table in tidy.items():
        table = table.combine_chunks()  # noqa: PLW2901 - the same rows
        keys = table.column("key").combine_chunks().dictionary_encode()
        rows = pc.index_in(table.column("run_id"), value_set=runs.column("run_id").combine_chunks()).to_numpy()
        names = keys.dictionary.to_pylist()
        places = np.full((len(names), runs.num_rows), -1, np.int64)
        places[keys.indices.to_numpy(), rows] = np.arange(table.num_rows)
        for name, place in zip(names, places, strict=True):
            taken = table.column("value").take(pa.Array.from_pandas(place, mask=place < 0))
            columns[f"{kind}.{name}"] = taken
    return pa.table(columns)


def digest(table: pa.Table, sort: bool = True) -> str:
    """The same for the same rows, in any order unless that is part of the answer; a missing number is NaN."""
    names = sorted(table.column_names)
    table = table.select(names)
    keys = [(name, "ascending") for name in names if sort and _sorts(name)]
    if keys:
        table = table.take(pc.sort_indices(table, sort_keys=keys))
    found = hashlib.sha256(f"{table.num_rows} {names}".encode())
    for name in names:
        column = table.column(name)
        if pa.types.is_floating(column.type):
            numbers = column.fill_null(float("nan")).to_numpy()
            found.update(np.where(np.isnan(numbers), np.nan, numbers + 0.0).tobytes())
        elif pa.types.is_integer(column.type):
            found.update(column.cast(pa.int64()).fill_null(-1).to_numpy().tobytes())
        else:
            for text in column.to_pylist():
                found.update(b"\0\0" if text is None else text.encode() + b"\0")
    return found.hexdigest()[:16]


def _sorts(name: str) -> bool:
    return name in ("run_id", "key", "step", "timestamp", "value", "experiment_id")
