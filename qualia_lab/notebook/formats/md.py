"""Markdown: text, tables and pictures for a wiki or a pull request; charts are files in a folder beside it."""

from __future__ import annotations

import base64
import html
import re
import secrets
from typing import TYPE_CHECKING, Any

from qualia_lab.charts.chart import PLOTLY_MIME
from qualia_lab.escaping import for_markdown
from qualia_lab.notebook.clean import clean_html
from qualia_lab.notebook.formats.format import Format
from qualia_lab.notebook.formats.html_to_markdown import fenced, markdown_of
from qualia_lab.notebook.formats.pictures import Pictures
from qualia_lab.notebook.formats.without_code import without_code
from qualia_lab.notebook.page.outputs import CHART_IMAGE
from qualia_lab.notebook.page.sections import section_name
from qualia_lab.notebook.rich_text import markdown_html, plain_terminal_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from qualia_lab.notebook.formats.format import Options

# The first of these MIME types that an output has is shown.
_MIMES = ("text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/plain")
_BRIEF_SECTIONS = frozenset(("headline", "findings"))


def _files(notebook: Mapping[str, Any], target: Path, options: Options) -> dict[Path, bytes]:
    pictures = Pictures(target, limit=1 if options.brief else None)
    shown = notebook if options.code and not options.brief else without_code(notebook)
    if options.brief:
        blocks = list(_brief(shown["cells"], pictures))
    else:
        blocks = [block for cell in shown["cells"] for block in _cell(cell, pictures)]
    text = "\n\n".join(filter(None, blocks)) + "\n"
    return {target: text.encode("utf-8", "replace"), **pictures.files}


def _brief(cells: Sequence[Mapping[str, Any]], pictures: Pictures) -> Iterator[str]:
    """Yield the title, the headline and the findings; and a chart, unless one of them has one."""
    for cell in cells:
        if section_name(cell) == "title":
            yield next(iter(_cell(cell, pictures)), "").partition("\n\n")[0]
        elif section_name(cell) in _BRIEF_SECTIONS:
            yield from _cell(cell, pictures)
    for cell in cells:
        for output in cell.get("outputs", ()):
            if not pictures.files and PLOTLY_MIME in output.get("data", {}):
                yield from _output(output, pictures)


def _cell(cell: Mapping[str, Any], pictures: Pictures) -> Iterator[str]:
    if cell["cell_type"] == "markdown":
        yield _markdown(markdown_html(cell["source"]), pictures)
    elif cell["cell_type"] == "code":
        if cell["source"].strip():
            yield fenced(cell["source"], "python")
        for output in cell.get("outputs", ()):
            yield from _output(output, pictures)


def _output(output: Mapping[str, Any], pictures: Pictures) -> Iterator[str]:
    if output["output_type"] == "stream":
        yield fenced(plain_terminal_text(output["text"]))
    elif output["output_type"] == "error":
        yield fenced(plain_terminal_text("\n".join(output["traceback"])))
    else:
        data = output["data"]
        mime = next((one for one in _MIMES if one in data), None)
        if mime == "text/html":
            yield _markdown(data[mime], pictures)
        elif mime == "text/markdown":
            yield _markdown(markdown_html(data[mime]), pictures)
        elif mime == "text/plain":
            yield fenced(plain_terminal_text(data[mime]))
        elif mime is not None:
            is_svg = mime == "image/svg+xml"
            packed = base64.b64encode(data[mime].encode("utf-8", "replace")).decode() if is_svg else data[mime]
            yield _picture(data.get("text/plain", "picture"), f"data:{mime};base64,{packed}", pictures)


def _markdown(source: str, pictures: Pictures) -> str:
    """Return untrusted HTML as Markdown; the sanitizer keeps no drawing, so these take no part in it."""
    drawings: dict[str, str] = {}

    def token_for(image: re.Match[str]) -> str:
        token = f"drawing{secrets.token_hex(16)}"  # unpredictable, so the text cannot contain it already
        address = f"data:image/svg+xml;base64,{image[4]}"
        drawings[token] = _picture(html.unescape(image[1]), address, pictures)
        return token

    text = markdown_of(clean_html(CHART_IMAGE.sub(token_for, source)), pictures)
    return re.sub("|".join(drawings), lambda token: drawings[token[0]], text) if drawings else text


def _picture(alt: str, address: str, pictures: Pictures) -> str:
    link = pictures.link_of(address)
    return f"![{for_markdown(alt)}]({link})" if link else ""


FORMAT = Format("md", "for a wiki or a pull request, with its pictures in a folder", _files)
