"""The history of the primary metric averaged over seeds."""

from __future__ import annotations

from qualia_lab.sections.groups import why_no_groups
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Histories over seeds

The first metric of `CURVES`, averaged over the runs of each configuration: the line is their mean, the band their
spread, n how many runs are in it."""


def _why_not(brief: Brief) -> str | None:
    return why_no_groups(brief) or (None if brief.drawn_curves else "no metric was logged past its first step")


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    draw = "runs.plot_bands(CURVES[0], seeds=SEEDS, statuses=STATUSES)"
    return (markdown("bands:heading", _HEADING), code("bands", draw))


SECTION = Section("bands", "Histories over seeds", _cells, _why_not)
