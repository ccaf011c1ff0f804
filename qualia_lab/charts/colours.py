"""The colours of runs: for colour-blind eyes, and the same for a run in every chart of a notebook."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.charts.marks import Dash

# Okabe and Ito (2008), "Color universal design"; its yellow is too pale for a line on white, its black is INK.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
DASHES: tuple[Dash, ...] = ("solid", "dash", "dot", "dashdot")

# One colour after the other in solid lines first, then all again dashed, ...
STYLES = tuple((colour, dash) for dash, colour in product(DASHES, PALETTE))

INK = "#24292F"  # text
QUIET = "#6E7781"  # notes, tick texts
GRID = "#E6E8EB"
REST = "#C9CED6"  # runs that are not told apart
DATA = "#0072B2"  # points that belong to no run in particular
FILL = "#DCEAF4"  # what lies under such points
HEAT = "Cividis"  # Nunez, Anderton and Renslow (2018): even in lightness, for colour-blind eyes; both faces know it


def run_styles(shown: Iterable[str], order: Sequence[str]) -> dict[str, tuple[str, Dash]]:
    """Colour and dash of each run that is shown, by its position among all runs of the notebook.

    Up to 28 runs a style belongs to one run everywhere. Beyond, two runs of one chart that would look alike do not:
    the later one takes the next style that is free.
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
    """The colour as it looks at a third of its strength on white."""
    parts = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) * 0.32):02X}" for part in parts)
