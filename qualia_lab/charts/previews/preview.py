"""Preview: the look of one artifact."""

from __future__ import annotations

from dataclasses import dataclass

from qualia_lab.escaping import for_html

LINES = 20
_LINE_WIDTH = 300


@dataclass(frozen=True)
class Preview:
    """One artifact as HTML with every string escaped, pictures as data. `remark` stands beside its path."""

    path: str
    html: str
    remark: str = ""
    figure: bool = False  # whether it was drawn


def note(path: str, sentence: str) -> Preview:
    """A sentence in the place of something that is not shown."""
    return Preview(path, small(sentence))


def small(sentence: str) -> str:
    """A sentence below a preview."""
    return f"<p><small>{for_html(sentence)}</small></p>"


def first_lines(text: str) -> str:
    """The first lines of a text as they are, and how many there are."""
    lines = text.splitlines()
    shown = "\n".join(line if len(line) <= _LINE_WIDTH else f"{line[:_LINE_WIDTH]}…" for line in lines[:LINES])
    rest = small(f"showing {LINES} of {len(lines):,} lines") if len(lines) > LINES else ""
    return f"<pre>{for_html(shown)}</pre>{rest}"
