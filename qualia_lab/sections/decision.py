"""Where a person writes what was chosen, and the run that it is."""

from __future__ import annotations

from qualia_lab.sections.reasons import no_run
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Decision

For you to write:

- **Chosen:**
- **Why:**
- **Rejected, and why:**
- **Risks:**
- **Next:**"""

_OF_CANDIDATES = """\
# The best run of the first candidate; to choose another, write its id or name.
candidates = runs.candidates()
CHOSEN = candidates["run_id"].iloc[0] if len(candidates) else None
runs.show(CHOSEN)"""

_FIRST = """\
# The run you choose, by its id or name.
CHOSEN = next(iter(RUN_IDS), None)
runs.show(CHOSEN)"""


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    one_best = brief.directed and len(brief.study.tasks) == 1
    return (markdown("decision:heading", _HEADING), code("decision", _OF_CANDIDATES if one_best else _FIRST))


SECTION = Section("decision", "Decision", _cells, no_run)
