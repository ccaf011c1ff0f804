"""Every run as a row of a table, at the end of a report."""

from __future__ import annotations

from qualia_lab.sections.failures import no_run
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (
        markdown("appendix:heading", "## Appendix: every run"),
        code("appendix", "runs.overview(metrics=METRICS, params=PARAMS)"),
    )


SECTION = Section("appendix", "Appendix: every run", _cells, no_run)
