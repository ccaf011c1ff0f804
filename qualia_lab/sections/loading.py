"""All selected runs are read at once."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_SOURCE = """\
runs = load_runs(TRACKING_URI, RUN_IDS, primary_metric=PRIMARY_METRIC, greater_is_better=GREATER_IS_BETTER)
runs"""


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("loading:heading", "## Data loading"), code("loading", _SOURCE))


SECTION = Section("loading", "Data loading", _cells)
