"""RunTables: everything that was read about a set of runs, as one frozen bundle of tidy tables."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.caching import cached
from qualia_lab.columns import column, column_of, filled, numbers_of, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

T = TypeVar("T")


@dataclass(frozen=True)
class RunTables:
    """Tidy tables that are joined by `run_id`, with the columns of `qualia_lab.schema`.

    The schemas are checked at construction: other columns raise TypeError. `runs` is in the requested order.

    Attributes:
        experiments: the experiments of the runs (schema.EXPERIMENTS).
        experiment_tags: their tags.
        runs: one row for each run (schema.RUNS).
        params: all params.
        metrics: the latest value of each metric.
        tags: all tags.
        datasets: the logged datasets.
        logged_models: the logged models.
        missing: the requested runs that do not exist, with the reason.
        problems: what could not be read, with the reason.
    """

    experiments: pa.Table
    experiment_tags: pa.Table
    runs: pa.Table
    params: pa.Table
    metrics: pa.Table
    tags: pa.Table
    datasets: pa.Table
    logged_models: pa.Table
    missing: pa.Table
    problems: pa.Table

    def __post_init__(self) -> None:
        check_schemas(self, schema.TABLES)

    @cached_property
    def run_ids(self) -> tuple[str, ...]:
        """The ids of the runs that were read, in the requested order."""
        return tuple(self.runs.column("run_id").to_pylist())

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """The place of each run in `run_ids`."""
        return {run_id: place for place, run_id in enumerate(self.run_ids)}

    @cached_property
    def digest(self) -> str:
        """A digest of all tables, by which a change of the data is recognized."""
        return digest_of(getattr(self, field.name) for field in fields(self))

    @cached_property
    def _computed(self) -> dict[Hashable, Any]:
        return {}

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what was computed of these tables for this key; compute it on first use."""
        return cached(self._computed, key, compute)

    def owners_of(self, table: pa.Table) -> np.ndarray[Any, Any]:
        """For each row of a table with `run_id`, the index of its run in `runs`; -1 for other runs."""
        indices = pc.index_in(whole(table.column("run_id")), value_set=whole(self.runs.column("run_id")))
        return numbers_of(filled(indices, -1))


def check_schemas(bundle: Any, expected: Mapping[str, pa.Schema]) -> None:
    """Check the columns of a frozen bundle of tables; raises TypeError for others."""
    for name, columns in expected.items():
        table = getattr(bundle, name)
        if not table.schema.equals(columns):
            raise TypeError(f"table {name}: expected {columns}, not {table.schema}")


def digest_of(tables: Iterable[pa.Table]) -> str:
    """A digest of the content of tables."""
    hashed = _Hash()
    for table in tables:
        whole_table = table.combine_chunks()
        with pa.ipc.new_stream(pa.PythonFile(hashed, "w"), whole_table.schema) as stream:
            stream.write_table(whole_table)
    return hashed.sha256.hexdigest()[:16]


def combined_digest(digests: Iterable[str]) -> str:
    """A digest of several digests, in their order."""
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16]


class _Hash(io.RawIOBase):
    """A file that is only hashed."""

    def __init__(self) -> None:
        super().__init__()
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return len(data)


def run_tables(**tables: pa.Table) -> RunTables:
    """RunTables from some of its tables; the others are empty."""
    # Not Schema.empty_table(), which imports pandas, see qualia_lab.columns.
    return RunTables(
        **{name: tables[name] if name in tables else table_of(columns, ()) for name, columns in schema.TABLES.items()}
    )


def rows_with(table: pa.Table, name: str, values: Iterable[str]) -> pa.Table:
    """The rows whose value in a text column is one of `values`; comparing with one text would import pandas."""
    matches = pc.is_in(table.column(name), value_set=column(list(values), schema.STRING))
    return table if pc.all(matches).as_py() else table.filter(matches)


def by_key(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Iterate over (key, rows) of a tidy table; keys are sorted, rows keep their order.

    It yields one key at a time, to bound memory. Table.group_by() is not used because it imports pandas.
    """
    if not table.num_rows:
        return
    codes = whole(table.column("key")).dictionary_encode()
    keys, key_codes = codes.dictionary.to_pylist(), numbers_of(codes.indices)
    order = np.argsort(key_codes, kind="stable")
    ends = np.cumsum(np.bincount(key_codes, minlength=len(keys)))
    for code in sorted(range(len(keys)), key=keys.__getitem__):
        rows = order[ends[code - 1] if code else 0 : ends[code]]
        yield keys[code], table.take(column_of(rows.astype(np.int64), pa.int64()))


def table_of(columns: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Build a table from rows as dicts; a column that a row lacks is null."""
    rows = list(rows)
    return pa.Table.from_arrays(
        [column([row.get(field.name) for row in rows], field.type) for field in columns], schema=columns
    )
