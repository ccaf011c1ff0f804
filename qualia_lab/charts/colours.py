"""Colour-blind safe colours; a leading run has one colour, the same in every chart, and the others are grey."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.charts.marks import Dash

    Style = tuple[str, Dash]

# Okabe and Ito (2008), "Color universal design", without yellow, too pale for a line on white, and black, see INK.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
DASHES: tuple[Dash, ...] = ("solid", "dash", "dot", "dashdot")

# All colours as solid lines first, then all of them dashed, and so on.
STYLES: tuple[Style, ...] = tuple((colour, dash) for dash in DASHES for colour in PALETTE)
LEADING = len(PALETTE)  # runs or configurations that have a colour

INK = "#24292F"  # text
QUIET = "#6E7781"  # notes and tick labels
GRID = "#E6E8EB"
REST = "#C9CED6"  # runs that are not highlighted
DATA = "#0072B2"  # points that do not stand for a particular run
FINDING = "#D1242F"  # runs that a finding is about, in its small chart
FILL = "#DCEAF4"  # boxes behind such points
GREY: Style = (REST, "solid")
HEAT = "Cividis"  # Nunez, Anderton and Renslow (2018): even in lightness, colour-blind safe, as in heat_colours.py


def run_styles(shown: Iterable[str], order: Sequence[str], limit: int = LEADING) -> dict[str, Style]:
    """Return the colour and dash of each run, which its place in the order of the notebook decides.

    Args:
        shown: the ids of the runs in the chart.
        order: all runs of the notebook, the leading ones first. An entry may hold several ids, separated by spaces:
            the runs of a configuration, which share a colour and differ in their dashes.
        limit: how many entries of the order are coloured; from the eighth on, colours repeat with other dashes.

    Returns:
        {run id: (colour, dash)}; grey for the runs that are not coloured.
    """
    styles: dict[str, Style] = {}
    for place, entry in enumerate(order[:limit]):
        for member, run_id in enumerate(entry.split(" ")):
            dash = DASHES[(place // LEADING + member) % len(DASHES)]
            styles[run_id] = PALETTE[place % LEADING], dash
    return {run_id: styles.get(run_id, GREY) for run_id in shown}


def chosen_styles(ranked: Sequence[str], order: Sequence[str], limit: int = LEADING) -> dict[str, Style]:
    """Return the styles of the runs of a chart that are coloured: those that lead in the notebook, in the given order.

    If none of them leads, or the notebook has no order, the first runs of the chart are coloured.

    Args:
        ranked: the ids of the runs in the chart, best first.
        order: as in `run_styles`; () for none.
        limit: how many are coloured.
    """
    styles = run_styles(ranked, order_used(ranked, order, limit) or ranked, limit)
    return {run_id: style for run_id, style in styles.items() if style != GREY}


def order_used(ranked: Sequence[str], order: Sequence[str], limit: int = LEADING) -> Sequence[str]:
    """Return the order of the notebook if one of its leading runs is in the chart, else (); see `chosen_styles`."""
    return order if any(style != GREY for style in run_styles(ranked, order, limit).values()) else ()


def faint(colour: str) -> str:
    """Return the colour as it looks at 32 % opacity on white."""
    parts = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) * 0.32):02X}" for part in parts)
