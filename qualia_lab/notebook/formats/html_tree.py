"""Sanitized HTML as a tree of elements and texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset(("br", "col", "hr", "img", "input", "wbr"))


@dataclass
class Element:
    """An element with its attributes; a child is an element or a text."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text in the element and all below it."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def below(self, *tags: str) -> list[Element]:
        """Return the elements of these tags below this one, in their order, without those inside one of them."""
        found: list[Element] = []
        for child in self.children:
            if isinstance(child, Element):
                found += [child] if child.tag in tags else child.below(*tags)
        return found


def html_tree(source: str) -> Element:
    """Return the tree of HTML that is well nested, as the sanitizer writes it."""
    reader = _Reader()
    reader.feed(source)
    reader.close()
    return reader.root


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if any(element.tag == tag for element in self._open[1:]):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)
