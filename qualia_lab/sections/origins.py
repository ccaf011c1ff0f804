"""Differences of code, environment and data between the runs."""

from __future__ import annotations

from qualia_lab.analysis.origins import ORIGIN_TAGS
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Code, environment and data

Where the runs come from, as far as it differs: source, commit, user, datasets. Runs of other code or data are not
directly comparable."""


def _why_not(brief: Brief) -> str | None:
    if brief.inventory.run_count < 2:
        return "a comparison needs two runs"
    if brief.inventory.datasets or set(ORIGIN_TAGS) & set(brief.inventory.tags):
        return None
    return "no run says which code or data it was made with"


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("origins:heading", _HEADING), code("origins", "runs.origins.that_differ()"))


SECTION = Section("origins", "Code, environment and data", _cells, _why_not)
