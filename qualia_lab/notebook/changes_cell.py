"""The cell that says what changed since the notebook was written before; earlier ones are folded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.changes_sentences import count_findings, describe_findings, describe_lead, describe_runs
from qualia_lab.escaping import for_markdown
from qualia_lab.notebook.generated import NAMESPACE, digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qualia_lab.analysis.changes import Changes
    from qualia_lab.analysis.changes_sentences import Line

PREFIX = "changes:"  # of the keys of these cells, before the number of the refresh

_KEPT = 3  # earlier ones that stay, folded
_HEADING = re.compile(r"## (?P<title>[^\n]*)\n\n(?P<text>.*)", re.DOTALL)


def changes_text(changes: Changes, earlier: Iterable[str] = ()) -> str:
    """Return what changed as Markdown; strings of a store in it are escaped.

    Args:
        changes: what changed.
        earlier: cells of what changed before, of which none gets the same title: the time has seconds then.
    """
    lines = list(map(_bullet, (*describe_runs(changes), describe_lead(changes))))
    summary, quoted = count_findings(changes), describe_findings(changes)
    title = _title(changes.since[:16])
    if any(title.removeprefix("## ") in source for source in earlier):
        title = _title(changes.since[:19])
    if not quoted:
        return f"{title}\n\n" + "\n".join([*lines, _bullet(summary)])
    folded = "\n".join(map(_bullet, quoted))
    fold = f"<details><summary>{summary.label}: {summary.text}</summary>\n\n{folded}\n\n</details>"
    return f"{title}\n\n" + "\n".join(lines) + f"\n\n{fold}"


def _title(since: str) -> str:
    return f"## What changed since {for_markdown(since.replace('T', ' '))}" if since else "## What changed"


def fold(source: str) -> str:
    """Return a cell of what changed, folded to a line; a folded one stays as it is."""
    match = _HEADING.fullmatch(source)
    if match is None:
        return source
    return f"<details><summary>{match['title']}</summary>\n\n{match['text']}\n\n</details>"


def earlier_cells(base: Mapping[str, str], *, folded: bool) -> list[dict[str, Any]]:
    """Return the cells of earlier refreshes, the last ones, newest first.

    Args:
        base: the generated sources of the notebook as it was, by key.
        folded: whether all are folded; else they are as they were.
    """
    numbers = sorted((number for key in base if (number := number_of(key))), reverse=True)
    sources = [(number, base[f"{PREFIX}{number}"]) for number in numbers[:_KEPT]]
    return [changes_cell(number, fold(source) if folded else source) for number, source in sources]


def changes_cell(number: int, source: str) -> dict[str, Any]:
    """Return a cell of what changed.

    Args:
        number: the number of the refresh, from 1.
        source: Markdown.
    """
    key = f"{PREFIX}{number}"
    return {
        "cell_type": "markdown",
        "id": f"changes-{number}",
        "metadata": {NAMESPACE: {"key": key, "digest": digest(source)}},
        "source": source,
    }


def number_of(key: str) -> int:
    """Return the number of the refresh of a key, or 0 for a key of another cell."""
    prefix, _, number = key.partition(":")
    return int(number) if f"{prefix}:" == PREFIX and number.isdecimal() and len(number) < 9 else 0


def _bullet(line: Line) -> str:
    """A line as an item of a Markdown list, with what was said before below it."""
    item = f"- **{for_markdown(line.label)}**: {for_markdown(line.text)}"
    return f"{item}\n  - before: {for_markdown(line.before)}" if line.before else item
