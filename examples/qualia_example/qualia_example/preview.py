"""The preview of `.log` files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qualia_lab.extensions import Preview, first_lines, small

if TYPE_CHECKING:
    from qualia_lab.extensions import ArtifactFile, ArtifactPlace

_BYTES = 1_000_000
_TROUBLE = re.compile(r"error|warning", re.IGNORECASE)


def log_preview(place: ArtifactPlace, file: ArtifactFile) -> Preview | None:
    """Return the lines that mention an error or a warning; None leaves a log without any to qualia-lab."""
    text = place.read_bytes(file.path, _BYTES).decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if _TROUBLE.search(line)]
    if not lines:
        return None
    return Preview(first_lines("\n".join(lines)) + small(f"{len(lines):,} lines mention an error or a warning"))
