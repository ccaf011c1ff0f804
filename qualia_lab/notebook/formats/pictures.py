"""The pictures of a Markdown export: files in a folder beside it, named in the order in which they are shown."""

from __future__ import annotations

import base64
import contextlib
import re
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", "image/svg+xml": "svg"}
_DATA = re.compile(r"data:(image/[a-z+]+);base64,([A-Za-z0-9+/=\s]*)")
_NAME = re.compile(r"figure-\d{3,}\.(png|jpg|gif|webp|svg)")
_ELEMENTS = frozenset((
    *("svg", "g", "title", "desc", "style", "text", "tspan", "defs", "clipPath", "linearGradient", "stop"),
    *("path", "line", "polyline", "polygon", "rect", "circle", "ellipse"),
))  # fmt: skip
_NAMESPACE = "{http://www.w3.org/2000/svg}"
_LOADS = re.compile(r"@import|url\s*\((?!\s*['\"]?#)|expression|javascript:|\\", re.IGNORECASE)


class Pictures:
    """Collects the files of pictures; equal pictures are one file.

    Attributes:
        files: the content of each file by its path.
    """

    def __init__(self, target: Path, limit: int | None = None) -> None:
        """Collect pictures for a Markdown file.

        Args:
            target: the Markdown file; its pictures are in the folder `NAME_files` beside it.
            limit: the greatest number of pictures; None for all.
        """
        self.files: dict[Path, bytes] = {}
        self._folder = target.with_name(f"{target.stem}_files")
        self._limit = limit
        self._names: dict[bytes, str] = {}

    def link_of(self, address: str) -> str:
        """Return the relative link to a picture of a `data:` URI; "" if it is no picture, or over the limit."""
        match = _DATA.fullmatch(address)
        suffix = _SUFFIXES.get(match[1]) if match else None
        if match is None or suffix is None:
            return ""
        try:
            data = base64.b64decode(match[2])
        except ValueError:
            return ""
        if not data or (suffix == "svg" and not is_drawing(data)):
            return ""
        if data not in self._names:
            if self._limit is not None and len(self._names) >= self._limit:
                return ""
            name = f"figure-{len(self._names) + 1:03}.{suffix}"
            self._names[data] = name
            self.files[self._folder / name] = data
        return f"{quote(self._folder.name)}/{self._names[data]}"


def remove_old_pictures(files: Collection[Path]) -> None:
    """Remove the pictures of an earlier export of the same Markdown files that the new export does not have."""
    for target in files:
        if target.suffix == ".md":
            for old in target.with_name(f"{target.stem}_files").glob("figure-*"):
                if _NAME.fullmatch(old.name) and old not in files:
                    with contextlib.suppress(OSError):
                        old.unlink()


def is_drawing(svg: bytes) -> bool:
    """Return whether an SVG only draws: a browser that opens the file runs, loads and links nothing."""
    if b"<!" in svg or b"<?" in svg.removeprefix(b'<?xml version="1.0" encoding="UTF-8"?>'):  # no entities, no styles
        return False
    try:
        # As UTF-8, in which it was searched above. Without a doctype there are no entities.
        elements = list(ET.fromstring(svg.decode()).iter())  # noqa: S314
    except (ET.ParseError, UnicodeDecodeError):
        return False
    return all(
        str(element.tag).removeprefix(_NAMESPACE) in _ELEMENTS
        and not _LOADS.search(element.text or "" if element.tag == f"{_NAMESPACE}style" else "")
        and not any(
            name.lower().startswith("on") or "href" in name.lower() or _LOADS.search(value)
            for name, value in element.attrib.items()
        )
        for element in elements
    )
