"""The HTML page of a notebook: the answer first, contents beside it, and how it was made at the end."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from functools import cache
from importlib.resources import files
from itertools import count
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

from qualia_lab.collection import collection_paused
from qualia_lab.escaping import for_html, one_line
from qualia_lab.notebook.clean import clean_html
from qualia_lab.notebook.generated import cell_key
from qualia_lab.notebook.page.outputs import output_html, rendered_html, script_json
from qualia_lab.notebook.page.run_data import embedded_runs
from qualia_lab.notebook.page.sections import HOW_IT_WAS_MADE, page_sections
from qualia_lab.notebook.rich_text import code_html, markdown_html

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qualia_lab.notebook.page.sections import PageSection

# One script of several files, in this order; the last one starts it. A page of a watch has `reload` after it.
_SCRIPTS = (
    *("runs", "like", "filter", "where", "choice", "bar", "tables", "nearest", "charts", "zoom", "pictures"),
    "contents",
    "paper",
    "start",
)
# In the head of a page of a watch; content of a notebook is sanitized and has none.
_RELOAD = '<meta name="reload" content="{:g}">'
_RELOAD_IN_PAGE = re.compile(rb'<meta name="reload" content="([0-9.e+]{1,12})">')
_STYLES = ("style/base", "style/tables", "figure", "style/charts", "style/bar", "style/print")
_HEADING = re.compile(r"<h([1-3])\b[^>]*>(.*?)</h\1>", re.DOTALL)
# In sanitized HTML every `<` of a text is escaped, so that these are the tags of elements.
_ID = re.compile(r' id="([^"]*)"')
_INNER_LINK = re.compile(r'<a href="#([^"]*)"')
_SEE = re.compile(r'<small>see <a href="#([^"]*)"[^<>]*>[^<>]*</a></small>')  # as in charts/findings_card.py
_RUN_KEY = re.compile(r"run:([A-Za-z0-9_-]{1,64})")
_HOW = "how-this-was-made"


class _Rendered(NamedTuple):
    """A section as HTML, and its heading as plain text, "" if it has none."""

    anchor: str
    heading: str
    html: str


@collection_paused()
def render_page(notebook: Mapping[str, Any], *, title: str, reload: float | None = None) -> str:
    """Return the HTML page of a notebook.

    Args:
        notebook: a notebook of nbformat 4; its content is not trusted.
        title: the title of the document.
        reload: after how many seconds the page opens itself again, with the reader's choices; 0 for a page that keeps
            those of the one before it and opens itself no more; None for one that stands alone.

    Returns:
        A page that makes no request, and in which only the script of this package runs.
    """
    cells = [cell for cell in notebook.get("cells") or () if cell.get("cell_type") in ("markdown", "code")]
    numbers = count(1)
    first: list[_Rendered] = []
    last: list[_Rendered] = []
    for section in page_sections(cells):
        at_the_end = section.name in HOW_IT_WAS_MADE or all(map(_is_hidden, section.cells))
        rendered = _section(section, numbers, open_code=at_the_end)
        (last if at_the_end else first).append(rendered)
    if last:
        made = '<section id="how-this-was-made" class="made"><h2>How this was made</h2>{}</section>'
        first.append(_Rendered(_HOW, "How this was made", made.format("".join(one.html for one in last))))
    runs = embedded_runs(cells)
    script = _script() if reload is None else _script(("reload",))
    return Template(_resource("page.html")).substitute(
        policy=f"default-src 'none'; script-src '{_digest(script)}'; style-src 'unsafe-inline'; img-src data:; "
        "font-src data:; base-uri 'none'; form-action 'none'",
        title=for_html(one_line(title)),
        style=_style(),
        contents=_contents(first),
        start=html.escape(next((one.anchor for one in first if one.anchor == "headline"), "main")),
        main=_without_dead_links("\n".join(one.html for one in first)),
        bar=_resource("bar.html") if runs else "",
        data=f'<script type="application/json">{script_json(runs)}</script>' if runs else "",
        reload="" if reload is None else _RELOAD.format(reload),
        script=script,
    )


def seconds_to_reload(page: bytes) -> float | None:
    """Return after how many seconds a page opens itself again: `reload` of `render_page`.

    Args:
        page: the content of its file.
    """
    found = _RELOAD_IN_PAGE.search(page)
    return None if found is None else float(found[1])


def _without_dead_links(page: str) -> str:
    """Return the page with links to its own sections only: a finding may refer to a section that was left out."""
    # Only attributes: a text may contain ` id="…"`. One pattern from `<` on would read the whole page twice.
    ids = {one[1] for one in _ID.finditer(page) if page.rfind("<", 0, one.start()) > page.rfind(">", 0, one.start())}

    def exists(link: re.Match[str]) -> bool:
        return html.unescape(link[1]) in ids

    page = _SEE.sub(lambda link: link[0] if exists(link) else "", page)
    return _INNER_LINK.sub(lambda link: link[0] if exists(link) else "<a", page)


def _contents(sections: list[_Rendered]) -> str:
    items = "".join(
        f'<li><a href="#{one.anchor}">{for_html(one.heading)}</a></li>'
        for one in sections
        if one.anchor and one.heading and one.anchor != "title"
    )
    return Template(_resource("contents.html")).substitute(items=items) if items else ""


def _section(section: PageSection, numbers: Iterator[int], *, open_code: bool) -> _Rendered:
    body = "\n".join(_cell(cell, numbers, open_code=open_code) for cell in section.cells)
    heading = _HEADING.search(body)
    text = one_line(html.unescape(re.sub(r"<[^>]*>", "", heading[2]))) if heading else ""
    if heading and section.anchor and section.anchor != "title":
        # Not part of the name of the heading, and not a stop of Tab: the contents have the same link.
        link = f'<a class="anchor" href="#{section.anchor}" tabindex="-1" aria-hidden="true"></a>'
        end = heading.end(2)
        body = body[:end] + link + body[end:]
    anchor = f' id="{section.anchor}"' if section.anchor else ""
    # A finding may refer to its section by name, also if that is where the page begins.
    also = f'<span id="{section.name}"></span>' if section.name and section.name != section.anchor else ""
    return _Rendered(section.anchor, text, f"<section{anchor}>{also}{body}</section>")


def _cell(cell: Mapping[str, Any], numbers: Iterator[int], *, open_code: bool) -> str:
    source = cell.get("source") or ""
    source = "".join(map(str, source)) if isinstance(source, list) else str(source)
    if cell.get("cell_type") == "markdown":
        return f'<div class="cell rendered">{rendered_html(markdown_html(source), numbers)}</div>'
    outputs = cell.get("outputs")
    shown = "\n".join(output_html(one, numbers) for one in outputs or () if isinstance(one, dict))
    run = _RUN_KEY.fullmatch(cell_key(cell))
    attributes = f' class="cell run" data-runs="{run[1]}"' if run else ' class="cell"'
    html_of_cell = f"<div{attributes}>{_code(source, open_code=open_code, outputs=shown)}</div>"
    if _is_hidden(cell) and not open_code:
        return f'<details class="aside"><summary>how this was made</summary>{html_of_cell}</details>'
    return html_of_cell


def _is_hidden(cell: Mapping[str, Any]) -> bool:
    """Return whether a cell has the tag by which Jupyter Book hides a cell."""
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return isinstance(tags, list) and "hide-cell" in tags


def _code(source: str, *, open_code: bool, outputs: str) -> str:
    """Return outputs with the source that made them: below in a fold, or above them where sources are the subject."""
    if not source.strip():
        return outputs
    highlighted = clean_html(code_html(source))
    if open_code:
        return highlighted + outputs
    return f'{outputs}<details class="code"><summary>code</summary>{highlighted}</details>'


@cache
def _style() -> str:
    return "\n".join(_resource(f"{name}.css") for name in _STYLES)


@cache
def _script(further: tuple[str, ...] = ()) -> str:
    parts = "\n".join(_resource(f"script/{name}.js") for name in (*_SCRIPTS, *further))
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _resource(name: str) -> str:
    return files("qualia_lab.notebook.page").joinpath(name).read_text(encoding="utf-8")
