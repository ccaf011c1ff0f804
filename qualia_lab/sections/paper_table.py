"""Means and intervals as they stand in a paper."""

from __future__ import annotations

from qualia_lab.sections.groups import why_no_groups
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Table for a paper

Mean ± half of the 95 % interval, n beside it; the best mean bold, what was compared with it and not told apart
underlined. `print(table.latex)`, `table.markdown` and `table.csv` give it as text."""

_TABLE = """\
table = runs.paper_table(METRICS)
table"""


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("paper_table:heading", _HEADING), code("paper_table", _TABLE))


SECTION = Section("paper_table", "Table for a paper", _cells, why_no_groups)
