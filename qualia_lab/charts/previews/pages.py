"""HTML artifacts in a sandboxed iframe without scripts, requests or navigation, and as text as a fallback."""

from __future__ import annotations

from html.parser import HTMLParser

from qualia_lab.charts.previews.preview import Preview, first_lines, small
from qualia_lab.framing import framed_page

_FRAMED_BYTES = 300_000
_LOWEST, _HIGHEST = 100, 360  # height of the iframe in pixels

_INVISIBLE = frozenset(("script", "style", "template", "title", "noscript", "svg", "math", "head"))
_BLOCKS = frozenset(("p", "div", "br", "tr", "li", "table", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "section", "ul"))


def page_preview(text: str, *, whole: bool) -> Preview:
    """Return the page in an iframe with its text folded below; only the text if the page is large."""
    text_content = page_text(text)
    text_html = first_lines(text_content) if text_content.strip() else small("a page without text")
    remark = "its scripts do not run here; open the artifact itself to run them" if "<script" in text.lower() else ""
    if not whole or len(text) > _FRAMED_BYTES:
        return Preview(text_html + small("; ".join(filter(None, ("a large page, shown as text", remark)))))
    folded_text = f"<details><summary>as text</summary>{text_html}</details>"
    height = min(max(30 * len(text_content.splitlines()) + 50, _LOWEST), _HIGHEST)
    return Preview(framed_page(text, height) + folded_text + (small(remark) if remark else ""))


def page_text(text: str) -> str:
    """Return the text of an HTML page, with a line per block and tabs between cells."""
    reader = _TextReader()
    reader.feed(text)
    reader.close()
    lines = ("\t".join(cell for cell in map(_collapsed, line.split("\t")) if cell) for line in reader.text.splitlines())
    return "\n".join(line for line in lines if line)


class _TextReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._invisible_depth = 0

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser's
        if tag in _INVISIBLE:
            self._invisible_depth += 1
        elif tag in ("td", "th"):
            self._parts.append("\t")
        elif tag in _BLOCKS:
            self._parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _INVISIBLE:
            self._invisible_depth = max(self._invisible_depth - 1, 0)

    def handle_data(self, data: str) -> None:
        if not self._invisible_depth:
            self._parts.append(" ".join(data.split("\n")))


def _collapsed(text: str) -> str:
    return " ".join(text.split())
