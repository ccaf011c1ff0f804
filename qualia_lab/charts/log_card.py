"""How the logs of runs end, as HTML and text. Every line comes from a store and is escaped when it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.escaping import for_html, one_line, visible

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class LogTail:
    """The end of one log.

    label, status: of the run.  path: of the artifact, or the words for what is none, such as a tag.
    total: how many lines there are, of which `lines` are the last.  note: why there are none.
    """

    label: str
    status: str
    path: str
    lines: tuple[str, ...] = ()
    total: int = 0
    note: str = ""

    @property
    def title(self) -> str:
        """`run (failed): logs/train.log, last 30 of 812 lines`."""
        words = f"{self.label} ({self.status.lower()}): {self.path}"
        return words + (f", last {len(self.lines)} of {self.total:,} lines" if self.total > len(self.lines) else "")


@dataclass(frozen=True)
class LogCard:
    """The ends of some logs, and a sentence on what is shown of how many."""

    tails: Sequence[LogTail]
    sentence: str

    def __repr__(self) -> str:
        lines = [one_line(self.sentence)]
        for tail in self.tails:
            lines += ["", one_line(tail.title, 200), *(f"    {visible(line)}" for line in tail.lines)]
            lines += [f"    {one_line(tail.note)}"] if tail.note else []
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<p>{for_html(self.sentence)}</p>"]
        for tail in self.tails:
            parts.append(f"<p><b>{for_html(one_line(tail.title, 200))}</b></p>")
            if tail.note:
                parts.append(f"<p><small>{for_html(tail.note)}</small></p>")
            if tail.lines:
                text = "\n".join(visible(line) for line in tail.lines)
                parts.append(f'<pre style="white-space:pre-wrap;overflow-wrap:anywhere">{for_html(text)}</pre>')
        return "".join(parts)
