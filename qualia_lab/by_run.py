"""A tidy table by run, without a Python object for each of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.columns import column, filled, numbers_of, whole

if TYPE_CHECKING:
    from collections.abc import Iterator


class ByRun(Mapping[str, dict[str, Any]]):
    """Of every run its values by key, sorted by key; {} for one that has none, NaN for a number that is missing.

    A dict is made when it is asked for: the params of a hundred thousand runs would be two million entries.
    """

    def __init__(self, places: Mapping[str, int], table: pa.Table) -> None:
        """places: of the runs, in their order.  table: `run_id`, `key`, and `value` as text or number."""
        owners = pc.index_in(whole(table.column("run_id")), value_set=column(list(places), pa.string()))
        owner = numbers_of(filled(owners, -1))
        encoded = whole(table.column("key")).dictionary_encode()
        names = encoded.dictionary.to_pylist()
        by_name = sorted(range(len(names)), key=names.__getitem__)
        rank = np.empty(len(names), np.int32)
        rank[by_name] = np.arange(len(names), dtype=np.int32)
        keys = rank[numbers_of(encoded.indices)]
        order = np.lexsort((keys, owner))[np.count_nonzero(owner < 0) :]
        self._places = places
        self._names = [names[place] for place in by_name]
        self._keys = keys[order]
        self._ends = np.cumsum(np.bincount(owner[order], minlength=len(places)))
        values = whole(table.column("value"))
        self._texts: pa.Array | None = None
        if values.type == pa.string():
            encoded = values.dictionary_encode()
            self._texts = encoded.dictionary
            self._values = numbers_of(filled(encoded.indices, -1))[order]
        else:
            self._values = numbers_of(filled(values, np.nan))[order]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __getitem__(self, run_id: str) -> dict[str, Any]:
        rows = self._rows(run_id)
        values = self._values[rows].tolist()
        if self._texts is not None:
            values = [None if place < 0 else self._texts[place].as_py() for place in values]
        return {self._names[key]: value for key, value in zip(self._keys[rows].tolist(), values, strict=True)}

    def how_many(self, run_id: str) -> int:
        """How many values the run has."""
        rows = self._rows(run_id)
        return int(rows.stop - rows.start)

    def digest(self, run_id: str) -> bytes:
        """Alike for runs with the same texts under the same keys, and for no others."""
        rows = self._rows(run_id)
        return bytes(self._keys[rows].tobytes() + self._values[rows].tobytes())

    def _rows(self, run_id: str) -> slice:
        place = self._places[run_id]
        return slice(int(self._ends[place - 1]) if place else 0, int(self._ends[place]))
