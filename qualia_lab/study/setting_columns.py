"""Params and tags as columns of integer codes, equal for values that differ in spelling only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.columns import column, column_of, filled, numbers_of, whole
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from qualia_lab.tables import RunTables

    Codes = npt.NDArray[np.int32]
    Marks = npt.NDArray[np.uint64]

MISSING = -1
_SAMPLE, _SAMPLE_LENGTH = 200, 300  # how many values are sampled to detect their form, and their length in characters


@dataclass(frozen=True, eq=False)
class SettingColumn:
    """One param, or one tag set by users, over all runs.

    Attributes:
        name: its key; for a tag whose key is also that of a param, `tags.KEY`.
        key: its key.
        kind: param or tag.
        places: the indices of the runs that have it, ascending.
        codes: for these runs, a number from 0 for each distinct value.
        numeric: whether all values are numbers.
        sample: some of the distinct values, truncated.
        own_names: in how many runs the value is the name or id of the run.
        first_rows: for each code, the row of the table where it occurs first.
    """

    name: str
    key: str
    kind: Literal["param", "tag"]
    places: Codes
    codes: Codes
    numeric: bool
    sample: tuple[str, ...]
    own_names: int
    first_rows: npt.NDArray[np.int64]
    _texts: pa.Array

    @cached_property
    def texts(self) -> list[str]:
        """For each code, the first spelling of its value."""
        texts: list[str] = self._texts.take(column_of(self.first_rows, pa.int64())).to_pylist()
        return texts

    @cached_property
    def numbers(self) -> npt.NDArray[np.float64]:
        """For each code, its number; only if all values are numbers."""
        return np.array([float(text) for text in self.texts])

    @cached_property
    def marks(self) -> Marks:
        """For each code 64 pseudo-random bits, the same for the same code of the same column."""
        named = hashlib.blake2b(f"{self.kind} {self.key}".encode("utf-8", "replace"), digest_size=8).digest()
        return _mixed(np.arange(len(self.first_rows), dtype=np.uint64) + np.frombuffer(named, np.uint64))

    def among(self, chosen: npt.NDArray[np.bool_]) -> Codes:
        """The codes of the chosen runs that have a value."""
        return self.codes[chosen[self.places]]

    def dense(self, runs: int) -> Codes:
        """The code of every run, MISSING if it has none."""
        codes = np.full(runs, MISSING, np.int32)
        codes[self.places] = self.codes
        return codes


def param_columns(tables: RunTables) -> Sequence[SettingColumn]:
    """The params, sorted by key."""
    return tables.once("param columns", lambda: tuple(_columns(tables, tables.params, "param", ())))


def tag_columns(tables: RunTables) -> Sequence[SettingColumn]:
    """The tags set by users, sorted by key, without those that MLflow sets itself.

    Args:
        tables: the tables of the runs; a tag with the key of a param is named `tags.KEY`.
    """

    def columns() -> tuple[SettingColumn, ...]:
        keys = pc.unique(tables.tags.column("key"))
        own = [key for key in keys.to_pylist() if not key.startswith("mlflow.")]
        wanted = pc.is_in(tables.tags.column("key"), value_set=column(own, pa.string()))
        params = [one.key for one in param_columns(tables)]
        return tuple(_columns(tables, tables.tags.filter(wanted), "tag", params))

    return tables.once("tag columns", columns)


def fingerprints(columns: Sequence[SettingColumn], runs: int) -> Marks:
    """64 bits for every run, equal for runs with equal values in all columns; a missing value counts as a value.

    The bits of all values are added up, so that a column can be removed again (Zobrist 1970). Two different settings
    among 100,000 get the same bits once in three thousand million studies.

    Args:
        columns: the columns.
        runs: the number of runs.
    """
    marks = np.zeros(runs, np.uint64)
    for column_of_setting in columns:
        marks[column_of_setting.places] += column_of_setting.marks[column_of_setting.codes]
    return marks


def _mixed(numbers: Marks) -> Marks:
    """SplitMix64's output function, which mixes the bits of a number (Steele, Lea and Flood 2014)."""
    numbers = numbers * np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _columns(
    tables: RunTables, table: pa.Table, kind: Literal["param", "tag"], taken: Sequence[str]
) -> Iterator[SettingColumn]:
    if not table.num_rows:
        return
    owners = tables.owners_of(table)
    encoded = whole(table.column("key")).dictionary_encode()
    keys, key_of = encoded.dictionary.to_pylist(), numbers_of(encoded.indices)
    texts = whole(table.column("value"))
    valid = (owners >= 0) & numbers_of(filled(pc.cast(pc.is_valid(texts), pa.int8()), 0)).astype(np.bool_)
    order = np.lexsort((owners, key_of))
    order = order[valid[order]]
    ends = np.cumsum(np.bincount(key_of[order], minlength=len(keys)))
    for place in sorted(range(len(keys)), key=keys.__getitem__):
        rows = order[ends[place - 1] if place else 0 : ends[place]].astype(np.int64)
        if len(rows):
            names = (f"tags.{keys[place]}" if keys[place] in taken else keys[place], keys[place], kind)
            yield _column(tables, names, rows, owners[rows].astype(np.int32), texts)


def _column(
    tables: RunTables,
    names: tuple[str, str, Literal["param", "tag"]],
    rows: npt.NDArray[np.int64],
    places: Codes,
    texts: pa.Array,
) -> SettingColumn:
    """One column from the rows of one key, in the order of their runs; `names` are its name, key and kind."""
    values = texts.take(column_of(rows, pa.int64()))
    encoded = values.dictionary_encode()
    spellings: list[str] = encoded.dictionary.to_pylist()
    code_of: dict[object, int] = {}
    codes_of_spellings = np.fromiter(
        (code_of.setdefault(canonical(text), len(code_of)) for text in spellings), np.int32, len(spellings)
    )
    codes = codes_of_spellings[numbers_of(encoded.indices)]
    _, first = np.unique(codes, return_index=True)
    at = column_of(places.astype(np.int64), pa.int64())
    own = sum(
        pc.sum(filled(pc.cast(pc.equal(values, whole(tables.runs.column(column)).take(at)), pa.int64()), 0)).as_py()
        for column in ("run_id", "run_name")
    )
    step = max(1, len(spellings) // _SAMPLE)
    sample = tuple(text[:_SAMPLE_LENGTH] for text in spellings[::step])
    return SettingColumn(
        *names, places, codes, all(isinstance(value, Decimal) for value in code_of), sample, own, rows[first], texts
    )
