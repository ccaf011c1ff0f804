"""Where the runs and this report come from."""

from __future__ import annotations

from qualia_lab.sections.failures import no_run
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Provenance

Store, choice, times, versions, code and data; `runs` counts those of which it is true."""


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("provenance:heading", _HEADING), code("provenance", "runs.origins.provenance(CHOSEN_BY)"))


SECTION = Section("provenance", "Provenance", _cells, no_run)
