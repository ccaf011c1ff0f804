"""A panel of a drawing: where its parts are, as shares of the plot area, and how much space its texts need."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from qualia_lab.charts.end_labels import TO_NAME
from qualia_lab.charts.text_width import text_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.notebook.page.drawing import Node

BETWEEN_TEXTS = 8  # pixels between two texts
_NARROW = 200  # pixels; about the least width of a plot area, at which texts reach farthest beyond it
_TICK_SIZE = 11


class Frame:
    """A panel of a drawing: its plot area in the drawing, and its parts.

    Attributes:
        left, top, width, height: the plot area, in pixels of the drawing.
        title: the title of the panel.
        x_label, y_label: the labels of the axes.
        parts: the groups of the panel by their class.
    """

    def __init__(self, panel: Node) -> None:
        self.left, self.top, self.width, self.height = map(float, panel.attributes["data-box"].split())
        if not (self.width > 0 and self.height > 0):
            raise ValueError("a panel without an area")
        self.attributes = panel.attributes
        self.title = panel.attributes.get("data-title", "")
        self.x_label = " ".join(panel.attributes["data-x"].split(" ")[3:]) if panel.of_class("x-label") else ""
        self.y_label = "".join(node.text for node in panel.of_class("y-label"))
        self._y_from = self
        self.parts = {
            name: part
            for name in ("grid", "x-ticks", "y-ticks", "marks", "end-labels", "colour-bar")
            for part in panel.of_class(name)
        }

    def take_y_axis(self, before: Frame) -> None:
        """Take tick labels and label of the y axis from the panel before, whose axis this one shares."""
        if "y-ticks" not in self.parts and "y-ticks" in before.parts:
            self.parts["y-ticks"], self.y_label = before.parts["y-ticks"], before.y_label
            self._y_from = before

    def take_x_label(self, after: Frame) -> None:
        """Take the label of the x axis from the panel after it, if the axes are equal."""
        if not self.x_label and self.attributes["data-x"].split(" ")[:3] == after.attributes["data-x"].split(" ")[:3]:
            self.x_label = after.x_label

    def texts(self, part: str) -> list[Node]:
        """Return the texts of a part."""
        return [node for node in self.parts[part].every() if node.tag == "text"] if part in self.parts else []

    def is_named(self, part: str) -> bool:
        """Return whether the labels of an axis are names, of which none may be left out."""
        return part in self.parts and "names" in self.parts[part].classes

    def x(self, value: float, *, size: bool = False) -> str:
        """Return an x coordinate of the drawing, or a width, as a percentage of the plot area."""
        return _percent((value - (0 if size else self.left)) / self.width)

    def y(self, value: float, *, size: bool = False) -> str:
        """Return a y coordinate of the drawing, or a height, as a percentage of the plot area."""
        return _percent((value - (0 if size else self.top)) / self.height)

    def y_of_tick(self, value: float) -> str:
        """Return the y coordinate of a tick label, which may be from the panel that this one shares the axis with."""
        return self._y_from.y(value)

    @cached_property
    def names_width(self) -> float:
        """The width of the tick labels of the y axis."""
        return max((shown_width(node) for node in self.texts("y-ticks")), default=0)

    @cached_property
    def margins(self) -> tuple[float, float, float, float]:
        """The space for the texts around the plot area: top, right, bottom, left."""
        x_ends = [self._overhang(node) for node in self.texts("x-ticks")]
        right = max((after for _, after in x_ends), default=0)
        if "colour-bar" in self.parts:
            right = 110
        if "end-labels" in self.parts:
            right = max(
                (
                    TO_NAME + shown_width(label.children[-1])
                    for label in self.parts["end-labels"].children
                    if len(label.children) > 2
                ),
                default=right,
            )
        label = 22 if self.y_label else 0
        left = max(self.names_width + 10 + label, max((before for before, _ in x_ends), default=0))
        below = max((node.number("y") - self.top - self.height for node in self.texts("x-ticks")), default=0)
        return 8, max(12, right + 2), below + 8, left + 2

    @cached_property
    def least_width(self) -> float:
        """The width of the panel at which no name or label in it overlaps another one."""
        groups = [self.texts("x-ticks")] if self.is_named("x-ticks") else []
        groups.append([node for node in self.texts("marks") if "label" in node.classes])
        least = max((self._least(row) for texts in groups for row in _rows(texts)), default=0)
        _, right, _, left = self.margins
        names = self.names_width + 24 if self.is_named("y-ticks") else 0  # they may stand above their rows
        return max(least + left + right if least else 0, names)

    def _least(self, texts: Sequence[Node]) -> float:
        """Return the width of the plot area at which texts in a row do not overlap."""
        least = 0.0
        for one, other in pairwise(sorted(texts, key=lambda node: node.number("x"))):
            share = (other.number("x") - one.number("x")) / self.width
            needed = reach(one)[1] + reach(other)[0] + BETWEEN_TEXTS
            if share > 0.001:  # closer ones overlap at any width
                least = max(least, needed / share)
        return least

    def _overhang(self, node: Node) -> tuple[float, float]:
        """Return by how much a text below the plot area reaches beyond its left and right edge, if it is narrow."""
        before, after = reach(node)
        narrow = min(self.width, _NARROW)
        at = narrow * (node.number("x") - self.left) / self.width
        return before - at, after - (narrow - at)


def shown_width(node: Node) -> float:
    """Return an upper estimate of the width of a text."""
    return text_width(node.text, _TICK_SIZE)


def reach(node: Node) -> tuple[float, float]:
    """Return how far a text reaches to the left and to the right of its position."""
    width, offset = shown_width(node), node.number("dx")
    before = {"middle": width / 2, "end": width}.get(node.anchor, 0.0)
    return before - offset, width - before + offset


def _rows(texts: Iterable[Node]) -> list[list[Node]]:
    """Return the texts in groups that are beside each other, so that they could overlap."""
    rows: list[list[Node]] = []
    for node in sorted(texts, key=_baseline):
        if rows and _baseline(node) - _baseline(rows[-1][0]) < _TICK_SIZE:
            rows[-1].append(node)
        else:
            rows.append([node])
    return rows


def _baseline(node: Node) -> float:
    return node.number("y") + node.number("dy")


def _percent(share: float) -> str:
    return f"{round(100 * share, 2) + 0.0:g}%"
