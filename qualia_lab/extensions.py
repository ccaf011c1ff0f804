"""The API for packages that add templates, sections, rules and previews through entry points.

What is exported here keeps its names and meaning; other modules may change. The groups of entry points are
`qualia_lab.templates`, `qualia_lab.sections`, `qualia_lab.findings` and `qualia_lab.previews`; docs/guide/extending.md
says what the entry points of each are, with an example.
"""

from __future__ import annotations

from qualia_lab.analysis.findings.evidence import Evidence, History
from qualia_lab.analysis.findings.finding import Finding, Number, Rule
from qualia_lab.charts.previews.preview import Preview, first_lines, note, small
from qualia_lab.escaping import for_html, for_markdown
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, fixed_section, markdown
from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace
from qualia_lab.study.study import Study
from qualia_lab.tables import RunTables

__all__ = [
    "ArtifactFile",
    "ArtifactPlace",
    "Evidence",
    "Finding",
    "History",
    "Number",
    "PlannedCell",
    "Preview",
    "Rule",
    "RunTables",
    "Section",
    "SectionContext",
    "Study",
    "code",
    "first_lines",
    "fixed_section",
    "for_html",
    "for_markdown",
    "markdown",
    "note",
    "small",
]
