"""When the runs ran."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## When the runs ran

From start to end, children under their parents; a run without an end is drawn to the edge."""


def _why_not(brief: Brief) -> str | None:
    return "a comparison needs two runs" if brief.inventory.run_count < 2 else None


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("timeline:heading", _HEADING), code("timeline", "runs.plot.timeline()"))


SECTION = Section("timeline", "When the runs ran", _cells, _why_not)
