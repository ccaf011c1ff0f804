"""Read the SVG of a chart from a notebook file, which is untrusted: only what `charts.svg` writes is accepted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.parsers import expat

from qualia_lab.charts.svg import FONT

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_CHARS = 8_000_000
_MOST_ELEMENTS = 100_000
_DEEPEST = 8

_NUMBER = r"-?\d{1,7}(?:\.\d)?"
_RUNS = r"[A-Za-z0-9_-]{1,64}(?: [A-Za-z0-9_-]{1,64})*"
_REAL = r"-?\d[\d.]{0,24}(?:e[+-]\d{1,3})?"
_WORDS = (
    "qualia-chart background chart-title chart-note legend entry panel panel-title x-label y-label grid x-ticks "
    "y-ticks names marks line band points point circle ring x bars bar box-plot box cells cell labels label colour-bar "
    "end-labels end-label"
).replace(" ", "|")

# The values that an attribute may have, wherever it stands.
_VALUES = {
    name: re.compile(pattern)
    for names, pattern in (
        ("x y x1 y1 x2 y2 cx cy r dx dy width height font-size stroke-width", _NUMBER),
        ("fill", r"#[0-9A-F]{6}|none"),
        ("stroke", r"#[0-9A-F]{6}"),
        ("opacity fill-opacity", r"0?\.\d{1,6}|0|1"),
        ("stroke-dasharray", r"\d{1,2}(?: \d{1,2}){1,5}"),
        ("stroke-linejoin stroke-linecap", "round|butt"),
        ("text-anchor", "middle|end"),
        ("font-weight", "bold"),
        ("overflow", "visible"),
        ("transform", rf"rotate\(-90 {_NUMBER} {_NUMBER}\)"),
        ("viewBox data-box", rf"{_NUMBER} {_NUMBER} {_NUMBER} {_NUMBER}"),
        ("d", r"[MLlZ0-9 .-]*"),
        ("class", rf"(?:{_WORDS})(?: (?:{_WORDS}))*"),
        ("data-runs", _RUNS),
        ("data-x data-y", rf"{_REAL} {_REAL} (?:linear|log)(?: [^\n]{{0,200}})?"),
        ("data-label data-title", r"[^\n]{0,400}"),
        ("font-family", re.escape(FONT)),
        ("id", r"line-\d{1,3}"),
        ("href", r"#line-\d{1,3}"),  # to a line of the same drawing
        ("xmlns", r"http://www\.w3\.org/2000/svg"),
    )
    for name in names.split()
}
_TAGS = frozenset(("svg", "g", "title", "text", "path", "line", "rect", "circle", "use"))


@dataclass
class Node:
    """An element of a drawing, with checked attributes; its texts are not escaped."""

    tag: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    text: str = ""
    anchor: str = ""  # of a text: `middle`, `end` or "", from its group

    @property
    def is_repeated(self) -> bool:
        """Whether other panels refer to this line."""
        return "id" in self.attributes

    @property
    def classes(self) -> list[str]:
        """The classes of the element."""
        return self.attributes.get("class", "").split()

    def of_class(self, name: str) -> list[Node]:
        """Return the children with a class."""
        return [child for child in self.children if name in child.classes]

    def number(self, name: str) -> float:
        """Return an attribute as a number; 0 if it is absent."""
        return float(self.attributes.get(name, 0))

    def every(self) -> Iterator[Node]:
        """Return the element and everything in it, in order."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)


def read_drawing(svg: str) -> Node:
    """Return the elements of a drawing.

    Args:
        svg: the SVG document.

    Raises:
        ValueError: it is not well-formed, too large, or has an element, attribute or value that charts do not have.
    """
    if len(svg) > _MOST_CHARS:
        raise ValueError("too large")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    for name in ("StartDoctypeDecl", "EntityDecl", "ProcessingInstruction", "Comment", "StartCdataSection", "XmlDecl"):
        setattr(parser, f"{name}Handler", _refuse)
    try:
        parser.Parse(svg.encode(), True)
    except (expat.ExpatError, UnicodeEncodeError) as error:
        raise ValueError(f"not a drawing: {error}") from error
    root = reader.root
    if root is None or root.tag != "svg" or root.classes != ["qualia-chart"]:
        raise ValueError("not the drawing of a chart")
    return root


def _refuse(*_: object) -> None:
    raise ValueError("a declaration, comment or instruction, which charts do not have")


class _Reader:
    """Builds the tree of a drawing and refuses what is not in the lists."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: list[Node] = []
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if tag not in _TAGS or self._count > _MOST_ELEMENTS or len(self._open) >= _DEEPEST:
            raise ValueError(f"an element that charts do not have: {tag[:40]!r}")
        for name, value in attributes.items():
            allowed = _VALUES.get(name)
            if allowed is None or not allowed.fullmatch(value):
                raise ValueError(f"an attribute that charts do not have: {name[:40]}={value[:40]!r}")
        if ("id" in attributes and tag != "path") or ("href" in attributes) != (tag == "use"):
            raise ValueError("a reference that charts do not have")  # only to lines, so that none multiplies others
        node = Node(tag, attributes)
        node.anchor = attributes.get("text-anchor", self._open[-1].anchor if self._open else "")
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)

    def end(self, _: str) -> None:
        self._open.pop()

    def characters(self, text: str) -> None:
        if self._open[-1].tag not in ("text", "title"):
            raise ValueError("a text outside text elements")
        self._open[-1].text += text
