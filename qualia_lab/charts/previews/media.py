"""Sound and film: where they are, since a notebook is no place for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qualia_lab.charts.previews.preview import Preview, note

if TYPE_CHECKING:
    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace


def media_preview(place: ArtifactPlace, file: ArtifactFile, kind: str) -> Preview:
    """What it is and where. The address is text, without secrets: what a store recorded is nothing to click on."""
    root = re.sub(r"//[^/]*@", "//", re.split(r"[?#]", place.recorded_uri)[0]).rstrip("/")
    return note(file.path, f"{kind}, not embedded; it is at {root[:300]}/{file.path}")
