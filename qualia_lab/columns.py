"""Python values as Arrow columns, without waking pandas.

`pyarrow.array` imports pandas to see whether it was given a Series; that costs more than reading a thousand runs.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLAIN: dict[pa.DataType, type] = {pa.string(): str, pa.int64(): int, pa.float64(): float}
_TAKEN: dict[type, set[type]] = {str: {str}, int: {int}, float: {float, int}}


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """The values as an Arrow array of text, int64 or float64; None is null.

    Raises TypeError for a value of another type: nothing is rounded or spelled out on the way. Raises OverflowError
    for a whole number past 64 bits, and UnicodeEncodeError for half of a surrogate pair.
    """
    plain = _PLAIN[kind]
    types = set(map(type, values))
    odd = types - _TAKEN[plain] - {type(None)}
    if odd:
        raise TypeError(f"{', '.join(sorted(one.__name__ for one in odd))} in a column of {kind}")
    nulls = None
    if type(None) in types:
        valid = np.fromiter((value is not None for value in values), np.bool_, len(values))
        nulls = pa.py_buffer(np.packbits(valid, bitorder="little"))
        values = [plain() if value is None else value for value in values]
    if plain is str:
        return _text(values, nulls)
    numbers = np.array(values, np.int64 if plain is int else np.float64)
    return pa.Array.from_buffers(kind, len(values), [nulls, pa.py_buffer(numbers)])


def whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one array; `combine_chunks` copies also what is one already, which of a million texts is much."""
    if isinstance(values, pa.ChunkedArray):
        return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()
    return values


def numbers_of(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The numbers of a column without nulls, without waking pandas as `to_numpy` does."""
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    kind = np.dtype(str(values.type).replace("double", "float64"))
    found = [np.frombuffer(one.buffers()[1], kind, len(one), kind.itemsize * one.offset) for one in chunks if len(one)]
    return found[0] if len(found) == 1 else np.concatenate(found or [np.array([], kind)])


def texts_of(values: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The texts of a column, equal ones as one object: of a hundred thousand statuses there are five."""
    encoded = whole(values).dictionary_encode()
    texts = [*encoded.dictionary.to_pylist(), None]
    return [texts[place] for place in numbers_of(filled(encoded.indices, -1)).tolist()]


def column_of(numbers: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Numbers as an Arrow array of their own type."""
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))])


def filled(values: pa.Array | pa.ChunkedArray, number: float) -> pa.Array | pa.ChunkedArray:
    """The column with this number for every null; a plain number would become a scalar, and that wakes pandas too."""
    if not values.null_count:
        return values
    kind = np.dtype(str(values.type).replace("double", "float64"))
    return pc.fill_null(values, column_of(np.array([number], kind), values.type)[0])


def _text(values: Sequence[str], nulls: pa.Buffer | None) -> pa.Array:
    """Text as the two buffers that Arrow keeps it in: where each value ends, and all of them in one piece."""
    joined = "".join(values)
    data = joined.encode()
    lengths = map(len, values) if len(data) == len(joined) else (len(value.encode()) for value in values)
    if len(data) >= 2**31:  # more than one array can hold
        return pa.array(values, pa.string())
    ends = np.fromiter(accumulate(lengths, initial=0), np.int32, len(values) + 1)
    return pa.Array.from_buffers(pa.string(), len(values), [nulls, pa.py_buffer(ends), pa.py_buffer(data)])
