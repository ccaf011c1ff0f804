"""Finds the texts of columns that may hold a secret, in one pass over their bytes.

Nearly all texts of a store hold no secret, and a regular expression takes ten times as long to find that out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from qualia_lab.columns import text_bytes, text_ends, whole
from qualia_lab.masking.text import MARKERS, may_hold_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Rows = npt.NDArray[np.int64]

_FEW = 50  # texts; for so few, a regular expression takes less time than the first call of each function here
_NO_ROWS: Rows = np.array([], np.int64)
_BLOCK = 1 << 16  # bytes; all that is computed for them stays in the processor's cache
# Three bytes of each marker: the first ones, unless the ids of runs, which are hexadecimal, may contain them.
_PIECES = [
    (marker[-3:] if set(marker[:3]) <= set("0123456789abcdef") else marker[:3]).encode()
    for marker in MARKERS
    if marker.isascii()
]
# Every text with one of these bytes is a candidate. They are the end of a login in a URL, and the first byte of two
# characters: that before `masked` in a mask, and the sign of the unit kelvin, which is a k in lower case.
_SUFFICIENT = b"@\xe2"


def _number_bytes() -> bytes:
    """A small number for each byte that occurs in a piece, the same for a capital; 0 for other bytes."""
    used = sorted({*b"".join(_PIECES), *_SUFFICIENT})
    numbers = {byte: number for number, byte in enumerate(used, 1)}
    return bytes(numbers.get(bytes([byte]).lower()[0], 0) for byte in range(256))


_NUMBERS = _number_bytes()
_SIZE = max(_NUMBERS) + 1  # at most 40, so that three numbers fit into 16 bits


def _list_pieces() -> npt.NDArray[np.bool_]:
    """For the numbers of three bytes, combined to one: whether the bytes are a piece, or the first is sufficient."""
    found = np.zeros((_SIZE, _SIZE, _SIZE), np.bool_)
    for piece in _PIECES:
        found[tuple(_NUMBERS[byte] for byte in piece)] = True
    found[[_NUMBERS[byte] for byte in _SUFFICIENT]] = True
    return found.ravel()


_IS_PIECE = _list_pieces()


def candidate_rows(columns: Sequence[pa.ChunkedArray]) -> list[Rows]:
    """The rows of each column whose text may hold a secret: all for which `may_hold_secret` is true, and few others.

    Args:
        columns: columns of texts; they are searched together, which is faster if they are short.

    Returns:
        The indices of the rows of each column, in order.
    """
    if sum(map(len, columns)) <= _FEW and not may_hold_secret(_joined(columns)):
        return [_NO_ROWS] * len(columns)
    texts = [_strings(values) for values in columns]
    parts = [text_bytes(strings) for strings in texts]
    places = _find_pieces(b"".join(parts))
    if not len(places):
        return [_NO_ROWS] * len(columns)
    rows, start = [], 0
    for strings, part in zip(texts, parts, strict=True):
        first, last = np.searchsorted(places, (start, start + len(part)))
        found = np.searchsorted(text_ends(strings), places[first:last] - start, side="right")
        rows.append(found[np.diff(found, prepend=-1) > 0])  # each once; np.unique would import numpy.ma
        start += len(part)
    return rows


def _joined(columns: Sequence[pa.ChunkedArray]) -> str:
    return "\n".join([text for values in columns for text in values.to_pylist() if text])


def _strings(values: pa.ChunkedArray) -> pa.StringArray:
    texts = whole(values)
    return texts if isinstance(texts, pa.StringArray) else texts.cast(pa.string())  # from other offsets, or none


def _find_pieces(data: bytes) -> Rows:
    """The places of pieces and of sufficient bytes in these bytes, in order."""
    places = []
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK + 2].translate(_NUMBERS) + b"\0\0"
        numbers = np.frombuffer(block, np.uint8).astype(np.uint16)
        three = numbers[:-2] * np.uint16(_SIZE)
        three += numbers[1:-1]
        three *= np.uint16(_SIZE)
        three += numbers[2:]
        places.append(np.flatnonzero(_IS_PIECE.take(three[:_BLOCK])) + start)
    return places[0] if len(places) == 1 else np.concatenate([_NO_ROWS, *places])
