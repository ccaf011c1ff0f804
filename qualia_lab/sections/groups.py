"""Runs alike in every factor, averaged."""

from __future__ import annotations

from qualia_lab.sections.reasons import no_groups
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Configurations averaged

Runs alike in every factor are one configuration. `runs` counts all of its runs, `n` the computations in the mean:
each once, with a finite value; `left out` says why the others are not in it. The 95 % interval is that of the mean:
Student's t under 10 values, a bootstrap beyond."""

_CHOSEN_BY_METRIC = """\
**These runs were chosen by a metric.** Of a configuration only its better runs may be here: its mean is then too good,
and its spread too small. Choose by params or time to compare configurations."""


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    by_metric = brief.study.chosen_by is not None
    return (
        markdown("groups:heading", f"{_HEADING}\n\n{_CHOSEN_BY_METRIC}" if by_metric else _HEADING),
        code("groups", "runs.groups()"),
        code("groups:chart", "runs.plot.groups()"),
    )


SECTION = Section("groups", "Configurations averaged", _cells, no_groups)
