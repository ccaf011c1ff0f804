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
        for runs, words in ((changes.came, "new"), (changes.went, "no longer selected"))
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


def describe_results(changes: Changes) -> list[Line]:
    """Describe who leads then and now, and the findings that are new, gone or changed."""
    return [_lead(changes), *_findings(changes)]


def _names(labels: Iterable[str]) -> str:
    return and_more([one_line(label, 60) for label in labels], _NAMED)


def _lead(changes: Changes) -> Line:
    if changes.lead is None:
        return Line("Headline", "not compared, because one of the two has none.")
    then, now = (" ".join(sentences) for sentences in changes.lead)
    return Line("Headline as before", now) if then == now else Line("Headline now", now, then)


def _findings(changes: Changes) -> list[Line]:
    if not changes.findings_known:
        return [Line("Findings", "not compared, because one of the two has none.")]
    lines = [Line("New finding", _sentence(one)) for one in changes.new]
    lines += [Line("Finding that is gone", _sentence(one)) for one in changes.gone]
    lines += [Line("Finding that changed", _sentence(now), _sentence(then)) for then, now in changes.changed]
    counts = (
        (len(changes.new), "new"), (len(changes.gone), "gone"), (len(changes.changed), "changed"),
        (changes.same, "as before"),
    )  # fmt: skip
    summary = ", ".join(f"{count:,} {word}" for count, word in counts if count) or "none, then and now"
    hidden = f"; the first {_SHOWN} that differ are quoted" if len(lines) > _SHOWN else ""
    return [Line("Findings", f"{summary}{hidden}."), *lines[:_SHOWN]]


def _sentence(finding: FindingResult) -> str:
    return f"{finding.experiment}: {finding.sentence}" if finding.experiment else finding.sentence
