"""The size of an image in pixels, read from the headers of its file without decoding it."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# The largest image that is shown; decoded, it takes 100 MB.
MOST_PIXELS = 25_000_000

Size = tuple[int, int]

# JPEG markers that begin a frame, and markers without a length.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))


def picture_size(data: bytes, mime: str) -> Size:
    """Width and height of the largest image in a file: its canvas, or a frame that is larger.

    Args:
        data: the file, or its start.
        mime: image/png, image/jpeg, image/gif or image/webp.

    Returns:
        Pixels. (0, 0) if the header is invalid; no browser shows such a file either.
    """
    readers = {"image/png": _png, "image/jpeg": _jpeg, "image/gif": _gif, "image/webp": _webp}
    sizes: list[Size] = []
    with contextlib.suppress(struct.error, IndexError):  # truncated: the sizes found before count
        for size in readers[mime](data):
            sizes.append(size)  # noqa: PERF402 - keeps what the generator yielded before it failed
    return max((size[0] for size in sizes), default=0), max((size[1] for size in sizes), default=0)


def _png(data: bytes) -> Iterator[Size]:
    yield struct.unpack_from(">II", data, 16)


def _jpeg(data: bytes) -> Iterator[Size]:
    at = 2
    while True:
        while data[at] != 0xFF:
            at += 1
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            yield width, height
        if marker == 0xDA:  # the image data follows; a second frame in it does not count
            return
        if marker not in _WITHOUT_LENGTH:
            at += max(struct.unpack_from(">H", data, at)[0], 2)


def _gif(data: bytes) -> Iterator[Size]:
    width, height, packed = struct.unpack_from("<HHB", data, 6)
    yield width, height
    at = 13 + _colours(packed)
    while True:
        kind = data[at]
        if kind == 0x21:
            at = _after_blocks(data, at + 2)
        elif kind == 0x2C:
            left, top, width, height, packed = struct.unpack_from("<HHHHB", data, at + 1)
            yield left + width, top + height
            at = _after_blocks(data, at + 11 + _colours(packed))
        else:
            return


def _colours(packed: int) -> int:
    """The size of the colour table in bytes, 0 without one."""
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += data[at] + 1
    return at + 1


def _webp(data: bytes) -> Iterator[Size]:
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        body = data[at + 8 : at + 8 + 16]
        if kind == b"VP8X":
            yield 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
        elif kind == b"VP8L":
            bits = int.from_bytes(body[1:5], "little")
            yield 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        elif kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", body, 6)
            yield width & 0x3FFF, height & 0x3FFF
        elif kind == b"ANMF":
            yield 1 + int.from_bytes(body[6:9], "little"), 1 + int.from_bytes(body[9:12], "little")
        at += 8 + size + size % 2
