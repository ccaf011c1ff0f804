"""Section: a template for writing down the decision, and the chosen run."""

from __future__ import annotations

from qualia_lab.sections.reasons import no_run
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown

_HEADING = """\
## Decision

To be filled in:

- **Chosen:**
- **Why:**
- **Rejected, and why:**
- **Risks:**
- **Next:**"""

_OF_CANDIDATES = """\
# The best run of the first candidate; to choose another run, set its id or name.
candidates = runs.candidates()
CHOSEN = candidates["run_id"].iloc[0] if len(candidates) else None
runs.show(CHOSEN)"""

_FIRST = """\
# The run you choose, by its id or name.
CHOSEN = next(iter(RUN_IDS), None)
runs.show(CHOSEN)"""


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    one_best = context.directions_known and len(context.study.tasks) == 1
    return (markdown("decision:heading", _HEADING), code("decision", _OF_CANDIDATES if one_best else _FIRST))


SECTION = Section("decision", "Decision", _cells, no_run)
