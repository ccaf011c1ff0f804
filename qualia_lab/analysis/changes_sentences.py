"""What changed as lines of plain text, with names from the store: escape them before they are displayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qualia_lab.counts import and_more, counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qualia_lab.analysis.changes import Changes, FindingResult

_NAMED = 8  # runs that a line names
_SHOWN = 12  # findings that are quoted


class Line(NamedTuple):
    """A line about what changed.

    Attributes:
        label: what it is about, in few words.
        text: what is said.
        before: what was said before; "" if that is not compared.
    """

    label: str
    text: str
    before: str = ""


def describe_runs(changes: Changes) -> list[Line]:
    """Describe the runs that are new, that are gone, and that have another status or other values."""
    lines = [
        Line(f"{counted(len(runs), 'run')} {words}", _names(runs.values()))
        for runs, words in ((changes.new_runs, "new"), (changes.gone_runs, "no longer selected"))
        if runs
    ]
    moved: dict[tuple[str, str], list[str]] = {}
    for label, before, now in changes.statuses.values():
        moved.setdefault((before, now), []).append(label)
    for (before, now), labels in moved.items():
        lines.append(Line(f"{counted(len(labels), 'run')} {before} before, now {now}", _names(labels)))
    if changes.values:
        labels = list(changes.values.values())
        lines.append(Line(f"{counted(len(labels), 'run')} with new values", _names(labels)))
    return lines


def describe_lead(changes: Changes) -> Line:
    """Say who leads now, and who led before."""
    if changes.lead is None:
        return Line("Headline", "not compared, because one of the two has none.")
    then, now = (" ".join(sentences) for sentences in changes.lead)
    return Line("Headline as before", now) if then == now else Line("Headline now", now, then)


def count_findings(changes: Changes) -> Line:
    """Say how many findings are new, gone, changed and as before."""
    if not changes.findings_known:
        return Line("Findings", "not compared, because one of the two has none.")
    counts = (
        (len(changes.new), "new"), (len(changes.gone), "gone"), (len(changes.changed), "changed"),
        (changes.same, "as before"),
    )  # fmt: skip
    return Line("Findings", (", ".join(f"{count:,} {word}" for count, word in counts if count) or "none") + ".")


def describe_findings(changes: Changes) -> list[Line]:
    """Quote the findings that are new, gone or changed; of many, the first ones."""
    lines = [Line("New finding", _sentence(one)) for one in changes.new]
    lines += [Line("Finding that is gone", _sentence(one)) for one in changes.gone]
    lines += [Line("Finding that changed", _sentence(now), _sentence(then)) for then, now in changes.changed]
    hidden = len(lines) - _SHOWN
    return lines if hidden <= 0 else [*lines[:_SHOWN], Line("Not quoted", f"{counted(hidden, 'more finding')}.")]


def _names(labels: Iterable[str]) -> str:
    return and_more([one_line(label, 60) for label in labels], _NAMED)


def _sentence(finding: FindingResult) -> str:
    return f"{finding.experiment}: {finding.sentence}" if finding.experiment else finding.sentence
