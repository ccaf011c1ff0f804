"""`--explain`: which part of a question was answered where, said on stderr beside whatever the command does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab import console
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from qualia_lab.query.explanation import Explanation

_SAID = {
    "database": "the database",
    "server": "the server",
    "files": "the files",
    "snapshot": "the snapshot",
    "here": "here",
}


def show_explanation(explanation: Explanation) -> None:
    """A line for each part: where, what, and how many runs are left after it; then the SQL, where there is any."""
    from qualia_lab.escaping import for_terminal

    width = max(len(_SAID[part.place]) for part in explanation.parts)
    for part in explanation.parts:
        runs = "" if part.runs is None else f"  -> {counted(part.runs, 'run')}"
        note = f"  ({part.note})" if part.note else ""
        console.say(f"{_SAID[part.place]:{width}}  {for_terminal(part.text)}{note}{runs}")
    for line in explanation.sql.splitlines():
        console.say(f"    {line.rstrip()}")
