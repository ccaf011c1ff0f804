"""Pictures in fewer bytes: the same pixels as WebP, or about as many pixels as are shown."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

from qualia_lab.picture_size import picture_size

if TYPE_CHECKING:
    from PIL.Image import Image

_FEW_BYTES = 1_000  # of which nothing worth the time can be saved
_PNG = b"\x89PNG\r\n\x1a\n"
# Larger pictures are not decoded: in memory they take four bytes per pixel, and compressing takes a second per million.
_MOST_PIXELS_REDUCED = 8_000_000
_MOST_PIXELS_WITHOUT_LOSS = 1_000_000
_SHARP = 2  # pixels stored per pixel shown, for screens of high density
_QUALITY = 90
_LONGEST_SIDE = 16_383  # of WebP
# WebP has eight bits per channel; other modes would lose some.
_MODES = frozenset(("1", "L", "LA", "P", "RGB", "RGBA"))
_COLOUR_SPACES = frozenset(("icc_profile", "gamma", "chromaticity"))


@lru_cache(maxsize=64)  # a run's card and the comparison of runs show the same pictures
def without_loss(data: bytes) -> bytes:
    """Return a picture with the same pixels in fewer bytes, or the same bytes.

    PNG only, the format of plots: as WebP without loss they take a third to a half.
    """
    image = _decoded(data, _MOST_PIXELS_WITHOUT_LOSS)
    return data if image is None else min(data, _webp(image, lossless=True), key=len)


def for_width(data: bytes, width: int) -> tuple[bytes, bool]:
    """Return a picture in the fewest bytes for a width at which it is shown, and whether it has fewer pixels.

    Args:
        data: the file.
        width: in pixels of the screen.
    """
    same = without_loss(data)
    image = _decoded(data, _MOST_PIXELS_REDUCED)
    if image is None or image.width <= _SHARP * width:
        return same, False
    height = max(1, round(image.height * _SHARP * width / image.width))
    reduced = _webp(image.convert("RGBA").resize((_SHARP * width, height)), lossless=False)
    return (reduced, True) if len(reduced) < len(same) else (same, False)


def _decoded(data: bytes, most_pixels: int) -> Image | None:
    """Return a PNG that WebP can hold without loss, at most that large; None for any other file."""
    if not data.startswith(_PNG) or len(data) < _FEW_BYTES:
        return None
    wide, tall = picture_size(data, "image/png")
    if not 0 < wide * tall <= most_pixels or max(wide, tall) > _LONGEST_SIDE:
        return None
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data), formats=("PNG",))
        is_animated = getattr(image, "n_frames", 1) > 1
        if image.mode not in _MODES or is_animated or not _COLOUR_SPACES.isdisjoint(image.info):
            return None
        image.load()
    except Exception:
        return None  # a damaged file may make the decoder fail in any way; browsers show what they can of it
    return image


def _webp(image: Image, *, lossless: bool) -> bytes:
    written = io.BytesIO()
    has_alpha = "A" in image.mode or "transparency" in image.info
    # Method 1 takes a third of the time of the default and gives as few bytes.
    image.convert("RGBA" if has_alpha else "RGB").save(
        written, "WEBP", lossless=lossless, exact=lossless, method=1, quality=60 if lossless else _QUALITY
    )
    return written.getvalue()
