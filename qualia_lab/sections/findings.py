"""What stands out, computed, the most important first."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Findings

What named rules found in these runs, the most important first, each with where to look and how to
recompute its numbers. `runs.show_findings(spikes={"deviations": 20}, plateau=False)` sets
thresholds; `runs.findings()` gives the same as data."""


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    settled = ", **FINDINGS" if brief.selection.findings else ""
    show = f"runs.show_findings(seeds=SEEDS, statuses=STATUSES{settled})"
    return (markdown("findings:heading", _HEADING), code("findings", show))


def _why_not(brief: Brief) -> str | None:
    return None if brief.inventory.run_count else "no run was read"


SECTION = Section("findings", "Findings", _cells, _why_not)
