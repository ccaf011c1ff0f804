"""One table of all runs."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (
        markdown("overview:heading", "## Overview"),
        code("overview", "runs.overview(metrics=METRICS, params=PARAMS)"),
    )


SECTION = Section("overview", "Overview", _cells)
