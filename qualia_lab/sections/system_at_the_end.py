"""What the machine was doing when runs failed."""

from __future__ import annotations

from qualia_lab.inventory import SYSTEM_METRICS
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## The machine at the end

The last value of each system metric in the failed runs (where none failed: in those whose metrics went bad), beside the
median of the finished ones."""


def _why_not(brief: Brief) -> str | None:
    keys = (metric.key for metric in brief.inventory.metrics)
    return None if any(key.startswith(SYSTEM_METRICS) for key in keys) else "no run has system metrics"


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (
        markdown("system_at_the_end:heading", _HEADING),
        code("system_at_the_end", "runs.failures.system_at_the_end()"),
    )


SECTION = Section("system_at_the_end", "The machine at the end", _cells, _why_not)
