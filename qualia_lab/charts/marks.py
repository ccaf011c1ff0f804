"""The elements of a chart as frozen values: marks, axes and panels.

A mark that stands for runs names them in `runs`: their ids, separated by spaces. A page highlights a run by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

Dash = Literal["solid", "dash", "dot", "dashdot"]


@dataclass(frozen=True)
class Line:
    """Points joined in order; NaN is a gap. It is in the legend if it has a label and `in_legend` is true."""

    x: Numbers
    y: Numbers
    colour: str
    label: str = ""
    dash: Dash = "solid"
    width: float = 1.8
    hover: bool = True
    in_legend: bool = True
    runs: str = ""


@dataclass(frozen=True)
class Points:
    """Unconnected points; `texts` are their hover texts, if given. A ring is a run that did not finish."""

    x: Numbers
    y: Numbers
    colours: tuple[str, ...]  # one per point, or one for all
    label: str = ""
    texts: tuple[str, ...] = ()
    symbol: Literal["circle", "x", "ring"] = "circle"
    size: float = 8
    opacity: float = 1.0
    in_legend: bool = True
    runs: tuple[str, ...] = ()  # of each point


@dataclass(frozen=True)
class Box:
    """A box plot of one group at `position` on the x axis: quartiles, and whiskers from `low` to `high`."""

    position: float
    low: float
    q1: float
    median: float
    q3: float
    high: float
    colour: str
    runs: str = ""


@dataclass(frozen=True)
class Band:
    """The area between two curves over the same x; NaN in either curve is a gap."""

    x: Numbers
    low: Numbers
    high: Numbers
    colour: str
    opacity: float = 0.18
    runs: str = ""


@dataclass(frozen=True)
class Bars:
    """Horizontal bars at y positions `at`, or vertical bars at x positions `at`.

    Attributes:
        at: the positions of the bars.
        ends: where each bar ends.
        colours: one per bar, or one for all.
        base: where each bar starts; None for 0.
        vertical: whether the bars are vertical.
        thickness: the thickness of a bar, in units of the axis that `at` is on.
        label: the text in the legend.
        texts: the hover text of each bar.
        runs: the runs of each bar.
    """

    at: Numbers
    ends: Numbers
    colours: tuple[str, ...]
    base: Numbers | None = None
    vertical: bool = False
    thickness: float = 0.7
    label: str = ""
    texts: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heat:
    """A heat map; the first row is at the bottom, NaN cells are blank.

    Attributes:
        x_edges: the column edges, one more than there are columns.
        y_edges: the row edges, one more than there are rows.
        values: shape (rows, columns).
        label: the label of the colour bar.
    """

    x_edges: Numbers
    y_edges: Numbers
    values: Numbers
    label: str


@dataclass(frozen=True)
class Texts:
    """Texts at points of the panel: right of (`left`), centred on (`center`) or left of (`right`) the point."""

    x: Numbers
    y: Numbers
    texts: tuple[str, ...]
    colour: str
    align: Literal["left", "center", "right"] = "left"


Mark = Line | Points | Box | Band | Bars | Heat | Texts


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        label: the axis label.
        limits: the range that is shown, in data values, also if the axis is logarithmic.
        log: whether the axis is logarithmic.
        ticks: (position, text) pairs; () lets the renderer choose numeric ticks.
    """

    label: str
    limits: tuple[float, float]
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Panel:
    """A pair of axes with its marks, and a title if the chart has several panels."""

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    title: str = ""
