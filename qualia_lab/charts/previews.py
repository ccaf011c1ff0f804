"""Previews of artifacts by what they are: pictures, tables, JSON, text; nothing is loaded, run or rendered live."""

from __future__ import annotations

import csv
import io
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.artifacts import preview_kind
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import for_html

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace

_PREVIEWS = 12
_IMAGE_BYTES = 5_000_000
_IMAGE_PIXELS = 25_000_000
_TEXT_BYTES = 1_000_000
_LINES = 20
_LINE_WIDTH = 300
_ROWS = 10
_COLUMNS = 20

# What Jupyter, nbconvert and Markdown show as a picture, by the first bytes.
_PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass(frozen=True)
class Preview:
    """The look of one artifact: a picture as it is with its MIME type, or HTML with every string escaped."""

    path: str
    html: str = ""
    image: bytes = b""
    mime: str = ""


def read_previews(place: ArtifactPlace, files: Sequence[ArtifactFile]) -> Iterator[Preview]:
    """The first previews there are among these files. One that cannot be read says why, and the others follow."""
    shown = 0
    for file in files:
        if shown == _PREVIEWS:
            return
        try:
            preview = _preview(place, file)
        except QualiaLabError as error:
            preview = _note(file.path, str(error))
        except (ValueError, RecursionError, csv.Error) as error:
            preview = _note(file.path, f"cannot be shown: {type(error).__name__}")
        if preview is not None:
            shown += 1
            yield preview


def _preview(place: ArtifactPlace, file: ArtifactFile) -> Preview | None:
    """The preview of one file, or None where its name and size are all there is to show."""
    head = place.read_bytes(file.path, 4096)
    kind = preview_kind(file.path, head)
    if kind == "image":
        return _picture(place, file, head)
    if kind not in ("text", "markdown", "json", "table"):
        return None
    data = head if len(head) < 4096 else place.read_bytes(file.path, _TEXT_BYTES)
    text = data.decode("utf-8", "replace")
    if not text.strip():
        return _note(file.path, "empty")
    if kind == "json":
        return _json(file.path, text)
    if kind == "table":
        return _table(file.path, text)
    return Preview(file.path, _lines(text))


def _picture(place: ArtifactPlace, file: ArtifactFile, head: bytes) -> Preview | None:
    mime = next((mime for start, mime in _PICTURES.items() if head.startswith(start)), None)
    if mime is None:
        return None
    if mime == "image/png":
        width, height = struct.unpack(">II", head[16:24]) if len(head) >= 24 else (0, 0)
        if width * height > _IMAGE_PIXELS:
            return _note(file.path, f"a picture of {width:,} by {height:,} pixels, too large to show")
        if not width or not height:
            return _note(file.path, "a damaged picture")
    data = place.read_bytes(file.path, _IMAGE_BYTES + 1)
    if len(data) > _IMAGE_BYTES:
        return _note(file.path, "a picture of over 5 MB, too large to show")
    return Preview(file.path, image=data, mime=mime)


def _json(path: str, text: str) -> Preview:
    """Indented JSON; text that is not whole JSON is shown as the text it is."""
    try:
        return Preview(path, _lines(json.dumps(json.loads(text), indent=2, ensure_ascii=False)))
    except (ValueError, RecursionError):
        return Preview(path, _lines(text))


def _table(path: str, text: str) -> Preview:
    """The first rows of comma- or tab-separated values."""
    delimiter = "\t" if text.partition("\n")[0].count("\t") > text.partition("\n")[0].count(",") else ","
    rows = [row[:_COLUMNS] for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    head, *body = rows or [[]]
    parts = ["<table><thead><tr>", *(f"<th>{for_html(cell[:100])}</th>" for cell in head), "</tr></thead><tbody>"]
    for row in body[:_ROWS]:
        parts += ["<tr>", *(f"<td>{for_html(cell[:100])}</td>" for cell in row), "</tr>"]
    parts.append("</tbody></table>")
    if len(body) > _ROWS:
        more = "or more " if len(text) >= _TEXT_BYTES else ""
        parts.append(f"<p><small>showing {_ROWS} of {len(body):,} {more}rows</small></p>")
    return Preview(path, "".join(parts))


def _lines(text: str) -> str:
    """The first lines of a text, and how many there are."""
    lines = text.splitlines()
    shown = "\n".join(line if len(line) <= _LINE_WIDTH else f"{line[:_LINE_WIDTH]}…" for line in lines[:_LINES])
    rest = f"<p><small>showing {_LINES} of {len(lines):,} lines</small></p>" if len(lines) > _LINES else ""
    return f"<pre>{for_html(shown)}</pre>{rest}"


def _note(path: str, note: str) -> Preview:
    return Preview(path, f"<p><small>{for_html(note)}</small></p>")
