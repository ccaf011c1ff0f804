"""The cell that says what changed since the notebook was written before; earlier ones are folded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qualia_lab.counts import and_more, counted
from qualia_lab.escaping import for_markdown
from qualia_lab.notebook.generated import NAMESPACE, digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.changes import Changes, FindingResult

PREFIX = "changes:"  # of the keys of these cells, before the number of the refresh

_KEPT = 3  # earlier ones that stay, folded
_NAMED = 8  # runs that are named
_SHOWN = 12  # findings that are quoted
_HEADING = re.compile(r"## (?P<title>[^\n]*)\n\n(?P<text>.*)", re.DOTALL)


def changes_text(changes: Changes) -> str:
    """Return what changed as Markdown; strings of a store in it are escaped.

    Args:
        changes: what changed.
    """
    lines = [f"- {line}" for line in (*_runs(changes), *_lead(changes), *_findings(changes))]
    since = for_markdown(changes.since[:16].replace("T", " "))
    title = f"## What changed since {since}" if since else "## What changed"
    return f"{title}\n\n" + "\n".join(lines or ["- Nothing that the notebook says."])


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


def _runs(changes: Changes) -> list[str]:
    lines = []
    for runs, words in ((changes.came, "new"), (changes.went, "no longer selected")):
        if runs:
            lines.append(f"**{counted(len(runs), 'run')} {words}**: {_names(list(runs.values()))}")
    moved: dict[tuple[str, str], list[str]] = {}
    for label, before, after in changes.statuses.values():
        moved.setdefault((before, after), []).append(label)
    for (before, after), labels in moved.items():
        lines.append(f"**{counted(len(labels), 'run')}** {before} before, now {after}: {_names(labels)}")
    if changes.values:
        lines.append(
            f"**{counted(len(changes.values), 'run')} with new values**: {_names(list(changes.values.values()))}"
        )
    return lines


def _names(labels: Sequence[str]) -> str:
    return and_more([for_markdown(label) for label in labels], _NAMED)


def _lead(changes: Changes) -> list[str]:
    if changes.lead is None:
        return ["Who leads was not compared: one of the two notebooks has no headline."]
    before, after = (for_markdown(" ".join(sentences)) for sentences in changes.lead)
    if before == after:
        return [f"**The headline is the same**: {after}"]
    return [f"**The headline now**: {after}", f"**The headline then**: {before}"]


def _findings(changes: Changes) -> list[str]:
    if not changes.findings_known:
        return ["Findings were not compared: one of the two notebooks has none."]
    counts = [
        (len(changes.new), "new"), (len(changes.gone), "gone"), (len(changes.changed), "changed"),
        (changes.same, "the same"),
    ]  # fmt: skip
    lines = ["**Findings**: " + (", ".join(f"{count:,} {word}" for count, word in counts if count) or "none")]
    quoted = [f"  - new: {_sentence(one)}" for one in changes.new]
    quoted += [f"  - gone: {_sentence(one)}" for one in changes.gone]
    quoted += [f"  - changed: {_sentence(now)} Before: {_sentence(then)}" for then, now in changes.changed]
    if len(quoted) > _SHOWN:
        quoted = [*quoted[:_SHOWN], f"  - and {len(quoted) - _SHOWN:,} more"]
    return ["\n".join([*lines, *quoted])]


def _sentence(finding: FindingResult) -> str:
    place = f"{for_markdown(finding.experiment)}: " if finding.experiment else ""
    return place + for_markdown(finding.sentence)
