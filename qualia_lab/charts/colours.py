"""Colour-blind safe colours; a run has the same colour in every chart of a notebook."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.charts.marks import Dash

# Okabe and Ito (2008), "Color universal design", without yellow, too pale for a line on white, and black, see INK.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
DASHES: tuple[Dash, ...] = ("solid", "dash", "dot", "dashdot")

# All colours as solid lines first, then all of them dashed, and so on.
STYLES = tuple((colour, dash) for dash, colour in product(DASHES, PALETTE))

INK = "#24292F"  # text
QUIET = "#6E7781"  # notes and tick labels
GRID = "#E6E8EB"
REST = "#C9CED6"  # runs that are not highlighted
DATA = "#0072B2"  # points that do not stand for a particular run
FILL = "#DCEAF4"  # boxes behind such points
HEAT = "Cividis"  # Nunez, Anderton and Renslow (2018): even in lightness, colour-blind safe, in both renderers


def run_styles(shown: Iterable[str], order: Sequence[str]) -> dict[str, tuple[str, Dash]]:
    """Return the colour and dash of each run, chosen by its position among all runs of the notebook.

    With up to 28 runs, each run has the same unique style in every chart. With more, styles repeat; if two runs of one
    chart would get the same style, the second one gets the next style that is not used in the chart.

    Args:
        shown: the ids of the runs in the chart.
        order: the ids of all runs of the notebook.

    Returns:
        {run id: (colour, dash)}.
    """
    position = {run_id: index for index, run_id in enumerate(order)}
    styles: dict[str, tuple[str, Dash]] = {}
    taken: set[int] = set()
    for run_id in shown:
        index = position[run_id] % len(STYLES)
        while index in taken and len(taken) < len(STYLES):
            index = (index + 1) % len(STYLES)
        taken.add(index)
        styles[run_id] = STYLES[index]
    return styles


def faint(colour: str) -> str:
    """Return the colour as it looks at 32 % opacity on white."""
    parts = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) * 0.32):02X}" for part in parts)
