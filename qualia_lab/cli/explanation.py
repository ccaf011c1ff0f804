"""`--explain`: print on stderr which part of a query was evaluated where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab import console
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from qualia_lab.query.explanation import Explanation

_PLACE_NAMES = {
    "database": "the database",
    "server": "the server",
    "files": "the files",
    "snapshot": "the snapshot",
    "here": "here",
}


def show_explanation(explanation: Explanation) -> None:
    """Print a line per part: where, what, and how many runs remain after it; then the SQL, if any."""
    from qualia_lab.escaping import for_terminal

    width = max(len(_PLACE_NAMES[part.place]) for part in explanation.parts)
    for part in explanation.parts:
        runs = "" if part.runs is None else f"  -> {counted(part.runs, 'run')}"
        note = f"  ({part.note})" if part.note else ""
        console.say(f"{_PLACE_NAMES[part.place]:{width}}  {for_terminal(part.text)}{note}{runs}")
    for line in explanation.sql.splitlines():
        console.say(f"    {line.rstrip()}")
