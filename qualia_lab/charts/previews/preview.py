"""Preview: one artifact as HTML."""

from __future__ import annotations

from dataclasses import dataclass

from qualia_lab.escaping import for_html

LINES = 20
_LINE_WIDTH = 300


@dataclass(frozen=True)
class Preview:
    """One artifact as HTML, with every string escaped and pictures embedded.

    Attributes:
        html: the preview.
        figure: whether a figure was drawn for it.
        title: the path of the artifact, or the key of a logged image.
        remark: a text shown beside the title.
        picture: whether `html` is a single picture, which can stand beside others.
    """

    html: str
    figure: bool = False
    title: str = ""
    remark: str = ""
    picture: bool = False


def note(sentence: str) -> Preview:
    """Return a preview with only a sentence, for an artifact that is not shown."""
    return Preview(small(sentence))


def small(sentence: str) -> str:
    """Render a sentence below a preview."""
    return f"<p><small>{for_html(sentence)}</small></p>"


def first_lines(text: str) -> str:
    """Render the first lines of a text, and the number of lines if it is longer."""
    lines = text.splitlines()
    shown = "\n".join(line if len(line) <= _LINE_WIDTH else f"{line[:_LINE_WIDTH]}…" for line in lines[:LINES])
    rest = small(f"showing {LINES} of {len(lines):,} lines") if len(lines) > LINES else ""
    return f"<pre>{for_html(shown)}</pre>{rest}"
