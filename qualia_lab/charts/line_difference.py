"""The line-by-line difference of two texts, as HTML and as text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.structured_text import parse_json
from qualia_lab.analysis.text_differences import LONGEST, text_difference
from qualia_lab.artifacts import HEAD_BYTES, decoded_text, preview_kind
from qualia_lab.counts import counted
from qualia_lab.escaping import for_html, one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qualia_lab.analysis.text_differences import DifferingLine, TextDifference

_UNFOLDED_LINES = 40  # lines shown unfolded
_MAX_LINES = 400  # lines shown in total
_WIDTH = 300  # characters of a line

_SIGNS = {"removed": "- ", "added": "+ ", "same": "  "}
_COLOURS = {"removed": "#ffe7dc", "added": "#dcf3ea"}


@dataclass(frozen=True)
class LineDifference:
    """The difference between an artifact of two runs. HTML and text output escape every line."""

    path: str
    before: str
    after: str
    difference: TextDifference

    def __repr__(self) -> str:
        lines = self.difference.lines
        text = [self._title(), *(_plain(line) for line in lines[:_MAX_LINES])]
        return "\n".join([*text, *self._notes(len(lines))])

    def _repr_html_(self) -> str:
        lines = self.difference.lines
        title = f"<p><b>{for_html(self._title())}</b></p>"
        notes = "".join(f"<p><small>{for_html(note)}</small></p>" for note in self._notes(len(lines)))
        if not lines:
            return title + notes
        folded = lines[_UNFOLDED_LINES:_MAX_LINES]
        more = f"<details><summary>{len(folded):,} more lines</summary>{_marked(folded)}</details>" if folded else ""
        return f"{title}{_marked(lines[:_UNFOLDED_LINES])}{more}{notes}"

    def _title(self) -> str:
        difference = self.difference
        what = (
            f"{counted(difference.removed, 'line')} taken out, {difference.added:,} come in"
            if difference.removed or difference.added
            else "no difference"
        )
        return one_line(f"{self.path}: {self.before} → {self.after}: {what}")

    def _notes(self, count: int) -> list[str]:
        notes = [f"showing {_MAX_LINES} of {count:,} lines"] if count > _MAX_LINES else []
        return notes + ([f"only the first {LONGEST:,} lines were compared"] if self.difference.cut else [])


def line_difference(path: str, before: tuple[str, bytes], after: tuple[str, bytes]) -> LineDifference:
    """Compare an artifact of two runs line by line; JSON is pretty-printed first.

    Args:
        path: the path of the artifact, which determines its kind.
        before: the label of the first run and the first bytes of its file.
        after: the same for the second run.
    """
    texts = [_lines_of(path, data) for _, data in (before, after)]
    if None in texts:
        same = before[1] == after[1]
        texts = ["(bytes)", "(bytes)" if same else "(other bytes)"]
    return LineDifference(path, before[0], after[0], text_difference(texts[0] or "", texts[1] or ""))


def _lines_of(path: str, data: bytes) -> str | None:
    """Return the file as text, JSON with one value per line; None if it is not text."""
    kind = preview_kind(path, data[:HEAD_BYTES])
    if kind not in ("text", "markdown", "html", "json", "table", "yaml"):
        return None
    read = decoded_text(data)
    if read is None:
        return None
    text = read[0]
    if kind == "json":
        try:
            return json.dumps(parse_json(text), indent=2, ensure_ascii=False, sort_keys=True)
        except (ValueError, RecursionError):
            return text
    return text


def _marked(lines: Iterable[DifferingLine]) -> str:
    parts = []
    for line in lines:
        colour = _COLOURS.get(line.kind)
        text = for_html(_plain(line))
        parts.append(f'<span style="background-color:{colour}">{text}</span>' if colour else text)
    return "<pre>" + "\n".join(parts) + "</pre>"


def _plain(line: DifferingLine) -> str:
    if line.kind == "gap":
        return f"… {counted(int(line.text), 'line')} alike"
    text = visible(line.text.expandtabs(4))
    return _SIGNS[line.kind] + (text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…")
