"""Params and tags as columns of codes: equal numbers for values that are equal whatever their spelling."""

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
_SAMPLE, _SAMPLE_LENGTH = 200, 300  # of how many values the form is looked at, and how much of each


@dataclass(frozen=True, eq=False)
class SettingColumn:
    """One param, or one tag of the person's own, over all runs.

    name: its key; of a tag whose key is a param's too, `tags.KEY`.  places: the runs that have it, as places among all
    runs, ascending.  codes: of these runs, a number from 0 on for each different value.  numeric: whether all values
    are numbers.  sample: some of the different values, cut.  own_names: in how many runs it is the run's name or id.
    first_rows: of each code the row of the table where it stands first.
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
        """Of each code the first spelling of its value."""
        found: list[str] = self._texts.take(column_of(self.first_rows, pa.int64())).to_pylist()
        return found

    @cached_property
    def numbers(self) -> npt.NDArray[np.float64]:
        """Of each code its number; only where all are numbers."""
        return np.array([float(text) for text in self.texts])

    @cached_property
    def marks(self) -> Marks:
        """Of each code 64 bits that look random, the same ones for the same place in the same column."""
        named = hashlib.blake2b(f"{self.kind} {self.key}".encode("utf-8", "replace"), digest_size=8).digest()
        return _mixed(np.arange(len(self.first_rows), dtype=np.uint64) + np.frombuffer(named, np.uint64))

    def among(self, chosen: npt.NDArray[np.bool_]) -> Codes:
        """The codes of those runs that are chosen and have it."""
        return self.codes[chosen[self.places]]

    def dense(self, runs: int) -> Codes:
        """The code of every run, MISSING where it has none."""
        found = np.full(runs, MISSING, np.int32)
        found[self.places] = self.codes
        return found


def param_columns(tables: RunTables) -> list[SettingColumn]:
    """The params, by key."""
    return list(_columns(tables, tables.params, "param", ()))


def tag_columns(tables: RunTables, params: Sequence[str]) -> list[SettingColumn]:
    """The tags of the person's own, by key: not those that MLflow sets for itself.

    params: the keys of the params; a tag with one of these is named `tags.KEY`.
    """
    keys = pc.unique(tables.tags.column("key"))
    own = [key for key in keys.to_pylist() if not key.startswith("mlflow.")]
    wanted = pc.is_in(tables.tags.column("key"), value_set=column(own, pa.string()))
    return list(_columns(tables, tables.tags.filter(wanted), "tag", params))


def fingerprints(columns: Sequence[SettingColumn], runs: int) -> Marks:
    """64 bits for every run: equal for runs with equal values in all of these columns, a missing one being a value.

    The bits of all values are added up, so that a column can be taken out again (Zobrist 1970). Two different
    settings among 100,000 get the same bits once in three thousand million studies.
    """
    found = np.zeros(runs, np.uint64)
    for one in columns:
        found[one.places] += one.marks[one.codes]
    return found


def _mixed(numbers: Marks) -> Marks:
    """SplitMix64's output function: the bits of a number, mixed (Steele, Lea and Flood 2014)."""
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
    there = (owners >= 0) & numbers_of(filled(pc.cast(pc.is_valid(texts), pa.int8()), 0)).astype(np.bool_)
    order = np.lexsort((owners, key_of))
    order = order[there[order]]
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
    """One column of the rows of one key, in the order of their runs; names: its name, key and kind."""
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
