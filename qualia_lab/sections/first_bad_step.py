"""Where metrics went bad: the first step that is NaN or infinite, or from which on a loss diverges."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## First bad step

A row per metric that became NaN or infinite, and per loss that diverged and did not come back. Of each run, what went
bad first stands on top."""


def _why_not(brief: Brief) -> str | None:
    return None if brief.inventory.model_metrics else "no run has a metric"


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("first_bad_step:heading", _HEADING), code("first_bad_step", "runs.failures.first_bad_steps()"))


SECTION = Section("first_bad_step", "First bad step", _cells, _why_not)
