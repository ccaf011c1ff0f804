"""The history of the objective, averaged over the runs of each configuration."""

from __future__ import annotations

from qualia_lab.sections.groups import why_no_groups
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Histories averaged

The first metric of `CURVES`, averaged over the runs of each configuration: the line is their mean, the band their
spread, n how many runs are in it."""


def _why_not(brief: Brief) -> str | None:
    return why_no_groups(brief) or (None if brief.drawn_curves else "no metric was logged past its first step")


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("bands:heading", _HEADING), code("bands", "runs.plot.bands(CURVES[0])"))


SECTION = Section("bands", "Histories averaged", _cells, _why_not)
