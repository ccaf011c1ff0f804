"""The formats of exports, one module each: a new format is a module with a `FORMAT`, and a name here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.notebook.formats import html, md, pdf, py

if TYPE_CHECKING:
    from qualia_lab.notebook.formats.format import Format

FORMATS: dict[str, Format] = {one.FORMAT.name: one.FORMAT for one in (html, pdf, md, py)}
