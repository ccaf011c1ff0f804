"""Metric histories over steps."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown


def _why_not(brief: Brief) -> str | None:
    metrics = brief.inventory.model_metrics
    if not metrics:
        return "no run has a metric"
    return None if any(metric.stepped for metric in metrics) else "no metric was logged past its first step"


_HEADING = """\
## Metric histories

A line per run; past 12 runs a panel per configuration or run, with the others in grey behind. `by="relative"` is over
time, `by="epoch"` over another metric, `smooth=0.8` smooths for the eye, `columns=1` puts all runs into one panel."""


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    draw = """\
for metric in CURVES:
    display(runs.plot.history(metric))"""
    return (markdown("curves:heading", _HEADING), code("curves", draw))


SECTION = Section("curves", "Metric histories", _cells, _why_not)
