"""The marks that a chart is drawn of, and the axes and panels that they stand in, as frozen values."""

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
    """Points joined in their order; a NaN is a gap. Without a label, or not `in_legend`, it is not in the legend."""

    x: Numbers
    y: Numbers
    colour: str
    label: str = ""
    dash: Dash = "solid"
    width: float = 1.8
    hover: bool = True
    in_legend: bool = True


@dataclass(frozen=True)
class Points:
    """Single points, each with a text of its own where `texts` is given."""

    x: Numbers
    y: Numbers
    colours: tuple[str, ...]  # one for each point, or one for all
    label: str = ""
    texts: tuple[str, ...] = ()
    symbol: Literal["circle", "x"] = "circle"
    size: float = 8
    opacity: float = 1.0
    in_legend: bool = True


@dataclass(frozen=True)
class Box:
    """Quartiles and whiskers of one group, standing at `position` on the x axis."""

    position: float
    low: float
    q1: float
    median: float
    q3: float
    high: float
    colour: str


@dataclass(frozen=True)
class Band:
    """The area between two curves over the same x; where one of them is NaN there is none."""

    x: Numbers
    low: Numbers
    high: Numbers
    colour: str
    opacity: float = 0.18


@dataclass(frozen=True)
class Bars:
    """Bars from `base` to `ends`, lying along x at heights `at`, or standing where `standing`.

    colours: one for each bar, or one for all.  thick: of a bar, in units of the axis it stands on.
    """

    at: Numbers
    ends: Numbers
    colours: tuple[str, ...]
    base: Numbers | None = None
    standing: bool = False
    thick: float = 0.7
    label: str = ""
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heat:
    """Rectangles coloured by a number, in rows from the lowest y on; NaN is left blank.

    values: (rows, columns).  x_edges, y_edges: one more than columns and rows.  label: what the colours mean.
    """

    x_edges: Numbers
    y_edges: Numbers
    values: Numbers
    label: str


@dataclass(frozen=True)
class Texts:
    """Words at points of the panel, before (`right`), on (`center`) or behind (`left`) their point."""

    x: Numbers
    y: Numbers
    texts: tuple[str, ...]
    colour: str
    align: Literal["left", "center", "right"] = "left"


Mark = Line | Points | Box | Band | Bars | Heat | Texts


@dataclass(frozen=True)
class Axis:
    """An axis: its name, and the limits within which it is drawn (data values, also when it is logarithmic).

    ticks: positions and their texts where the positions stand for names; () lets the faces choose numbers.
    """

    label: str
    limits: tuple[float, float]
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Panel:
    """One pair of axes, what is drawn in it, and a title of its own where there are several."""

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    title: str = ""
