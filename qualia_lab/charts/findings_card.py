"""Findings as HTML and text: the first ones in full, each with its next step, the others folded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import SIGNS
from qualia_lab.counts import counted
from qualia_lab.escaping import for_html, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.findings.finding import Finding

SHOWN = 8  # findings in full, about one screen

_COLOURS = {"problem": "#b3261e", "warning": "#8a5a00", "note": "#5f6368"}
_WIDTH = 700  # characters of a sentence
# Singular and plural of each kind of finding in the summary; findings of the kind "not examined" are not counted.
_WORDS = {
    "answer": ("answer",),
    "problem": ("problem",),
    "relation": ("relation",),
    "provenance": ("remark on origins", "remarks on origins"),
}


@dataclass(frozen=True)
class FindingsCard:
    """Findings, shown as HTML or text. Strings in them may come from a store and are escaped when rendered.

    Attributes:
        findings: the findings, most important first.
        sections: the titles of sections by name.
        runs: the number of runs that were examined.
        limit: how many findings are shown in full; those of the kind "not examined" are always folded.
    """

    findings: Sequence[Finding]
    sections: Mapping[str, str]
    runs: int
    limit: int = SHOWN

    def __repr__(self) -> str:
        first, rest = self._split()
        lines = [self._summary()]
        for finding in first:
            lines.append(f"{SIGNS[finding.severity]} {finding.rule}: {one_line(finding.sentence, _WIDTH)}")
            lines += [f"    Next: {one_line(finding.next, _WIDTH)}"] if finding.next else []
            lines += [f"    {one_line(reference, _WIDTH)}"] if (reference := self._where(finding)) else []
        if rest:
            lines.append(f"and {len(rest):,} more: runs.findings()")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        first, rest = self._split()
        folded = ""
        if rest:
            folded = f"<details><summary>{len(rest):,} more</summary>{self._list(rest)}</details>"
        return f"<p>{for_html(self._summary())}</p>{self._list(first)}{folded}"

    def _split(self) -> tuple[list[Finding], list[Finding]]:
        """Return the findings shown in full and those that are folded."""
        examined = [finding for finding in self.findings if finding.kind != "not examined"]
        return examined[: self.limit], examined[self.limit :] + [
            finding for finding in self.findings if finding.kind == "not examined"
        ]

    def _summary(self) -> str:
        runs = counted(self.runs, "run")
        counts = {kind: sum(finding.kind == kind for finding in self.findings) for kind in _WORDS}
        kinds = ", ".join(counted(n, *_WORDS[kind]) for kind, n in counts.items() if n)
        return f"What stands out among {runs}: {kinds}." if kinds else f"Nothing stands out among {runs}."

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
