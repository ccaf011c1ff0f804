"""Findings as a person reads them: the first of them in full, each with what to do next; the rest folded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import SIGNS
from qualia_lab.counts import counted
from qualia_lab.escaping import for_html, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.findings.finding import Finding

SHOWN = 8  # findings in full: a screen of them

_COLOURS = {"problem": "#b3261e", "warning": "#8a5a00", "note": "#5f6368"}
_WIDTH = 700  # characters of a sentence
# What one and what several findings of a kind are called; those that were not examined are not counted.
_WORDS = {
    "answer": ("answer",),
    "problem": ("problem",),
    "relation": ("relation",),
    "provenance": ("remark on origins", "remarks on origins"),
}


@dataclass(frozen=True)
class FindingsCard:
    """Every string in a sentence may come from a store, and is escaped when it is shown.

    sections: the titles of sections by their names.  limit: how many stand in full; what was not examined never does.
    """

    findings: Sequence[Finding]
    sections: Mapping[str, str]
    runs: int
    limit: int = SHOWN

    def __repr__(self) -> str:
        first, rest = self._parted()
        lines = [self._summary()]
        for finding in first:
            lines.append(f"{SIGNS[finding.severity]} {finding.rule}: {one_line(finding.sentence, _WIDTH)}")
            lines += [f"    Next: {one_line(finding.next, _WIDTH)}"] if finding.next else []
            lines += [f"    {one_line(where, _WIDTH)}"] if (where := self._where(finding)) else []
        if rest:
            lines.append(f"and {len(rest):,} more: runs.findings()")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        first, rest = self._parted()
        folded = ""
        if rest:
            folded = f"<details><summary>{len(rest):,} more</summary>{self._list(rest)}</details>"
        return f"<p>{for_html(self._summary())}</p>{self._list(first)}{folded}"

    def _parted(self) -> tuple[list[Finding], list[Finding]]:
        """Those that stand in full, and those that are folded."""
        found = [one for one in self.findings if one.kind != "not examined"]
        return found[: self.limit], found[self.limit :] + [one for one in self.findings if one.kind == "not examined"]

    def _summary(self) -> str:
        runs = counted(self.runs, "run")
        counts = {kind: sum(finding.kind == kind for finding in self.findings) for kind in _WORDS}
        said = ", ".join(counted(n, *_WORDS[kind]) for kind, n in counts.items() if n)
        return f"What stands out among {runs}: {said}." if said else f"Nothing stands out among {runs}."

    def _list(self, findings: Sequence[Finding]) -> str:
        return "".join(map(self._item, findings))

    def _item(self, finding: Finding) -> str:
        mark = (
            f'<b style="color:{_COLOURS[finding.severity]}">{SIGNS[finding.severity]} '
            f"{for_html(finding.rule.replace('_', ' '))}</b>"
        )
        what_next = f"<br><b>Next:</b> {for_html(one_line(finding.next, _WIDTH))}" if finding.next else ""
        return (
            f"<p>{mark}: {for_html(one_line(finding.sentence, _WIDTH))}{what_next}<br>"
            f'<small style="opacity:.75">{self._where_html(finding)}</small></p>'
        )

    def _where(self, finding: Finding) -> str:
        title = self.sections.get(finding.section)
        return "; ".join(filter(None, (f"see {title}" if title else "", finding.code)))

    def _where_html(self, finding: Finding) -> str:
        title = self.sections.get(finding.section)
        see = f"see {for_html(title)}" if title else ""
        code = f'<code style="overflow-wrap:anywhere">{for_html(finding.code)}</code>' if finding.code else ""
        return " · ".join(filter(None, (see, code)))
