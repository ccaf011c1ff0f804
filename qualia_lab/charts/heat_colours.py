"""The colours of heat maps: Cividis, even in lightness and colour-blind safe, from 17 of its colours."""

from __future__ import annotations

# Nunez, Anderton and Renslow (2018), at every sixteenth.
_CIVIDIS = (
    "00224E", "002E6A", "1A386F", "32436D", "434E6C", "535A6D", "61656F", "6F7073", "7D7C78", "8C8878", "9B9476",
    "ABA072", "BCAE6C", "CDBB63", "DEC958", "F0D846", "FEE838",
)  # fmt: skip
_COLOURS = tuple(tuple(int(colour[start : start + 2], 16) for start in (0, 2, 4)) for colour in _CIVIDIS)


def heat_colour(value: float, low: float, high: float) -> str:
    """Return the colour of a finite value between the lowest and the highest one; the middle one if they are equal."""
    span = high / 2 - low / 2  # halves, because the difference of two doubles can overflow
    share = (value / 2 - low / 2) / span if span > 0 else 0.5
    place = share * (len(_COLOURS) - 1)
    first = min(int(place), len(_COLOURS) - 2)
    parts = zip(_COLOURS[first], _COLOURS[first + 1], strict=True)
    return "#" + "".join(f"{round(one + (other - one) * (place - first)):02X}" for one, other in parts)
