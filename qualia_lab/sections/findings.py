"""What stands out, computed, the most important first."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Findings

What named rules found in these runs: who leads first, then what went wrong, each with what to do next and how to
recompute its numbers. `runs.show_findings(spikes={"deviations": 20}, plateau=False)` sets thresholds;
`runs.findings()` gives the same as data."""


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("findings:heading", _HEADING), code("findings", "runs.show_findings()"))


def _why_not(brief: Brief) -> str | None:
    return None if brief.inventory.run_count else "no run was read"


SECTION = Section("findings", "Findings", _cells, _why_not)
