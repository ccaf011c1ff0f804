"""What these runs are about: tasks and objectives, factors, what repeats, and what was left out of comparisons."""

from __future__ import annotations

from qualia_lab.sections.failures import no_run
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## What these runs are about

Everything below is computed on this reading of the runs. Where it is wrong, change a line of the cell of parameters
(`PRIMARY_METRIC`, `GREATER_IS_BETTER`, `SEEDS`, `FACTORS`, `LABELS`, `STATUSES`, `POOL`) and run the cells again, or
look at them otherwise in one cell: `runs.with_settings(seeds=["trial"]).groups()`."""


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("study:heading", _HEADING), code("study", "runs.about()"))


SECTION = Section("study", "What these runs are about", _cells, no_run)
