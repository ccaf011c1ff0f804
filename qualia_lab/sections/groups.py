"""Section: configurations, averaged over their runs."""

from __future__ import annotations

from qualia_lab.sections.reasons import no_groups
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown

_HEADING = """\
## Configurations averaged

Runs with equal factors are one configuration. `runs` counts all of its runs, `n` the computations in the mean, each
once and with a finite value; `left out` says why the others are not included. The 95 % interval is that of the mean:
Student's t below 10 values, a bootstrap from 10 on."""

_CHOSEN_BY_METRIC = """\
**These runs were selected by a metric.** Possibly only the better runs of a configuration are included: its mean is
then too good, and its spread too small. Select by params or time to compare configurations."""


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    by_metric = context.study.chosen_by is not None
    return (
        markdown("groups:heading", f"{_HEADING}\n\n{_CHOSEN_BY_METRIC}" if by_metric else _HEADING),
        code("groups", "runs.groups()"),
        code("groups:chart", "runs.plot.groups()"),
    )


SECTION = Section("groups", "Configurations averaged", _cells, no_groups)
