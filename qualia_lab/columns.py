"""Conversions between Python values, NumPy arrays and Arrow columns that do not import pandas.

`pyarrow.array` imports pandas to check for a Series, which costs more time than reading a thousand runs.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

# By the ids of Arrow's types, which are compared in less time than the types.
_PYTHON_TYPES: dict[int, type] = {
    pa.string().id: str,
    pa.int64().id: int,
    pa.float64().id: float,
    pa.bool_().id: bool,
}
_ACCEPTED_TYPES: dict[type, set[type]] = {
    str: {str, type(None)},
    int: {int, type(None)},
    float: {float, int, type(None)},
    bool: {bool, type(None)},
}


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Convert values to an Arrow array.

    Args:
        values: str, int, float or bool; None becomes null.
        kind: string, int64, float64 or bool.

    Returns:
        The array.

    Raises:
        TypeError: a value has another type; nothing is rounded or converted to text.
        OverflowError: an integer does not fit into 64 bits.
        UnicodeEncodeError: a text contains half a surrogate pair.
    """
    python_type = _PYTHON_TYPES[kind.id]
    types = set(map(type, values))
    if unexpected := types - _ACCEPTED_TYPES[python_type]:
        raise TypeError(
            f"{', '.join(sorted(unexpected_type.__name__ for unexpected_type in unexpected))} in a column of {kind}"
        )
    nulls = None
    if type(None) in types:
        if len(types) == 1:
            return pa.nulls(len(values), kind)
        valid = np.fromiter((value is not None for value in values), np.bool_, len(values))
        nulls = pa.py_buffer(np.packbits(valid, bitorder="little"))
        values = [python_type() if value is None else value for value in values]
    if python_type is str:
        return _text(values, nulls)
    if python_type is bool:
        bits = np.packbits(np.array(values, np.bool_), bitorder="little")
        return pa.Array.from_buffers(kind, len(values), [nulls, pa.py_buffer(bits)])
    numbers = np.array(values, np.int64 if python_type is int else np.float64)
    return pa.Array.from_buffers(kind, len(values), [nulls, pa.py_buffer(numbers)])


def whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one contiguous array.

    Unlike `combine_chunks`, it neither copies a column of one chunk nor imports pandas for a column without chunks.
    """
    if not isinstance(values, pa.ChunkedArray):
        return values
    if values.num_chunks == 1:
        return values.chunk(0)
    return values.combine_chunks() if values.num_chunks else pa.nulls(0, values.type)


def numbers_of(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The values of a numeric column without nulls as a NumPy array; `to_numpy` would import pandas."""
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    kind = np.dtype(str(values.type).replace("double", "float64"))
    arrays = [
        np.frombuffer(chunk.buffers()[1], kind, len(chunk), kind.itemsize * chunk.offset)
        for chunk in chunks
        if len(chunk)
    ]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays or [np.array([], kind)])


def texts_of(values: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The texts of a column as a list in which equal texts are one object (100,000 statuses are five objects)."""
    encoded = whole(values).dictionary_encode()
    texts = [*encoded.dictionary.to_pylist(), None]
    return [texts[code] for code in numbers_of(filled(encoded.indices, -1)).tolist()]


def text_bytes(texts: pa.StringArray) -> memoryview:
    """The bytes of all texts, one after the other in UTF-8. A missing text counts as an empty one."""
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return memoryview(b"")
    places = memoryview(offsets).cast("i")
    return memoryview(data)[places[texts.offset] : places[texts.offset + len(texts)]]


def text_ends(texts: pa.StringArray) -> np.ndarray:
    """For each text where it ends in `text_bytes`."""
    if not len(texts):
        return np.array([], np.int32)
    ends = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, 4 * texts.offset)
    relative: np.ndarray = ends[1:] - ends[0]
    return relative


def column_of(numbers: np.ndarray, kind: pa.DataType) -> pa.Array:
    """A NumPy array as an Arrow array of the given type, without conversion."""
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))])


def filled(values: pa.Array | pa.ChunkedArray, number: float) -> pa.Array | pa.ChunkedArray:
    """The column with nulls replaced by a number; passing a Python number to `fill_null` would import pandas."""
    if not values.null_count:
        return values
    kind = np.dtype(str(values.type).replace("double", "float64"))
    return pc.fill_null(values, column_of(np.array([number], kind), values.type)[0])


def _text(values: Sequence[str], nulls: pa.Buffer | None) -> pa.Array:
    """Build an Arrow string array from its two buffers: the end offsets and the concatenated values."""
    joined = "".join(values)
    data = joined.encode()
    lengths = map(len, values) if len(data) == len(joined) else (len(value.encode()) for value in values)
    if len(data) >= 2**31:  # more than one array can hold
        return pa.array(values, pa.string())
    ends = np.fromiter(accumulate(lengths, initial=0), np.int32, len(values) + 1)
    return pa.Array.from_buffers(pa.string(), len(values), [nulls, pa.py_buffer(ends), pa.py_buffer(data)])
