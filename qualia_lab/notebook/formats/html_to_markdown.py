"""HTML as Markdown of GitHub's kind: tables as tables, pictures as links to files, every text escaped.

The only HTML in the result are the tags `<br>`, `<details>` and `<summary>`, which Markdown has no other form of.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qualia_lab.escaping import code_span, for_html, for_markdown, one_line, visible
from qualia_lab.notebook.formats.html_tree import Element, html_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qualia_lab.notebook.formats.pictures import Pictures

_BLOCKS = frozenset((
    *("p", "div", "section", "figure", "figcaption", "blockquote", "pre", "details", "summary", "hr"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "dt", "dd", "li", "table"),
))  # fmt: skip
_MARKS = {"b": "**", "strong": "**", "i": "*", "em": "*", "s": "~~", "del": "~~"}
# What would make a paragraph a list, a heading or a line at its beginning.
_BLOCK_START = re.compile(r"([-+=]|\d{1,9}(?=[.)]))")
_NUMBER = re.compile(r"[-+\u2212]?[\d,.]+(?:e[-+]?\d+)?(?: ?%)?|[-\u2013]|nan|")
_ADDRESS = re.compile(r"(?:https?://|mailto:)?[^\s:#]\S*", re.IGNORECASE)
_BREAK = "\x00"  # stands for a line break within a text; the sanitizer removes this character


def markdown_of(sanitized: str, pictures: Pictures) -> str:
    """Return sanitized HTML as Markdown.

    Args:
        sanitized: the output of `clean_html`.
        pictures: takes the pictures of `data:` URIs, and returns the links to them.
    """
    return "\n\n".join(_blocks(html_tree(sanitized), pictures))


def fenced(text: str, language: str = "") -> str:
    """Return a text as a block of code, which is shown literally."""
    plain = visible(text.rstrip("\n"))
    longest = max((len(run) for run in re.findall(r"`{3,}", plain)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{plain}\n{fence}"


def _blocks(element: Element, pictures: Pictures) -> Iterator[str]:
    """Yield the blocks of an element; the inline content between two of them is a paragraph."""
    inline: list[Element | str] = []
    for child in [*element.children, Element("hr")]:  # a rule is not shown: it ends the last paragraph
        if isinstance(child, str) or not (child.tag in _BLOCKS or child.below(*_BLOCKS)):
            inline.append(child)
            continue
        paragraph = _paragraph(inline, pictures)
        if paragraph:
            yield paragraph
        inline = []
        yield from _block(child, pictures) if child.tag in _BLOCKS else _blocks(child, pictures)


def _block(element: Element, pictures: Pictures) -> Iterator[str]:
    tag = element.tag
    if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
        yield f"{'#' * int(tag[1])} {_inline(element.children, pictures, lines=' ')}"
    elif tag in ("ul", "ol"):
        items = element.below("li")
        yield "\n".join(
            _item(f"{number}. " if tag == "ol" else "- ", item, pictures) for number, item in enumerate(items, 1)
        )
    elif tag == "table":
        yield from _table(element, pictures)
    elif tag == "pre":
        yield fenced(element.text)
    elif tag == "details":
        yield from _fold(element, pictures)
    elif tag == "blockquote":
        yield "\n".join(f"> {line}".rstrip() for line in "\n\n".join(_blocks(element, pictures)).split("\n"))
    elif tag == "hr":
        return
    else:
        yield from _blocks(element, pictures)


def _paragraph(children: list[Element | str], pictures: Pictures) -> str:
    """Return inline content as a paragraph, of which no line begins as a list, a heading or a rule would."""
    lines = _inline(children, pictures, lines="\n").split("\n")
    return "\\\n".join(f"&#{ord(line[0])};{line[1:]}" if _BLOCK_START.match(line) else line for line in lines)


def _item(bullet: str, item: Element, pictures: Pictures) -> str:
    lines = "\n".join(_blocks(item, pictures)).split("\n")
    return "\n".join(f"{bullet if index == 0 else ' ' * len(bullet)}{line}" for index, line in enumerate(lines))


def _fold(element: Element, pictures: Pictures) -> Iterator[str]:
    summaries = [child for child in element.children if isinstance(child, Element) and child.tag == "summary"]
    rest = Element("div", {}, [child for child in element.children if child not in summaries])
    title = for_html(one_line("".join(one.text for one in summaries))) or "details"
    yield f"<details{' open' if 'open' in element.attributes else ''}>\n<summary>{title}</summary>"
    yield from _blocks(rest, pictures)
    yield "</details>"


def _table(table: Element, pictures: Pictures) -> Iterator[str]:
    head = [row for part in table.below("thead") for row in part.below("tr")]
    rows = _grid(table.below("tr"), pictures)
    if not rows:
        return
    header = [" ".join(dict.fromkeys(filter(None, cells))) for cells in zip(*rows[: len(head)], strict=True)]
    body = rows[len(head) :]
    columns = list(zip(*body, strict=True)) or [()] * len(rows[0])
    rules = ["--:" if column and all(map(_NUMBER.fullmatch, column)) else "---" for column in columns]
    for caption in table.below("caption"):
        yield _inline(caption.children, pictures, lines=" ")
    yield "\n".join(f"| {' | '.join(cells)} |" for cells in (header or [""] * len(rows[0]), rules, *body))


def _grid(rows: list[Element], pictures: Pictures) -> list[list[str]]:
    """Return the cells of a table, all rows of one length; a cell of several rows or columns is in the first."""
    grid: dict[tuple[int, int], str] = {}
    for place, row in enumerate(rows):
        column = 0
        for cell in row.below("td", "th"):
            while (place, column) in grid:
                column += 1
            width, height = (_span(cell.attributes.get(name)) for name in ("colspan", "rowspan"))
            below = min(place + height, len(rows))
            grid |= {(y, x): "" for y in range(place, below) for x in range(column, column + width)}
            grid[place, column] = _inline(cell.children, pictures, lines="<br>")
            column += width
    width = max((x for _, x in grid), default=-1) + 1
    return [[grid.get((y, x), "") for x in range(width)] for y in range(len(rows))] if width else []


def _span(value: str | None) -> int:
    return min(int(value), 200) if value and value.isdecimal() and int(value) else 1


def _inline(children: list[Element | str], pictures: Pictures, *, lines: str) -> str:
    """Return inline content as one text, in which `lines` separates lines; blocks in it are lines of their own."""
    text = _texts(children, pictures)
    parts = (re.sub(r"[ \t\n]+", " ", part).strip() for part in text.split(_BREAK))
    return lines.join(filter(None, parts))


def _texts(children: list[Element | str], pictures: Pictures) -> str:
    return "".join(_escaped(child) if isinstance(child, str) else _text(child, pictures) for child in children)


def _text(element: Element, pictures: Pictures) -> str:
    if element.tag == "br":
        return _BREAK
    if element.tag == "img":
        link = pictures.link_of(element.attributes.get("src", ""))
        return f"![{for_markdown(element.attributes.get('alt', ''))}]({link})" if link else ""
    if element.tag == "code" and not set(element.text) & set("|\n"):
        return code_span(element.text)
    inner = _texts(element.children, pictures)
    if element.tag in _MARKS:
        return _marked(inner, _MARKS[element.tag])
    if element.tag == "a":
        return _link(inner, element.attributes.get("href", ""))
    return f"{_BREAK}{inner}{_BREAK}" if element.tag in _BLOCKS or element.tag in ("tr", "td", "th") else inner


def _marked(inner: str, mark: str) -> str:
    """Return a text between marks; spaces stay outside of them, where Markdown accepts them."""
    stripped = inner.strip(f" \n{_BREAK}")
    if not stripped or _BREAK in stripped:
        return inner
    start = inner.index(stripped)
    return f"{inner[:start]}{mark}{stripped}{mark}{inner[start + len(stripped) :]}"


def _link(inner: str, address: str) -> str:
    """Return a link; one to a place of the page is only its text, since Markdown names such places differently."""
    if not _ADDRESS.fullmatch(address) or not inner.strip(f" {_BREAK}"):
        return inner
    quoted = "".join(char if char.isalnum() or char in "-._~:/?#@!$&+,;=%" else _percent(char) for char in address)
    return f"[{inner}]({quoted})"


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "replace"))


def _escaped(text: str) -> str:
    """Escape a text for Markdown; its first and last space are kept, which separate it from its neighbours."""
    escaped = for_markdown(text)
    if not escaped:
        return " " if text else ""
    return f"{' ' if text[0].isspace() else ''}{escaped}{' ' if text[-1].isspace() else ''}"
