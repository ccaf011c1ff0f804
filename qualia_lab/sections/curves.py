"""Metric histories over steps."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown


def _why_not(brief: Brief) -> str | None:
    metrics = brief.inventory.model_metrics
    if not metrics:
        return "no run has a metric"
    return None if any(metric.stepped for metric in metrics) else "no metric was logged past its first step"


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    draw = """\
for metric in CURVES:
    display(runs.plot_history(metric))"""
    return (markdown("curves:heading", "## Metric histories"), code("curves", draw))


SECTION = Section("curves", "Metric histories", _cells, _why_not)
