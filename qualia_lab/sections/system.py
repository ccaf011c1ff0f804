"""What MLflow sampled of the machine while the runs ran."""

from __future__ import annotations

from qualia_lab.inventory import SYSTEM_METRICS
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown


def _why_not(brief: Brief) -> str | None:
    machine = any(metric.key.startswith(SYSTEM_METRICS) for metric in brief.inventory.metrics)
    return None if machine else "no run has system metrics"


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("system:heading", "## System metrics"), code("system", "runs.plot.system_metrics()"))


SECTION = Section("system", "System metrics", _cells, _why_not)
