"""Widths of texts without a font: advance widths of DejaVu Sans, the widest of the usual sans-serif fonts.

A layout that has room for DejaVu Sans has room for Arial, Helvetica, Segoe UI and Roboto too.
"""

from __future__ import annotations

import unicodedata
from functools import cache

# Characters by their advance width in hundredths of the font size.
_ADVANCES = {
    27: "'", 28: "ijl", 29: "IJ", 32: " ,.", 34: "/:;\\|", 35: "f", 36: "-", 39: "()[]t", 40: "!", 41: "r", 46: '"',
    50: "*_`°\u2013", 52: "sz", 53: "?", 55: "c", 56: "L", 58: "Fk", 59: "vxy", 60: "P", 61: "TYao", 62: "e",
    63: "ESbdghnpqu", 64: "$0123456789{}", 66: "K", 68: "AV", 69: "BRXZ", 70: "C", 73: "U", 75: "HN", 77: "DG",
    78: "&", 79: "OQ", 82: "w", 84: "#+<=>^~→←\u00d7", 86: "M", 95: "%", 97: "m", 99: "W", 100: "@…—",
}  # fmt: skip
_ADVANCE = {char: advance / 100 for advance, chars in _ADVANCES.items() for char in chars}
_OTHER = 0.8  # Greek, Cyrillic, accented letters: most are narrower
_BREAKS = "_/.-=,:"  # a long word may be broken after these
_BOLD = 1.12  # DejaVu Sans Bold


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return an upper estimate of the width of a text in pixels.

    Args:
        text: one line.
        size: the font size in pixels.
        bold: whether the text is bold.
    """
    return sum(map(_advance, text)) * size * (_BOLD if bold else 1.0)


def wrap_text(text: str, size: float, width: float, *, bold: bool = False) -> list[str]:
    """Break a text into lines of at most `width` pixels: at spaces, or in longer words after `_`, `/` and so on."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if text_width(joined, size, bold=bold) <= width:
            lines[-1] = joined
            continue
        *whole, last = _pieces(word, size, width, bold=bold)
        lines += [*whole, last]
    return [line for line in lines if line]


def _pieces(word: str, size: float, width: float, *, bold: bool) -> list[str]:
    """Break a word into pieces of at most `width` pixels, of one character at least."""
    pieces = [""]
    for char in word:
        if pieces[-1] and text_width(pieces[-1] + char, size, bold=bold) > width:
            end = max(pieces[-1].rfind(mark) for mark in _BREAKS) + 1
            # A piece shorter than half a line would look worse than a break within a name.
            end = end if end * 2 > len(pieces[-1]) else len(pieces[-1])
            pieces[-1:] = [pieces[-1][:end], pieces[-1][end:]]
        pieces[-1] += char
    return pieces


@cache
def _advance(char: str) -> float:
    if char in _ADVANCE:
        return _ADVANCE[char]
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0.0
    return 1.0 if unicodedata.east_asian_width(char) in "WF" else _OTHER
