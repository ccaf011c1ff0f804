"""ByRun: access a tidy table by run without a Python object for each row."""

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
    """{run id: {key: value}} of a tidy table, sorted by key; {} for a run without values, NaN for a missing number.

    The inner dicts are created on access: the params of 100,000 runs would be two million entries.
    """

    def __init__(self, positions: Mapping[str, int], table: pa.Table) -> None:
        """positions: the position of each run id.  table: the columns `run_id`, `key`, and `value` (text or number)."""
        run_indices = pc.index_in(whole(table.column("run_id")), value_set=column(list(positions), pa.string()))
        run_codes = numbers_of(filled(run_indices, -1))
        encoded = whole(table.column("key")).dictionary_encode()
        names = encoded.dictionary.to_pylist()
        by_name = sorted(range(len(names)), key=names.__getitem__)
        rank = np.empty(len(names), np.int32)
        rank[by_name] = np.arange(len(names), dtype=np.int32)
        keys = rank[numbers_of(encoded.indices)]
        order = np.lexsort((keys, run_codes))[np.count_nonzero(run_codes < 0) :]
        self._positions = positions
        self._names = [names[index] for index in by_name]
        self._keys = keys[order]
        self._ends = np.cumsum(np.bincount(run_codes[order], minlength=len(positions)))
        values = whole(table.column("value"))
        self._texts: pa.Array | None = None
        if values.type == pa.string():
            encoded = values.dictionary_encode()
            self._texts = encoded.dictionary
            self._values = numbers_of(filled(encoded.indices, -1))[order]
        else:
            self._values = numbers_of(filled(values, np.nan))[order]

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[str]:
        return iter(self._positions)

    def __getitem__(self, run_id: str) -> dict[str, Any]:
        rows = self._rows(run_id)
        values = self._values[rows].tolist()
        if self._texts is not None:
            values = [None if code < 0 else self._texts[code].as_py() for code in values]
        return {self._names[key]: value for key, value in zip(self._keys[rows].tolist(), values, strict=True)}

    def without(self) -> list[str]:
        """The runs without values."""
        counts = np.diff(self._ends, prepend=0)
        return [run_id for run_id, count in zip(self._positions, counts.tolist(), strict=True) if not count]

    def how_many(self, run_id: str) -> int:
        """The number of values of the run."""
        rows = self._rows(run_id)
        return int(rows.stop - rows.start)

    def digest(self, run_id: str) -> bytes:
        """A digest that is equal exactly for runs with the same texts under the same keys."""
        rows = self._rows(run_id)
        return bytes(self._keys[rows].tobytes() + self._values[rows].tobytes())

    def _rows(self, run_id: str) -> slice:
        position = self._positions[run_id]
        return slice(int(self._ends[position - 1]) if position else 0, int(self._ends[position]))
