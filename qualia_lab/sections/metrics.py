"""The metrics of all runs side by side."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown


def _why_not(brief: Brief) -> str | None:
    if brief.inventory.run_count < 2:
        return "a comparison needs two runs"
    return None if brief.inventory.model_metrics else "no run has a metric"


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (
        markdown("metrics:heading", "## Metrics side by side\n\nThe latest value of each metric."),
        code("metrics", "runs.compare_metrics(METRICS)"),
        code("metrics:chart", "runs.plot.comparison(METRICS)"),
    )


SECTION = Section("metrics", "Metrics side by side", _cells, _why_not)
