"""HTML artifacts in a frame in which nothing runs, loads or leads away, and as text where frames are not shown."""

from __future__ import annotations

from html.parser import HTMLParser

from qualia_lab.charts.previews.preview import Preview, first_lines, small
from qualia_lab.framing import framed_page

_FRAMED_BYTES = 300_000
_LOWEST, _HIGHEST = 100, 360  # pixels of the frame: a small table needs no large one

_SILENT = frozenset(("script", "style", "template", "title", "noscript", "svg", "math", "head"))
_LINES = frozenset(("p", "div", "br", "tr", "li", "table", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "section", "ul"))


def page_preview(path: str, text: str, *, whole: bool) -> Preview:
    """The page in a frame, and folded below it its words; only its words where it is large."""
    words = page_text(text)
    as_text = first_lines(words) if words.strip() else small("a page without words")
    said = "its scripts do not run here; open the artifact itself for them" if "<script" in text.lower() else ""
    if not whole or len(text) > _FRAMED_BYTES:
        return Preview(path, as_text + small("; ".join(filter(None, ("a large page, shown as text", said)))))
    words_below = f"<details><summary>as text</summary>{as_text}</details>"
    height = min(max(30 * len(words.splitlines()) + 50, _LOWEST), _HIGHEST)
    return Preview(path, framed_page(text, height) + words_below + (small(said) if said else ""))


def page_text(text: str) -> str:
    """The words of an HTML page, a line for each block and a tab between cells."""
    reader = _Words()
    reader.feed(text)
    reader.close()
    lines = ("\t".join(cell for cell in map(_folded, line.split("\t")) if cell) for line in reader.said.splitlines())
    return "\n".join(line for line in lines if line)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._silent = 0

    @property
    def said(self) -> str:
        return "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser's
        if tag in _SILENT:
            self._silent += 1
        elif tag in ("td", "th"):
            self._parts.append("\t")
        elif tag in _LINES:
            self._parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(self._silent - 1, 0)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._parts.append(" ".join(data.split("\n")))


def _folded(text: str) -> str:
    return " ".join(text.split())
