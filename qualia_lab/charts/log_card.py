"""The last lines of the logs of runs, as HTML and text. Lines come from a store and are escaped when rendered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.escaping import for_html, one_line, visible

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class LogTail:
    """The last lines of one log.

    Attributes:
        label: the label of the run.
        status: the status of the run.
        path: the path of the artifact, or a description of another source, such as a tag.
        lines: the last lines.
        total: the number of lines in the log.
        note: why there are no lines.
    """

    label: str
    status: str
    path: str
    lines: tuple[str, ...] = ()
    total: int = 0
    note: str = ""

    @property
    def title(self) -> str:
        """The title, such as `run (failed): logs/train.log, last 30 of 812 lines`."""
        words = f"{self.label} ({self.status.lower()}): {self.path}"
        return words + (f", last {len(self.lines)} of {self.total:,} lines" if self.total > len(self.lines) else "")


@dataclass(frozen=True)
class LogCard:
    """The last lines of several logs, and a sentence that says how many logs are shown."""

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
