"""Findings as HTML and text: the first ones as cards with their next step and a small chart, the others folded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.analysis.findings.finding import SIGNS
from qualia_lab.charts.evidence import WIDTH
from qualia_lab.counts import counted
from qualia_lab.escaping import for_html, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.charts.chart import Chart

# The MIME type of findings as data, with which two notebooks are compared.
FINDINGS_MIME = "application/vnd.qualia-lab.findings+json"

SHOWN = 8  # findings in full, about one screen

# Between light and dark: a contrast of 4.5 on white, and of 4 on the dark paper of JupyterLab.
_COLOURS = {"problem": "#db3a2f", "warning": "#a06800", "note": "#717780"}
_WIDTH = 700  # characters of a sentence
_UNFOLDED = 180  # of these are shown before the fold
_EXAMPLES = {
    "runs": 'spikes={"deviations": 20}, plateau=False',
    "traces": 'errors_began={"ratio": 3}, judge_always_same=False',
}
_TRACES_NAMED = 3
# Cards stand side by side, in as many columns as fit.
_CARDS = "display:flex;flex-wrap:wrap;gap:16px 24px;align-items:flex-start"
_CARD = f"width:{WIDTH}px;max-width:100%;border-top:1px solid #d0d7de"
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
        examined: the number of runs or traces that were examined.
        limit: how many findings are shown in full; those of the kind "not examined" are always folded.
        charts: small charts of the evidence, by the position of a finding in `findings`.
        of: what was examined, which is also the name of the variable in the notebook.
        over: the traces that were examined, if these are not all; "" otherwise.
    """

    findings: Sequence[Finding]
    sections: Mapping[str, str]
    examined: int
    limit: int = SHOWN
    charts: Mapping[int, Chart] = field(default_factory=dict)
    of: Literal["runs", "traces"] = "runs"
    over: str = ""

    def __repr__(self) -> str:
        first, rest = self._split()
        lines = [self._summary()]
        for finding in first:
            lines.append(f"{SIGNS[finding.severity]} {finding.rule}: {one_line(finding.sentence, _WIDTH)}")
            lines += [f"    Next: {one_line(finding.next, _WIDTH)}"] if finding.next else []
            lines += [f"    {one_line(reference, _WIDTH)}"] if (reference := self._where(finding)) else []
        if rest:
            lines.append(f"and {len(rest):,} more: {self.of}.findings()")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        first, rest = self._split()
        charts = {id(self.findings[place]): chart for place, chart in self.charts.items()}
        cards = _side_by_side([self._card(finding, charts.get(id(finding))) for finding in first])
        folded = ""
        if rest:
            more = _side_by_side([self._card(finding, None) for finding in rest])
            folded = f"<details><summary>{len(rest):,} more</summary>{more}</details>"
        more = (
            f"<code>{self.of}.show_findings({_EXAMPLES[self.of]})</code> sets thresholds, "
            f"<code>{self.of}.findings()</code> returns data."
        )
        return f"<p>{for_html(self._summary())}</p>{cards}{folded}<p><small>{more}</small></p>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002
        """Add the findings as data to what is displayed; notebooks do not show them."""
        return {
            FINDINGS_MIME: [
                {
                    "rule": finding.rule,
                    "severity": finding.severity,
                    "experiment": finding.experiment,
                    "keys": list(finding.keys),
                    "sentence": one_line(finding.sentence, _WIDTH),
                }
                for finding in self.findings
                if finding.kind != "not examined"
            ]
        }

    def _split(self) -> tuple[list[Finding], list[Finding]]:
        """Return the findings shown in full and those that are folded."""
        examined = [finding for finding in self.findings if finding.kind != "not examined"]
        return examined[: self.limit], examined[self.limit :] + [
            finding for finding in self.findings if finding.kind == "not examined"
        ]

    def _summary(self) -> str:
        examined = f"the {self.over}" if self.over else counted(self.examined, self.of.removesuffix("s"))
        counts = {kind: sum(finding.kind == kind for finding in self.findings) for kind in _WORDS}
        kinds = ", ".join(counted(n, *_WORDS[kind]) for kind, n in counts.items() if n)
        return f"What stands out among {examined}: {kinds}." if kinds else f"Nothing stands out among {examined}."

    def _card(self, finding: Finding, chart: Chart | None) -> str:
        """Render a finding: its sentence, next step, section and code, and below these its chart."""
        mark = (
            f'<b style="color:{_COLOURS[finding.severity]}">{SIGNS[finding.severity]} '
            f"{for_html(finding.rule.replace('_', ' '))}</b>"
        )
        said, rest = _split_long(one_line(finding.sentence, _WIDTH))
        parts = [f"<p>{mark}: {for_html(said)}{' …' if rest else ''}"]
        if finding.next:
            parts.append(f"<br><b>Next:</b> {for_html(one_line(finding.next, _WIDTH))}")
        parts.append("</p>")
        if title := self.sections.get(finding.section):
            parts.append(f'<small>see <a href="#{for_html(finding.section)}">{for_html(title)}</a></small>')
        folded = [f"<p>…{for_html(rest)}</p>"] if rest else []
        if finding.code:
            folded.append(f'<code style="overflow-wrap:anywhere;white-space:pre-wrap">{for_html(finding.code)}</code>')
        if finding.trace_ids:
            ids = ", ".join(one_line(trace_id, 60) for trace_id in finding.trace_ids[:_TRACES_NAMED])
            folded.append(f'<p style="overflow-wrap:anywhere">Traces such as {for_html(ids)}</p>')
        if folded:
            summary = "more, and how to recompute it" if rest and finding.code else "more" if rest else "recompute"
            if finding.trace_ids:
                summary = " and ".join([summary] * bool(rest or finding.code) + ["which traces"])
            parts.append(f"<details><summary><small>{summary}</small></summary>{''.join(folded)}</details>")
        drawn = chart._repr_html_() if chart is not None else ""
        return f'<div class="finding finding-{finding.severity}" style="{_CARD}">{"".join(parts)}{drawn}</div>'

    def _where(self, finding: Finding) -> str:
        title = self.sections.get(finding.section)
        return "; ".join(filter(None, (f"see {title}" if title else "", finding.code)))


def _side_by_side(cards: Sequence[str]) -> str:
    return f'<div class="findings" style="{_CARDS}">{"".join(cards)}</div>'


def _split_long(sentence: str) -> tuple[str, str]:
    """Split a long text after a sentence, or after an item of a list, so that the first part fits on a card."""
    if len(sentence) <= _UNFOLDED * 5 // 4:  # what little remains is not worth a fold
        return sentence, ""
    for end in (". ", "; ", ", "):
        place = sentence.rfind(end, _UNFOLDED // 2, _UNFOLDED)
        if place > 0:
            return sentence[: place + 1].rstrip(",;… "), sentence[place + 1 :]
    return sentence, ""
