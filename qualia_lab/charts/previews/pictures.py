"""Pictures embedded as data URIs, in few bytes, and shown only up to a size that browsers handle."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from qualia_lab.charts.previews.fewer_bytes import for_width, without_loss
from qualia_lab.charts.previews.preview import Preview, note
from qualia_lab.escaping import for_html
from qualia_lab.picture_size import MOST_PIXELS, picture_size

if TYPE_CHECKING:
    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace

PICTURE_BYTES = 2_500_000

# First bytes → MIME type, of the formats that browsers, Jupyter and GitHub show.
_TYPES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"RIFF": "image/webp",
}


def picture_preview(place: ArtifactPlace, file: ArtifactFile, title: str) -> Preview:
    """Return the picture, or the reason why it is not shown. Raises StoreError if it cannot be read."""
    data = place.read_bytes(file.path, PICTURE_BYTES + 1)
    reason = why_not_shown(data)
    return note(reason) if reason else Preview(picture_tag(without_loss(data), alt=title), picture=True)


def small_picture_html(data: bytes, *, alt: str, width: int) -> tuple[str, bool]:
    """Return an `<img>` of a width in pixels, and whether the picture has fewer pixels than the file.

    Args:
        data: a file that `why_not_shown` has no reason for.
        alt: the alternative text.
        width: at which it is shown.
    """
    smaller, is_reduced = for_width(data, width)
    return picture_tag(smaller, alt=alt, width=width), is_reduced


def why_not_shown(data: bytes) -> str:
    """Return the reason why a picture is not shown, or "".

    Args:
        data: the file, or its first PICTURE_BYTES + 1 bytes.
    """
    mime = _type(data)
    if mime is None:
        return "not a supported picture format"
    wide, tall = picture_size(data, mime)
    if wide * tall > MOST_PIXELS:
        return f"a picture of {wide:,} by {tall:,} pixels, too large to show"
    if not wide or not tall:
        return "a damaged picture"
    if len(data) > PICTURE_BYTES:
        return f"a picture of over {PICTURE_BYTES / 1e6:.1f} MB, too large to show"
    return ""


def picture_width(count: int) -> int:
    """Return the width in pixels of each of several pictures side by side: the fewer, the wider."""
    return 420 if count <= 2 else 255 if count <= 12 else 170


def picture_tag(data: bytes, *, alt: str, width: int | None = None) -> str:
    """Return an `<img>` with a data URI, which is shown in untrusted notebooks and offline."""
    mime = _type(data)
    size = f"width:{width}px;" if width else ""
    encoded = base64.b64encode(data).decode("ascii")
    return f'<img src="data:{mime};base64,{encoded}" alt="{for_html(alt)}" style="{size}max-width:100%">'


def _type(data: bytes) -> str | None:
    """Return the MIME type of a picture by its first bytes."""
    return next((mime for start, mime in _TYPES.items() if data.startswith(start)), None)
