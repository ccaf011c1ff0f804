"""Audio and video: only their location, since they are too large to embed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qualia_lab.charts.previews.preview import Preview, note

if TYPE_CHECKING:
    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace


def media_preview(place: ArtifactPlace, file: ArtifactFile, kind: str) -> Preview:
    """Return the kind and the location of the file; the URI is plain text, without secrets and not clickable."""
    root = re.sub(r"//[^/]*@", "//", re.split(r"[?#]", place.recorded_uri)[0]).rstrip("/")
    return note(f"{kind}, not embedded; it is at {root[:300]}/{file.path}")
